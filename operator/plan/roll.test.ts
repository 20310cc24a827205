import assert from "node:assert/strict";
import { test } from "node:test";
import type { KmsCluster } from "../ports/types.ts";
import {
  aCluster,
  aCondition,
  anObserved,
  aView,
  desiredInTest,
  inWords,
  type NodeInTest,
  nowMs,
  replaced,
  type WorldInTest,
  withOldPod,
} from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";
import { madeAnew, podOf, without } from "../testing/worlds.ts";
import { parseCron, startsAt } from "./cron.ts";
import { backupMark } from "./fresh-backup.ts";
import { planNext } from "./plan.ts";
import { isOpen } from "./windows.ts";

const held = (operation: string, node: string) => ({ heldByMe: true, holder: "dc1", operation, node });
type Upgrade = NonNullable<ReturnType<typeof aCluster>["spec"]["upgrade"]>;
const to = (version: string, upgrade: Upgrade = {}) =>
  aCluster((c) => {
    c.spec.version = version;
    c.spec.upgrade = upgrade;
  });
/** An upgrade that wants a backup of a day, and when the last one was made. */
const backedUp = (hoursAgo: number | undefined) => {
  const cluster = to("0.2.0", { backupMaxAgeHours: 24 });
  if (hoursAgo === undefined) return cluster;
  const annotations = { [backupMark]: new Date(nowMs - hoursAgo * 3_600_000).toISOString() };
  return { ...cluster, metadata: { ...cluster.metadata, annotations } };
};
const at = (version: string, sinceMs = 3_600_000): NodeInTest => ({
  stage: "member",
  spec: { version },
  status: {
    version,
    conditions: [
      { ...aCondition("Serving", "True", "Serving"), lastTransitionTime: new Date(nowMs - sinceMs).toISOString() },
      aCondition("Replicating", "True", "CaughtUp"),
      aCondition("RootOfTrust", "True", "Ready"),
      aCondition("TimeSynchronised", "True", "Synchronised"),
    ],
  },
});
const everyNode = (node: NodeInTest) =>
  Object.fromEntries(["dc1-a", "dc1-b", "dc2-a", "dc2-b", "dc3-a", "dc3-b"].map((name) => [name, node]));
const badHsm = aCluster(
  (c) => (c.spec.defaults = { ...c.spec.defaults, hsm: { ...c.spec.defaults?.hsm, library: "/new.so" } }),
);
/** It was given a version, and its pod was not restarted. */
const begunFor = (version: string): NodeInTest => ({
  ...{ stage: "member", spec: { version }, status: { version: "0.1.0" } },
  annotations: { "keyfleet.io/rolling": version },
});
const downAt = (version: string): NodeInTest => ({ stage: "member", serving: false, spec: { version } });

/** A member with such links. */
const reaching = (links: Readonly<Record<string, boolean>>): NodeInTest => ({
  stage: "member",
  status: { peers: Object.entries(links).map(([name, connected]) => ({ name, connected })) },
});
const rebuilding = (node: NodeInTest): NodeInTest => ({ ...node, annotations: { "keyfleet.io/rebuild": "0.2.0" } });
const stuck = rebuilding({
  ...{ stage: "waiting", spec: { version: "0.2.0" }, status: { version: "0.2.0" } },
  bad: { RootOfTrust: ["PinIncorrect", "wrong PIN"] },
});

const upgrade: readonly Case[] = [
  ["takes the lock first", { cluster: to("0.2.0") }, ["lock for upgrade of dc1-a"]],
  ["gives one node the version", { cluster: to("0.2.0"), lock: held("upgrade", "dc1-a") }, ["dc1-a: Member"]],
  [
    "goes to another site next",
    { site: "dc2", cluster: to("0.2.0"), nodes: { "dc1-a": at("0.2.0") } },
    ["lock for upgrade of dc2-a"],
  ],
  ["leaves that to the other site", { cluster: to("0.2.0"), nodes: { "dc1-a": at("0.2.0") } }, []],
  [
    "waits until the last one has soaked",
    { site: "dc2", cluster: to("0.2.0"), nodes: { "dc1-a": at("0.2.0", 20_000) } },
    [],
  ],
  [
    "says that one which serves since a time that is yet to come never soaks by itself",
    { site: "dc2", cluster: to("0.2.0"), nodes: { "dc1-a": at("0.2.0", -600_000) } },
    [],
    ["soaked dc1-a"],
  ],
  [
    "goes on with one of two steps that were begun, when the other waits for its turn too",
    {
      cluster: to("0.2.0"),
      nodes: { "dc1-a": begunFor("0.2.0"), "dc2-a": begunFor("0.2.0") },
      lock: held("upgrade", "dc1-a"),
    },
    [],
  ],
  [
    "soaks as long as the specification says",
    { site: "dc2", cluster: to("0.2.0", { soakSeconds: 7200 }), nodes: { "dc1-a": at("0.2.0") } },
    [],
  ],
  [
    "one that does not serve first, whatever the site",
    { cluster: to("0.2.0"), nodes: { "dc1-b": downAt("0.1.0") } },
    ["lock for upgrade of dc1-b"],
  ],
  [
    "not while another does not serve",
    { cluster: to("0.2.0"), nodes: { "dc1-a": at("0.2.0"), "dc2-a": downAt("0.2.0") } },
    [],
    ["fleetKeepsServing dc3-a"],
  ],
  ["not while a site is away", { cluster: to("0.2.0"), unreachable: ["dc3"] }, [], ["allSitesObserved dc3"]],
  ["not over two minor versions", { cluster: to("0.3.0") }, [], ["versionStep bank"]],
  ["not to another major version", { cluster: to("1.0.0") }, [], ["versionStep bank"]],
  ["not back behind the feature level", { cluster: to("0.0.9") }, [], ["versionStep bank"]],
  [
    "back to the version before, while the feature level allows it",
    { nodes: { "dc1-a": at("0.2.0"), "dc1-b": at("0.1.0") } },
    ["lock for upgrade of dc1-a"],
  ],
  [
    "a node that did not come up with the new version gets the old one back under the same lock",
    { nodes: { "dc1-a": downAt("0.2.0") }, lock: held("upgrade", "dc1-a") },
    ["dc1-a: Member"],
  ],
  [
    "keeps the lock of a node that did not come back while the sites do not agree on what it gets instead",
    { nodes: { "dc1-a": downAt("0.2.0") }, lock: held("upgrade", "dc1-a"), differing: ["dc2"] },
    [],
    ["specAgrees dc2"],
  ],
  [
    "but gives it back when the site is named lost: the others go on without it",
    {
      cluster: aCluster((c) => (c.spec.recovery = { lostSites: ["dc1"] })),
      nodes: { "dc1-a": downAt("0.2.0") },
      lock: held("upgrade", "dc1-a"),
    },
    ["unlock"],
  ],
  [
    "waits until a node that has joined serves, also when its settings change meanwhile",
    { cluster: badHsm, nodes: { "dc1-a": { stage: "member", serving: false } }, lock: held("join", "dc1-a") },
    [],
  ],
  [
    "stops when the first node does not come back",
    { cluster: to("0.2.0"), nodes: { "dc1-a": downAt("0.2.0") }, lock: held("upgrade", "dc1-a") },
    [],
  ],
  ["waits for approval", { cluster: to("0.2.0", { approval: "Manual" }) }, [], ["approved bank"]],
  [
    "goes on when approved",
    { cluster: to("0.2.0", { approval: "Manual", requests: { approve: "change-1" } }) },
    ["lock for upgrade of dc1-a"],
  ],
  [
    "takes an approval once: for the version that it was given for",
    {
      cluster: aCluster((c) => {
        c.spec = to("0.2.0", { approval: "Manual", requests: { approve: "change-1" } }).spec;
        c.status = { upgrade: { approve: { value: "change-1", version: "0.1.5" } } };
      }),
    },
    [],
    ["approved bank"],
  ],
  [
    "rolls back by request",
    {
      cluster: to("0.2.0", { requests: { rollback: "back-1" } }),
      nodes: { "dc1-a": at("0.2.0"), "dc2-a": at("0.1.0") },
    },
    ["lock for upgrade of dc1-a"],
  ],
  ["waits for a backup", { cluster: backedUp(undefined) }, [], ["freshBackup bank"]],
  ["waits while the backup is too old", { cluster: backedUp(25) }, [], ["freshBackup bank"]],
  ["waits while the backup is of a time that is yet to come", { cluster: backedUp(-1) }, [], ["freshBackup bank"]],
  ["begins with a fresh backup", { cluster: backedUp(23) }, ["lock for upgrade of dc1-a"]],
  [
    "begins with a backup that was told in another site",
    { cluster: backedUp(undefined), copies: { dc3: backedUp(1) } },
    ["lock for upgrade of dc1-a"],
  ],
  [
    "goes on when the backup has grown old meanwhile",
    { cluster: backedUp(30), nodes: { "dc2-a": at("0.2.0") } },
    ["lock for upgrade of dc1-a"],
  ],
  ["waits for its window", { cluster: to("0.2.0", { windows: [{ cron: "0 2 * * *", duration: "4h" }] }) }, []],
  [
    "goes on in its window",
    { cluster: to("0.2.0", { windows: [{ cron: "0 10 * * *", duration: "4h" }] }) },
    ["lock for upgrade of dc1-a"],
  ],
  [
    "says that a window is no time",
    { cluster: to("0.2.0", { windows: [{ cron: "61 2 * * *", duration: "4h" }] }) },
    [],
    ["windowOpen dc1-a"],
  ],
  [
    "raises the feature level last",
    { cluster: to("0.2.0"), nodes: everyNode(at("0.2.0")) },
    ["lock for level of dc1-a"],
  ],
  [
    "does not raise it while a node has not soaked",
    { cluster: to("0.2.0"), nodes: { ...everyNode(at("0.2.0")), "dc3-a": at("0.2.0", 1_000) } },
    [],
  ],
  [
    "does not raise it while a node runs the version before",
    {
      cluster: to("0.2.0"),
      nodes: { ...everyNode(at("0.2.0")), "dc3-a": { ...at("0.2.0"), status: { ...at("0.1.0").status } } },
    },
    [],
  ],
  [
    "joins nobody in the middle of it",
    { cluster: to("0.2.0"), nodes: { "dc1-b": { ...at("0.2.0"), stage: "waiting" }, "dc2-a": at("0.2.0") } },
    [],
    ["sameVersion dc1-b"],
  ],
  [
    "keeps the lock between the new version and the restart, while the node still serves with the old one",
    {
      cluster: to("0.2.0"),
      nodes: {
        "dc1-a": { ...at("0.1.0"), spec: { version: "0.2.0" }, annotations: { "keyfleet.io/rolling": "0.2.0" } },
      },
      lock: held("upgrade", "dc1-a"),
    },
    [],
  ],
  [
    "gives the lock back of a node that does not come up and that the specification does not name any more",
    { cluster: without("dc1", "dc1-b"), nodes: { "dc1-b": downAt("0.1.0") }, lock: held("upgrade", "dc1-b") },
    ["unlock"],
  ],
  [
    "not while no other node reaches a member, although its own site still takes it for serving",
    { cluster: to("0.2.0"), nodes: { "dc2-a": reaching({}), "dc2-b": reaching({ "dc3-a": false }) } },
    [],
    ["fleetKeepsServing dc1-a"],
  ],
  [
    "while one link is cut but others reach the member",
    { cluster: to("0.2.0"), nodes: { "dc2-a": reaching({ "dc3-a": true }), "dc2-b": reaching({ "dc3-a": false }) } },
    ["lock for upgrade of dc1-a"],
  ],
  [
    "not while a node that was taken out to be rebuilt is not back, whatever the strategy is by now",
    {
      cluster: to("0.2.0"),
      nodes: {
        "dc3-a": stuck,
      },
    },
    [],
    ["fleetKeepsServing dc1-a"],
  ],
  [
    "lets a node that was taken out to be rebuilt come back, whatever the strategy is by now",
    { site: "dc3", cluster: to("0.2.0"), nodes: { "dc3-a": rebuilding({ ...at("0.2.0"), stage: "waiting" }) } },
    ["lock for join of dc3-a"],
  ],
  [
    "but not at a version that the members could not follow",
    { site: "dc3", cluster: to("0.3.0"), nodes: { "dc3-a": rebuilding({ ...at("0.3.0"), stage: "waiting" }) } },
    [],
    ["sameVersion dc3-a"],
  ],
  [
    "rebuilds no node while a site is away, not even one that does not serve",
    {
      cluster: to("0.2.0", { strategy: "RemoveAndRebuild" }),
      nodes: { "dc1-b": downAt("0.1.0") },
      unreachable: ["dc3"],
    },
    [],
    ["allSitesObserved dc3"],
  ],
  [
    "rebuilds: the node leaves first",
    { cluster: to("0.2.0", { strategy: "RemoveAndRebuild" }), lock: held("upgrade", "dc1-a") },
    ["dc1-a: Leave"],
  ],
];

checkCases({ upgrade });

for (const [sentence, sinceMs, recheckAfterMs] of [
  ["looks again just when the last node has soaked", 29_500, 500],
  ["looks again after five seconds when that takes longer", 20_000, 5_000],
] as const)
  test(`an upgrade ${sentence}`, () => {
    const observed = anObserved({ site: "dc2", cluster: to("0.2.0"), nodes: { "dc1-a": at("0.2.0", sinceMs) } });
    const plan = planNext(desiredInTest(observed), observed, () => undefined);
    assert.deepEqual(
      { kind: plan.kind, recheckAfterMs },
      { kind: "wait", recheckAfterMs: plan.kind === "wait" && plan.recheckAfterMs },
    );
  });

const justNow = "2026-03-01T11:59:30Z";
const withOldSettings: readonly (readonly [string, WorldInTest, readonly string[]])[] = [
  ["reach one node first, under the lock", {}, ["lock for settings of dc1-a"]],
  ["reach that node under the lock", { lock: held("settings", "dc1-a") }, ["dc1-a: Member"]],
  [
    "reach a node that does not serve at once, and it is the first",
    { nodes: { "dc1-b": { stage: "member", serving: false } } },
    ["lock for settings of dc1-b", "apply KmsNode dc1-b", "apply StatefulSet dc1-b"],
  ],
  [
    "reach a node that is only coming up as a step, so that not two nodes try them at once",
    { nodes: { "dc1-b": { stage: "member", serving: false } }, objects: madeAnew("Pod", "dc1-b-0", justNow) },
    ["lock for settings of dc1-b"],
  ],
  [
    "reach a node that says why it does not serve at once, however young its pod is",
    {
      nodes: { "dc1-b": { stage: "member", serving: false, bad: { Serving: ["RootOfTrustUnavailable", "no token"] } } },
      objects: madeAnew("Pod", "dc1-b-0", justNow),
    },
    ["lock for settings of dc1-b", "apply KmsNode dc1-b", "apply StatefulSet dc1-b"],
  ],
  [
    "reach a node that says that it serves, and that another has a link to, as a step, whatever was heard of its pod",
    {
      nodes: { "dc1-b": "member", "dc2-a": reaching({ "dc1-b": true }) },
      objects: podOf("dc1-b", { conditions: [{ type: "Ready", status: "False" }] }),
    },
    ["lock for settings of dc1-b"],
  ],
  [
    "reach such a node at once when nobody has a link to it: its machine is dead",
    {
      nodes: { "dc1-b": "member", "dc2-a": reaching({ "dc1-b": false }) },
      objects: podOf("dc1-b", { conditions: [{ type: "Ready", status: "False" }] }),
    },
    ["lock for settings of dc1-b", "apply KmsNode dc1-b", "apply StatefulSet dc1-b"],
  ],
  [
    "reach a node under a step whose KmsNode was just made anew, and says nothing yet, as a step",
    { nodes: { "dc1-b": { ...begunFor("0.1.0"), status: { conditions: [] }, createdAt: justNow } } },
    ["lock for settings of dc1-b"],
  ],
  [
    "reach it at once when it says nothing for long",
    { nodes: { "dc1-b": { ...begunFor("0.1.0"), status: { conditions: [] } } } },
    ["lock for settings of dc1-b", "apply KmsNode dc1-b", "apply StatefulSet dc1-b"],
  ],
  [
    "wait while this site's own API is away, so that nobody knows that the node does not serve",
    { nodes: { "dc1-b": { stage: "member", serving: false } }, unreachable: ["dc1"] },
    [],
  ],
  [
    "wait for a node of a site that is away, as it may be trying them",
    {
      nodes: { "dc1-b": { stage: "member", serving: false }, "dc3-a": begunFor("0.1.0") },
      unreachable: ["dc3"],
    },
    [],
  ],
  [
    "wait while the first that has them does not serve",
    { nodes: { "dc2-a": { stage: "member", serving: false } } },
    [],
  ],
];
for (const [sentence, world, does] of withOldSettings)
  test(`settings that need a restart ${sentence}`, () => {
    const observed = { ...anObserved(world), cluster: badHsm };
    const words = inWords(planNext(desiredInTest(observed), observed, () => undefined)).does;
    assert.deepEqual(words.sort(), [...does].sort());
  });

/** dc1-a was given settings, serves with the pod before and waits for its restart; dc1-b does not serve, since then. */
const oneOfTwoWaits = (downSince: string): WorldInTest => ({
  nodes: {
    "dc1-a": { stage: "member", annotations: { "keyfleet.io/rolling": "0.1.0" } },
    "dc1-b": {
      ...{ stage: "member", serving: false },
      status: {
        conditions: [{ ...aCondition("Serving", "False", "RootOfTrustUnavailable"), lastTransitionTime: downSince }],
      },
    },
  },
  objects: withOldPod("dc1-a"),
});
const longDown = "2026-03-01T11:50:00Z";
const ownOfTheOther = aCluster(({ spec }) => {
  const [site] = spec.sites;
  if (site !== undefined)
    site.nodes = [{ name: "dc1-a" }, { name: "dc1-b", settings: { hsm: { library: "/own.so" } } }];
});
for (const [sentence, cluster, world, does] of [
  [
    "when the document has overtaken it, the other first gets what may mend it",
    badHsm,
    oneOfTwoWaits(justNow),
    ["lock for settings of dc1-b"],
  ],
  ["the other is waited for while it may come back by itself", ownOfTheOther, oneOfTwoWaits(justNow), []],
  [
    "the other first gets what may mend it when it does not come back by itself",
    ownOfTheOther,
    oneOfTwoWaits(longDown),
    ["lock for settings of dc1-b"],
  ],
  [
    "the lock is given back for that",
    ownOfTheOther,
    { ...oneOfTwoWaits(longDown), lock: held("settings", "dc1-a") },
    ["unlock"],
  ],
  [
    "one that has joined gets under the lock of its join what may mend it",
    badHsm,
    { ...oneOfTwoWaits(justNow), lock: held("join", "dc1-b") },
    ["dc1-b: Member"],
  ],
] as const satisfies readonly (readonly [string, KmsCluster, WorldInTest, readonly string[]])[])
  test(`a step of a node that serves, while another does not: ${sentence}`, () => {
    const observed = { ...anObserved(world), cluster };
    assert.deepEqual(inWords(planNext(desiredInTest(observed), observed, () => undefined)).does, does);
  });

test("a node that gets them at once is marked as one whose step is not over, which other sites see", () => {
  const nodes = { "dc1-b": { stage: "member", serving: false } } as const;
  const observed = { ...anObserved({ nodes }), cluster: badHsm };
  const marked = desiredInTest(observed).nodes.map(({ kmsNode: { metadata } }) => [
    metadata.name,
    metadata.annotations,
  ]);
  const [a, b] = [marked[0]?.[1], marked[1]?.[1]] as Record<string, string>[];
  assert.deepEqual(
    [marked[0]?.[0], a, marked[1]?.[0], b?.["keyfleet.io/rolling"]],
    ["dc1-a", undefined, "dc1-b", "0.1.0"],
  );
});

const byNodePort = aCluster(
  ({ spec }) =>
    (spec.defaults = { ...spec.defaults, exposure: { type: "NodePort" }, interfaces: { kmip: { port: 30_696 } } }),
);
/** dc1-a was given another exposure, for which no pod is restarted. */
const exposedAnew: WorldInTest = {
  nodes: { "dc1-a": { stage: "member", annotations: { "keyfleet.io/rolling": "0.1.0" } } },
  lock: held("settings", "dc1-a"),
};
for (const [sentence, servesForMs, marked] of [
  ["that was restarted soaks from when it served", 3_000, nowMs - 10_000],
  ["that was not restarted soaks from the end of its step", 3_600_000, nowMs],
] as const)
  test(`a node ${sentence}`, () => {
    const annotations = {
      "keyfleet.io/rolling": "0.1.0",
      "keyfleet.io/rolled-at": new Date(nowMs - 10_000).toISOString(),
    };
    const world = { nodes: { "dc1-a": { ...at("0.1.0", servesForMs), annotations } }, lock: held("settings", "dc1-a") };
    const { plan } = aView(world);
    const written = plan.kind === "act" ? plan.actions : [];
    const found = written.flatMap((action) => ("object" in action ? [action.object] : []));
    const mark = found.find(({ kind, metadata }) => kind === "KmsNode" && metadata.name === "dc1-a")?.metadata
      .annotations;
    assert.equal(mark?.["keyfleet.io/rolling"], undefined);
    assert.equal(mark?.["keyfleet.io/rolled-at"], new Date(marked).toISOString());
  });

const serviceBefore = replaced("Service", "dc1-a-kmip", (service) => ({
  ...service,
  metadata: { ...service.metadata, annotations: { "keyfleet.io/applied": "as before" } },
}));
const rolledAgo = (ms: number): WorldInTest["nodes"] => ({
  "dc1-a": { stage: "member", annotations: { "keyfleet.io/rolled-at": new Date(nowMs - ms).toISOString() } },
});

for (const [sentence, world, does] of [
  ["is over when its Services have it", exposedAnew, ["dc1-a: Member"]],
  ["is not over while the API server has not accepted a Service", { ...exposedAnew, objects: serviceBefore }, []],
] as const satisfies readonly (readonly [string, WorldInTest, readonly string[]])[])
  test(`the step of a node that is exposed anew ${sentence}`, () => {
    const { does: did } = inWords(aView(world).plan);
    assert.deepEqual(
      did.filter((one) => !one.startsWith("apply")),
      does,
    );
  });

test("a step that is over leaves its time on the node, instead of the mark that it is under way", () => {
  const { plan } = aView(exposedAnew);
  const written = plan.kind === "act" ? plan.actions.find(({ kind }) => kind === "apply") : undefined;
  assert.ok(written?.kind === "apply");
  assert.deepEqual(written.object.metadata.annotations, { "keyfleet.io/rolled-at": new Date(nowMs).toISOString() });
});

for (const [sentence, cluster, ms, does] of [
  ["waits for the soak time, also when no pod was restarted", byNodePort, 20_000, []],
  ["comes after it", byNodePort, 30_000, ["lock for settings of dc2-a"]],
  ["does not wait for a time that is yet to come", byNodePort, -600_000, ["lock for settings of dc2-a"]],
] as const satisfies readonly (readonly [string, KmsCluster, number, readonly string[]])[])
  test(`the next node after one that is exposed anew ${sentence}`, () => {
    const observed = { ...anObserved({ site: "dc2", nodes: rolledAgo(ms) ?? {} }), cluster };
    assert.deepEqual(inWords(planNext(desiredInTest(observed), observed, () => undefined)).does, does);
  });

const withCertificate = aCluster(({ spec }) => {
  spec.defaults = { ...spec.defaults, interfaces: { kmip: { certificateSecretRef: { name: "kms-tls" } } } };
});
const tls = (...keys: string[]) => ({ references: { "Secret/kms-tls": { present: true, keys } } });
const triedOn: WorldInTest["nodes"] = {
  "dc1-a": {
    stage: "member",
    bad: { SettingsApplied: ["Invalid", "interfaces.kmip.certificateSecretRef: it has ended"] },
  },
};

for (const [sentence, world, waitsFor, does] of [
  ["its Secret is missing", {}, ["referencesPresent dc1-a", "referencesPresent dc1-b"], []],
  ["its Secret has no key", tls("tls.crt"), ["referencesPresent dc1-a", "referencesPresent dc1-b"], []],
  ["nothing, when its Secret is there", tls("tls.crt", "tls.key"), [], ["lock for settings of dc1-a"]],
] as const satisfies readonly (readonly [string, WorldInTest, readonly string[], readonly string[]])[])
  test(`no serving node is restarted for a certificate of its own until what is missing is there: ${sentence}`, () => {
    const observed = { ...anObserved(world), cluster: withCertificate };
    const plan = inWords(planNext(desiredInTest(observed), observed, () => undefined));
    assert.deepEqual([plan.waitsFor, plan.does], [waitsFor, does]);
  });

test("new settings that the first node cannot use reach no other node, whose status says what to mend", () => {
  const given = { nodes: triedOn, ...tls("tls.crt", "tls.key") };
  const old = anObserved(given);
  const sites = old.sites.map((view) => ({
    ...view,
    nodes: view.nodes.map((node) => {
      const { interfaces: _none, ...settings } = node.spec.settings;
      const has = node.metadata.name === "dc1-a" ? { interfaces: withCertificate.spec.defaults?.interfaces ?? {} } : {};
      return { ...node, spec: { ...node.spec, settings: { ...settings, ...has } } };
    }),
  }));
  const observed = { ...old, sites, cluster: withCertificate };
  const plan = planNext(desiredInTest(observed), observed, () => undefined);
  assert.ok(!inWords(plan).does.some((one) => one.startsWith("lock")), inWords(plan).does.join());
  const gate = plan.blocked.find((blocked) => blocked.gate === "settingsTried");
  assert.match(gate?.message ?? "", /dc1-a was given the new settings first and cannot use them: .*it has ended/);
});

for (const [cron, when, starts] of [
  ["0 2 * * 6", "2026-02-28T02:00:00Z", true],
  ["0 2 * * 6", "2026-02-27T02:00:00Z", false],
  ["0 2 * * 7", "2026-03-01T02:00:00Z", true],
  ["*/15 * * * *", "2026-03-01T02:45:00Z", true],
  ["*/15 * * * *", "2026-03-01T02:46:00Z", false],
  ["0 0 13 * 5", "2026-03-13T00:00:00Z", true],
  ["0 0 13 * 5", "2026-03-06T00:00:00Z", true],
  ["5-9/2 1,3 1 1-3 *", "2026-03-01T03:07:00Z", true],
  ["5-9/2 1,3 1 1-3 *", "2026-03-01T03:06:00Z", false],
] as const)
  test(`${cron} ${starts ? "starts" : "does not start"} at ${when}`, () => {
    const parsed = parseCron(cron);
    assert.ok(parsed);
    assert.equal(startsAt(parsed, Date.parse(when)), starts);
  });

test("what is no cron expression is refused", () => {
  for (const text of [
    "",
    "* * * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "* * * * 8",
    "5-1 * * * *",
    "*/0 * * * *",
    "a * * * *",
    "1, * * * *",
  ])
    assert.equal(parseCron(text), undefined, text);
});

test("a window is open from its start for its length", () => {
  const window = { cron: "0 2 * * 6", duration: "4h" };
  const open = (when: string) => isOpen(window, Date.parse(when));
  assert.deepEqual(
    ["2026-02-28T01:59:59Z", "2026-02-28T02:00:00Z", "2026-02-28T05:59:59Z", "2026-02-28T06:00:00Z"].map(open),
    [false, true, true, false],
  );
});
