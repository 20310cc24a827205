import "../stories/instance.ts";

import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import type { KmsCluster } from "@keyfleet/crds/kms-cluster.ts";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { endpointOf, type Fleet } from "../fleet/fleet.ts";
import { ask } from "../fleet/kmip-clients.ts";
import { endedSince, livesOf, podsOf } from "../fleet/lives.ts";
import { type LoadOptions, underLoad } from "../fleet/load.ts";
import { namespace } from "../fleet/places.ts";
import { waitUntilContent, waitUntilTold } from "../fleet/say.ts";
import { aServerCertificate, giveCertificate, shownAt } from "../fleet/server-certificate.ts";
import { aSmallFleet, first, place, theFleet } from "../stories/world.ts";

const restPort = 9443;
const clientPort = 30_696;
const ownSecret = "own-kmip";

let fleet: Fleet;
before(async () => {
  fleet = await aSmallFleet();
  await change((spec) => {
    spec.upgrade = { ...spec.upgrade, soakSeconds: 2 };
  });
});
// Volumes that have grown cannot shrink: the next story makes its own fleet.
after(() => place.sites.down());

test("what is logged changes at once: nothing is restarted, no node is away", async (t) => {
  const load = await loadOf(t, "logs", { mostAway: 0 });
  const lives = await livesOf(place, podsOf.nodes);
  await everyNode((node) => loggedAbout(node, refusedStranger), "a stranger's handshake is logged", Boolean);
  await settings({ logs: { level: "error", kmipActivity: true } });
  await everyNode((node) => loggedAbout(node, /"log":"kmip-activity"/), "requests are logged", Boolean);
  await everyNode(
    (node) => loggedAbout(node, refusedStranger),
    "a stranger is no error",
    (seen) => !seen,
  );
  await settings({ logs: { level: "info", kmipActivity: false } });
  await everyNode((node) => loggedAbout(node, refusedStranger), "a stranger's handshake is logged again", Boolean);
  await load.end((line) => t.diagnostic(line));
  assert.deepEqual(await endedSince(place, podsOf.nodes, lives), []);
});

test("another port of HTTPS and a certificate of the bank's own: in effect after gated restarts, the next certificate without any", async (t) => {
  const given = await aCertificate();
  await everyNode((node) => answersHttps(node, 8443), "KMIP over HTTPS is at 8443", isThere);
  const load = await loadOf(t, "certificate");
  await restarted(() =>
    settings({ interfaces: { rest: { port: restPort }, kmip: { certificateSecretRef: { name: ownSecret } } } }),
  );
  await everyNode(
    (node) => shownAt(place, endpointOf(node.spec)),
    "it is shown",
    (seen) => seen === given.fingerprint,
  );
  await everyNode((node) => answersHttps(node, restPort), `KMIP over HTTPS is at ${restPort}`, isThere);
  await everyNode(
    (node) => answersHttps(node, 8443),
    "nobody is at 8443",
    (code) => code === "000",
  );
  const lives = await livesOf(place, podsOf.nodes);
  const next = await aCertificate();
  await everyNode(
    (node) => shownAt(place, endpointOf(node.spec)),
    "the next is shown",
    (seen) => seen === next.fingerprint,
  );
  await load.end((line) => t.diagnostic(line));
  assert.deepEqual(await endedSince(place, podsOf.nodes, lives), []);
});

test("nodes move to ports of their machines one after the other: who knows both addresses is always served", async (t) => {
  const moved = await machinesOf(fleet);
  const both = new Map([...fleet.endpoints, ...[...moved].map(([node, at]) => [`${node}-moved`, at] as const)]);
  const load = await loadOf(t, "moved", { endpoints: both, tries: both.size });
  await restarted(() =>
    settings({
      interfaces: { rest: { port: restPort }, kmip: { port: clientPort } },
      exposure: { type: "NodePort" },
    }),
  );
  await load.end((line) => t.diagnostic(line));
  fleet = await theFleet();
  assert.deepEqual(fleet.endpoints, moved);
});

test("a larger volume: the class that cannot grow is named, and where it can every claim asks for more, without a restart", async (t) => {
  const load = await loadOf(t, "storage", { mostAway: 0 });
  const lives = await livesOf(place, podsOf.nodes);
  await settings({ storage: { size: "2Gi" } });
  await waitUntilTold(place, first, {
    status: /data-dc1-a-0|can be resized/,
    remedy: /use a storage class with allowVolumeExpansion, or set storage.size back/,
  });
  const able = ["patch", "storageclass", "local", "-p", JSON.stringify({ allowVolumeExpansion: true })];
  await Promise.all(place.sites.names.map((site) => place.sites.kubectl(site, able)));
  await everyNode(claimOf, "the claim asks for more", (size) => size === "2Gi");
  await waitUntilContent(place);
  await load.end((line) => t.diagnostic(line));
  assert.deepEqual(await endedSince(place, podsOf.nodes, lives), []);
});

type Spec = KmsCluster["spec"];
type Node = Fleet["nodes"][number];

/** A handshake of a client whose CA nobody named. */
const refusedStranger = /"event":"(handshake-failed|client-rejected)"/;

async function loadOf(t: TestContext, name: string, options: LoadOptions & Partial<Fleet> = {}) {
  const load = await underLoad(place, { ...fleet, ...options }, name, options);
  t.after(() => load.cancel());
  return load;
}

function change(edit: (spec: Spec) => void): Promise<void> {
  return editDocument(place, first, edit);
}

/** Sets these settings for all nodes. */
function settings(wanted: NonNullable<Spec["defaults"]>): Promise<void> {
  return change((spec) => {
    spec.defaults = { ...spec.defaults, ...wanted };
  });
}

/** Does something, and waits until every pod is a new one. */
async function restarted(doing: () => Promise<void>): Promise<void> {
  const lives = await livesOf(place, podsOf.nodes);
  await doing();
  const all = (pods: string[]) => pods.length === lives.size;
  await until(() => endedSince(place, podsOf.nodes, lives), all, { what: "every pod is new", deadlineMs: 600_000 });
}

/** Waits until what is seen of each node is as it should be. */
async function everyNode<Seen>(look: (node: Node) => Promise<Seen>, what: string, done: (seen: Seen) => boolean) {
  for (const node of fleet.nodes)
    await until(() => look(node), done, {
      what: `${node.metadata.name}: ${what}`,
      deadlineMs: 180_000,
      everyMs: 1_000,
    });
}

/** Lets a stranger try, and looks whether the node has logged such a line since. */
async function loggedAbout({ metadata, spec }: Node, line: RegExp): Promise<boolean> {
  const since = new Date().toISOString();
  await ask(place, { ...fleet.call, as: "foreign", endpoints: [endpointOf(spec)] }, ["locate"]);
  const words = ["logs", `${metadata.name}-0`, "-c", "keyserver", `--since-time=${since}`];
  return line.test((await place.sites.kubectl(spec.site, ["-n", namespace, ...words])).stdout);
}

/** KMIP over HTTPS answers to POST only. */
const isThere = (code: string) => code === "405";

/** The status of an HTTPS answer there; 000 when nobody answers. */
async function answersHttps({ spec }: Node, port: number): Promise<string> {
  const who = ["crt", "key"].map((kind) => join(place.certificates, `app1.${kind}`));
  const [cert = "", key = ""] = who;
  const tls = ["--cacert", fleet.call.ca, "--cert", cert, "--key", key, "--max-time", "5"];
  const url = `https://${spec.clientAddress}:${port}/kmip`;
  const words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", ...tls, url];
  return (await place.sites.exec(words, { mayFail: true })).stdout;
}

/** A certificate for all nodes in the Secret, which clients trust too. */
async function aCertificate() {
  const given = await aServerCertificate(fleet.nodes.map(({ spec }) => spec.clientAddress ?? ""));
  appendFileSync(fleet.call.ca, `\n${given.certificatePem}`);
  await giveCertificate(place, ownSecret, given);
  return given;
}

/** Node → its endpoint at the machine that runs it. */
async function machinesOf({ nodes }: Fleet): Promise<Map<string, string>> {
  const at = nodes.map(async ({ metadata, spec }) => {
    const words = ["get", "pod", `${metadata.name}-0`, "-o", "jsonpath={.status.hostIP}"];
    const { stdout } = await place.sites.kubectl(spec.site, ["-n", namespace, ...words]);
    return [metadata.name, `${stdout}:${clientPort}`] as const;
  });
  return new Map(await Promise.all(at));
}

async function claimOf({ metadata, spec }: Node): Promise<string> {
  const path = "jsonpath={.spec.resources.requests.storage}";
  const words = ["get", "pvc", `data-${metadata.name}-0`, "-o", path];
  return (await place.sites.kubectl(spec.site, ["-n", namespace, ...words])).stdout;
}
