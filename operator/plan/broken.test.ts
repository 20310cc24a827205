import assert from "node:assert/strict";
import { test } from "node:test";
import { makeSiteCa } from "../act/site-ca.ts";
import { siteCaName } from "../desired/ca-secrets.ts";
import { agreementOf } from "../observe/spec-agreement.ts";
import type { KmsCluster, KubernetesObject } from "../ports/types.ts";
import { fleetStatus } from "../status/fleet-status.ts";
import {
  aCluster,
  aCondition,
  aView,
  fleetId,
  inWords,
  type NodeInTest,
  nowMs,
  replaced,
  type WorldInTest,
} from "../testing/builders.ts";
import { oldPod } from "../testing/worlds.ts";
import { closedFleetGates } from "./fleet-gates.ts";

/** What somebody breaks below nodes that serve: what is told, whose it is, and what to do. Nothing that serves is touched. */
type Broken = readonly [sentence: string, world: WorldInTest, gate: string, message: RegExp, remedy: RegExp];

const gone = { present: false, keys: [] } as const;
const own = siteCaName("bank");
const owner = { cluster: "bank", site: "dc1" };
const dayMs = 24 * 3600_000;
/** As good as a node's own certificate: what is looked at is when it begins and ends. */
const signed = (await makeSiteCa(owner, nowMs)).certificate;
const ahead = (await makeSiteCa(owner, nowMs + 3 * dayMs)).certificate;

/** A certificate and the CA that signed it, as the operator puts them into a KmsNode. */
const chain = `${signed}\n${signed}`;
/** The document with a status that tells of that CA. */
const published = (caCertificate: string) =>
  aCluster((made) => (made.status = { siteStatus: [{ name: "dc1", reachable: true, caCertificate }] }));

const withCa = (data: Readonly<Record<string, string>>) =>
  replaced("Secret", own, (secret) => ({ ...secret, data }) as KubernetesObject);
const base64 = (text: string) => Buffer.from(text).toString("base64");
const claim = (change: Partial<KubernetesObject>) =>
  replaced("PersistentVolumeClaim", "data-dc1-a-0", (found) => ({
    ...found,
    ...change,
    metadata: { ...found.metadata, ...change.metadata },
  }));
const deleted = claim({ metadata: { name: "data-dc1-a-0", deletionTimestamp: "2026-03-01T11:59:00Z" } });
const after = (...changes: readonly NonNullable<WorldInTest["objects"]>[]) => ({
  objects: (all: KubernetesObject[]) => changes.reduce((objects, change) => change(objects), all),
});
const ails = (type: string, reason: string, message: string): NodeInTest => ({
  stage: "member",
  bad: { [type]: [reason, message] },
});
const withDoor = aCluster(({ spec }) => {
  spec.defaults = { ...spec.defaults, interfaces: { kmip: { certificateSecretRef: { name: "door" } } } };
});
const upgraded = aCluster(({ spec }) => {
  spec.version = "0.2.0";
});

const restartsInto: readonly Broken[] = [
  [
    "the Secret with the PIN is deleted before a restart",
    { references: { "Secret/hsm-pin": gone }, objects: oldPod("dc1-a", "True") },
    "referencesPresent dc1-a",
    /Secret hsm-pin with the PIN is missing/,
    /kubectl -n keyfleet create secret generic hsm-pin/,
  ],
  [
    "the key of the PIN is taken out of its Secret before a restart",
    { references: { "Secret/hsm-pin": { present: true, keys: ["pim"] } }, objects: oldPod("dc1-a", "True") },
    "referencesPresent dc1-a",
    /Secret hsm-pin has no key pin/,
    /add the key with the PIN/,
  ],
  [
    "the Secret with the PIN is deleted before an upgrade",
    { references: { "Secret/hsm-pin": gone }, cluster: upgraded },
    "referencesPresent dc1-a",
    /Secret hsm-pin with the PIN is missing/,
    /create secret generic hsm-pin/,
  ],
  [
    "the Secret with the certificate of an interface is deleted before a restart",
    { cluster: withDoor, references: { "Secret/door": gone }, objects: oldPod("dc1-a", "True") },
    "referencesPresent dc1-a",
    /Secret door with the certificate of interfaces\.kmip is missing/,
    /create secret tls door/,
  ],
  [
    "the volume of a node is deleted before a restart",
    after(deleted, oldPod("dc1-a", "True")),
    "storageBound dc1-a",
    /data-dc1-a-0 was deleted, and its volume goes with the pod/,
    /add another node and take dc1-a out/,
  ],
  [
    "the volume of a node is deleted before an upgrade",
    { cluster: upgraded, ...after(deleted) },
    "storageBound dc1-a",
    /data-dc1-a-0 was deleted/,
    /add another node/,
  ],
  [
    "the storage loses the volume of a node before a restart",
    after(claim({ status: { phase: "Lost" } }), oldPod("dc1-a", "True")),
    "storageBound dc1-a",
    /data-dc1-a-0 has lost its volume/,
    /add another node/,
  ],
];

const told: readonly Broken[] = [
  ["the volume of a node is deleted", after(deleted), "storageBound dc1-a", /data-dc1-a-0 was deleted/, /another node/],
  [
    "the certificate is taken out of the Secret of the site's CA",
    after(withCa({})),
    `certificateOf ${own}`,
    /has no certificate \(tls\.crt\) of the CA of site dc1/,
    /put the Secret back as it was; only if nobody has it: kubectl -n keyfleet delete secret keyfleet-bank-ca/,
  ],
  [
    "the Secret of the site's CA is deleted",
    { nodes: { "dc1-b": { stage: "member", spec: { certificateChain: chain } } }, ...after(replaced("Secret", own)) },
    "certificateIssued dc1",
    /no Secret labelled keyfleet\.io\/cluster=bank holds the CA \w{16} of site dc1.* that of dc1-b ends first: 2036-02-2/,
    /from a backup, label included; only if nobody has it: kubectl -n keyfleet annotate --overwrite kms bank keyfleet\.io\/new-ca=\w{16};/,
  ],
  [
    "a clock three days ahead made the site's CA",
    { ...after(withCa({ "tls.crt": base64(ahead) })), cluster: published(ahead) },
    `certificateOf ${own}`,
    /is not valid before 2026-03-03T12:00:00\.000Z: a clock is wrong, or was when it was made/,
    /set the clocks of the machines of the operators right; if they are: kubectl -n keyfleet delete secret keyfleet-bank-ca/,
  ],
  [
    "the clock of the operator goes back by years",
    {
      nodes: { "dc1-b": { stage: "member", spec: { certificateChain: signed } } },
      nowMs: Date.parse("2000-01-01T00:05:00Z"),
    },
    "clockWithinBound dc1",
    /the clock of its operator says 2000-01-01, when the certificate of dc1-b is not valid, and the node uses it/,
    /set the clock of the machine of the operator in dc1 right/,
  ],
  [
    "a volume is full",
    { nodes: { "dc1-b": ails("Replicating", "DiskFull", "64 MiB are left on the volume") } },
    "memberServes dc1-b",
    /^dc1-b serves, but Replicating is DiskFull: 64 MiB are left/,
    /raise storage\.size of dc1-b/,
  ],
  [
    "a node's log runs years ahead",
    { nodes: { "dc1-b": ails("Replicating", "LogRefused", "its log runs more than a day ahead") } },
    "memberServes dc1-b",
    /^dc1-b serves, but Replicating is LogRefused: its log runs more than a day ahead/,
    /take dc1-b out of the document, and add it again when it has left/,
  ],
  [
    "somebody changes rows of a database",
    { nodes: { "dc1-b": ails("StoreIntact", "ObjectsDamaged", "2 objects were changed") } },
    "memberServes dc1-b",
    /^dc1-b serves, but StoreIntact is ObjectsDamaged: 2 objects were changed/,
    /take dc1-b out of the document and add it again/,
  ],
  [
    "a certificate of one's own ends",
    { nodes: { "dc1-b": ails("Certificates", "Invalid", "it ended at 2026-03-01") } },
    "memberServes dc1-b",
    /^dc1-b serves, but Certificates is Invalid: it ended/,
    /correct the Secret of interfaces/,
  ],
  [
    "a setting that needs no restart cannot be used",
    { nodes: { "dc1-b": ails("SettingsApplied", "Invalid", "logs.shipping: no such host") } },
    "memberServes dc1-b",
    /^dc1-b serves, but SettingsApplied is Invalid: logs\.shipping/,
    /correct the field/,
  ],
];

/** Gates by name and subject; that of a CA is about its Secret. */
function wordsOf(gate: string): string {
  return gate.replace(/^certificateOf /, "certificateIssued Secret/");
}

for (const [sentence, world, gate, message, remedy] of [...restartsInto, ...told])
  test(`${sentence}: it is told with a remedy, nothing that serves is touched, and the status stays as it is`, () => {
    const { view, plan } = aView(world);
    assert.deepEqual(
      inWords(plan).does.filter((one) => /delete|^lock|make CA/.test(one)),
      [],
    );
    const found = plan.blocked.find((one) => `${one.gate} ${one.subject}` === wordsOf(gate));
    assert.match(found?.message ?? inWords(plan).waitsFor.join(), message);
    assert.match(found?.remedy ?? "", remedy);
    const status = fleetStatus(view, plan);
    assert.doesNotMatch(status.message ?? "", /^all nodes serve$/);
    const again = {
      ...world,
      cluster: withStatus(world.cluster ?? aCluster(), status),
      nowMs: (world.nowMs ?? nowMs) + 3_600_000,
    };
    assert.deepEqual(fleetStatus(...viewAndPlan(again)).blockedBy, status.blockedBy, "an hour later");
  });

for (const [sentence, world] of restartsInto)
  test(`${sentence}, and mended: the step is taken`, () => {
    const { references: _references, objects: _objects, ...rest } = world;
    const { plan } = aView({
      ...rest,
      ...(world.cluster === upgraded ? {} : { objects: oldPod("dc1-a", "True") }),
      ...goodDoor,
    });
    assert.ok(
      inWords(plan).does.some((one) => /^lock for (restart|upgrade) of/.test(one)),
      inWords(plan).does.join(),
    );
  });

for (const [sentence, world] of told)
  test(`${sentence}, and mended: nothing is left of it`, () => {
    const status = fleetStatus(...viewAndPlan(world));
    const { view, plan } = aView({ cluster: withStatus(aCluster(), status) });
    assert.deepEqual([fleetStatus(view, plan).message, plan.blocked], ["all nodes serve", []]);
  });

test("what passes by itself is not told: a certificate that is being signed", () => {
  const serving = aCondition("Serving", "True", "Serving");
  const signing = aCondition("Certificates", "False", "Requested", "waits for the operator");
  const told = (sinceMs: number) => {
    const lastTransitionTime = new Date(nowMs - sinceMs).toISOString();
    const conditions = [serving, { ...signing, lastTransitionTime }];
    return aView({ nodes: { "dc1-b": { stage: "member", status: { conditions } } } }).plan.blocked.length;
  };
  assert.deepEqual([told(5_000), told(61_000)], [0, 1]);
});

test("a member whose volume or PIN is gone may leave for good all the same", () => {
  const cluster = aCluster(({ spec }) => {
    const [site] = spec.sites;
    if (site !== undefined) site.nodes = site.nodes.filter(({ name }) => name !== "dc1-a");
  });
  const dropped = { "dc1-a": { stage: "member", spec: { clusterId: fleetId } } } as const;
  const { plan } = aView({ cluster, nodes: dropped, references: { "Secret/hsm-pin": gone }, ...after(deleted) });
  assert.ok(inWords(plan).does.includes("lock for remove of dc1-a"), JSON.stringify(inWords(plan)));
});

const goodDoor = { references: { "Secret/door": { present: true, keys: ["tls.crt", "tls.key"] } } } as const;

function viewAndPlan(world: WorldInTest) {
  const { view, plan } = aView(world);
  return [view, plan] as const;
}

function withStatus(cluster: KmsCluster, status: KmsCluster["status"]): KmsCluster {
  return { ...cluster, ...(status === undefined ? {} : { status }) };
}

test("a kubeconfig that leads to another fleet of that name holds up steps on the fleet, and the remedy is that kubeconfig", () => {
  const local = aCluster((made) => (made.status = { clusterId: fleetId }));
  const strange = aCluster((made) => (made.status = { clusterId: "another" }));
  const { view } = aView({ cluster: local, copies: { dc2: strange } });
  const spec = agreementOf("dc1", local, view.observed.sites);
  const [node] = view.desired.fleet.nodes;
  assert.ok(node);
  const closed = closedFleetGates({ ...view, observed: { ...view.observed, spec } }, node);
  const remedies = closed.map(({ gate, subject, remedy }) => `${gate} ${subject}: ${remedy}`);
  const wanted = "specAgrees dc2: put the kubeconfig of dc2 into the Secret labelled keyfleet.io/site: dc2";
  assert.ok(remedies.includes(wanted), remedies.join("\n"));
});
