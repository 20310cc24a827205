import assert from "node:assert/strict";
import { test } from "node:test";
import type { BlockedBy, KmsClusterStatus } from "@keyfleet/crds/kms-cluster.ts";
import { clusterConditions, eventReasons, gates } from "@keyfleet/crds/reasons.ts";
import {
  aCluster,
  aCondition,
  aView,
  type NodeInTest,
  nowMs,
  replaced,
  type WorldInTest,
} from "../testing/builders.ts";
import { manyNodes, podOf, unboundStorage, unschedulable, waitingFor, without } from "../testing/worlds.ts";
import { eventsOf } from "./events.ts";
import { fleetStatus } from "./fleet-status.ts";

function statusOf(world: WorldInTest): KmsClusterStatus {
  const { view, plan } = aView(world);
  return fleetStatus(view, plan);
}

const waiting = (reason: string, message: string, type = "RootOfTrust") =>
  ({ stage: "waiting", bad: { [type]: [reason, message] } }) as const;
const lost = {
  stage: "member",
  serving: false,
  bad: { Serving: ["RootOfTrustUnavailable", "the HSM does not answer"] },
} as const;
const justNow = new Date(nowMs - 20_000).toISOString();
const lostNow: NodeInTest = {
  ...lost,
  status: {
    conditions: [
      {
        ...aCondition("Serving", "False", "RootOfTrustUnavailable", "the HSM does not answer"),
        lastTransitionTime: justNow,
      },
    ],
  },
};
const upgrading: NodeInTest = {
  ...{ stage: "member", serving: false, annotations: { "keyfleet.io/rolling": "0.2.0" } },
  ...{ spec: { version: "0.2.0" }, status: { version: "0.1.0" } },
};
const leaving: NodeInTest = { stage: "member", spec: { membership: { action: "Leave" } } };
const removeLock = { heldByMe: true, holder: "dc1", operation: "remove", node: "dc1-b" };
const upgradeOfDc2 = { cluster: aCluster((c) => (c.spec.version = "0.2.0")), nodes: { "dc2-a": upgrading } };
const noImage: BlockedBy = {
  ...{ gate: "imagePresent", subject: "dc2-a", message: "dc2-a does not serve yet: image missing" },
  ...{ since: "2026-03-01T11:00:00Z", remedy: "import the image" },
};
const rolledBack = aCluster((c) => {
  c.spec.version = "0.2.0";
  c.spec.upgrade = { requests: { rollback: "back-1" } };
});
const telling = (blocked: BlockedBy) =>
  aCluster((made) => (made.status = { siteStatus: [ca("dc2")], blockedBy: [blocked] }));
const oneMember = { others: "waiting", nodes: { "dc1-a": "member" } } as const;
const noPin = { "Secret/hsm-pin": { present: false, keys: [] } };
const joinLock = { heldByMe: true, holder: "dc1", operation: "join", node: "dc1-b" };

/** The world, and nodes, sites and message of `kubectl get kms`. */
const lines: readonly (readonly [string, WorldInTest, string, string, string])[] = [
  ["all is well", {}, "6/6", "3/3", "all nodes serve"],
  [
    "the clock of a member is off",
    { nodes: { "dc3-a": { stage: "member", bad: { TimeSynchronised: ["OffsetTooLarge", "off; mend it"] } } } },
    "6/6",
    "3/3",
    "all nodes serve, but dc3-a: off; mend it",
  ],
  [
    "a link between two members is cut, one way and the other",
    { nodes: { "dc1-b": linkedTo({ "dc2-a": false, "dc3-a": true }), "dc2-a": linkedTo({ "dc1-b": false }) } },
    "6/6",
    "3/3",
    "all nodes serve, but dc1-b does not reach dc2-a at dc2-a.mesh:5432; dc2-a does not reach dc1-b at dc1-b.mesh:5432",
  ],
  [
    "another site's copy of the specification stays another one",
    { differing: ["dc3"] },
    "6/6",
    "3/3",
    "all nodes serve, but dc3 differs in spec.version",
  ],
  [
    "a version was rolled back by request",
    { cluster: rolledBack },
    "6/6",
    "3/3",
    `all nodes serve, but request "back-1" has rolled 0.2.0 back to 0.1.0: to go on, take upgrade.requests.rollback out or set another spec.version`,
  ],
  [
    "nodes are being made",
    { others: "absent" },
    "0/6",
    "3/3",
    "waiting: dc2-a: the operator of dc2 has not made the node yet",
  ],
  ["the first node founds", { others: "waiting" }, "0/6", "3/3", "founding with dc1-a (0/6)"],
  ["a node joins", { ...oneMember, lock: joinLock }, "1/6", "3/3", "joining dc1-b (1/6)"],
  [
    "a node of another site joins",
    { others: "waiting", nodes: { "dc1-a": "member", "dc2-a": "joining" } },
    "1/6",
    "3/3",
    "joining dc2-a (1/6)",
  ],
  ["a site is lost", { unreachable: ["dc2"] }, "4/6", "2/3", "site dc2 is not reachable"],
  [
    "two sites are lost",
    { unreachable: ["dc2", "dc3"] },
    "2/6",
    "1/3",
    "site dc2 is not reachable, site dc3 is not reachable",
  ],
  [
    "a join waits for a lost site",
    { ...oneMember, unreachable: ["dc2"] },
    "1/6",
    "2/3",
    "waiting: site dc2 is not reachable: no answer within 2 s",
  ],
  [
    "a site is unknown",
    { neverSeen: ["dc3"], ...oneMember },
    "1/6",
    "2/3",
    "waiting: site dc3 is not reachable: no kubeconfig Secret labelled keyfleet.io/site=dc3",
  ],
  [
    "a clock is off",
    {
      nodes: {
        "dc3-a": {
          ...waiting("OffsetTooLarge", "x", "TimeSynchronised"),
          status: { time: { worstOffsetMs: -1204, servers: [] } },
        },
      },
    },
    "5/6",
    "3/3",
    "waiting: dc3-a clock is off by up to 1.2 s",
  ],
  [
    "a PIN is wrong",
    { nodes: { "dc1-b": waiting("PinIncorrect", "the token refused the PIN") } },
    "5/6",
    "3/3",
    "waiting: dc1-b: the token refused the PIN",
  ],
  [
    "a token is not there",
    { nodes: { "dc1-b": waiting("TokenNotFound", "no token with label t") } },
    "5/6",
    "3/3",
    "waiting: dc1-b: no token with label t",
  ],
  [
    "the PIN Secret is missing",
    { nodes: { "dc1-b": "waiting" }, references: noPin },
    "5/6",
    "3/3",
    "waiting: dc1-b: Secret hsm-pin with the PIN is missing",
  ],
  [
    "the image is missing",
    { nodes: { "dc1-b": "new" }, objects: podOf("dc1-b", waitingFor("ErrImageNeverPull")) },
    "5/6",
    "3/3",
    "waiting: dc1-b: image missing on the machine: keyfleet-node:0.1.0 (container keyserver)",
  ],
  [
    "storage is not bound",
    { nodes: { "dc1-b": "new" }, objects: unboundStorage("dc1-b") },
    "5/6",
    "3/3",
    "waiting: dc1-b: storage not bound: no volume for data-dc1-b-0 (? of class (default)): 0/1 nodes: too few CPUs",
  ],
  [
    "the version differs",
    { nodes: { "dc3-b": { stage: "waiting", status: { version: "0.0.9" } } } },
    "5/6",
    "3/3",
    "waiting: dc3-b runs version 0.0.9, it shall run 0.1.0",
  ],
  [
    "an upgrade is asked for",
    { cluster: aCluster((c) => (c.spec.version = "0.2.0")) },
    "6/6",
    "3/3",
    "upgrading dc1-a to 0.2.0 (6/6)",
  ],
  ["another site's node is being upgraded", upgradeOfDc2, "5/6", "3/3", "upgrading dc2-a to 0.2.0 (5/6)"],
  [
    "another site's node is being upgraded and its site says why it cannot run",
    { ...upgradeOfDc2, copies: { dc2: telling(noImage) } },
    "5/6",
    "3/3",
    "waiting: dc2-a does not serve yet: image missing",
  ],
  [
    "another site has a complaint, and nothing waits for it",
    { copies: { dc2: telling({ ...noImage, message: "its volume cannot shrink" }) } },
    "6/6",
    "3/3",
    "waiting: dc2-a: its volume cannot shrink",
  ],
  [
    "another site repeats what it was told of this one",
    { copies: { dc2: telling({ ...noImage, subject: "dc1-a" }) } },
    "6/6",
    "3/3",
    "all nodes serve",
  ],
  [
    "the site whose node is being upgraded is lost",
    { cluster: aCluster((c) => (c.spec.version = "0.2.0")), nodes: { "dc2-a": upgrading }, unreachable: ["dc2"] },
    "4/6",
    "2/3",
    "waiting: site dc2 is not reachable: no answer within 2 s",
  ],
  [
    "the site whose node joins is lost",
    { nodes: { "dc2-b": "joining" }, unreachable: ["dc2"] },
    "4/6",
    "2/3",
    "waiting: site dc2 is not reachable: no answer within 2 s",
  ],
  [
    "the site whose node leaves is lost",
    { cluster: without("dc2", "dc2-b"), nodes: { "dc2-b": leaving }, unreachable: ["dc2"] },
    "4/5",
    "2/3",
    "waiting: site dc2 is not reachable: no answer within 2 s",
  ],
  [
    "a node leaves and another site is lost",
    { cluster: without("dc1", "dc1-b"), nodes: { "dc1-b": leaving }, unreachable: ["dc2"], lock: removeLock },
    "3/5",
    "2/3",
    "removing dc1-b (3/5); site dc2 is not reachable",
  ],
  [
    "a member was taken out",
    { cluster: without("dc1", "dc1-b"), nodes: { "dc1-b": "member" } },
    "5/5",
    "3/3",
    "removing dc1-b (5/5)",
  ],
  [
    "a node was given settings that no machine can fulfil",
    {
      nodes: { "dc1-b": { stage: "member", serving: false } },
      objects: podOf("dc1-b", unschedulable),
      lock: { heldByMe: true, holder: "dc1", operation: "settings", node: "dc1-b" },
    },
    "5/6",
    "3/3",
    "waiting: dc1-b does not serve yet: no machine of the site can take the pod: 0/1 nodes: too few CPUs",
  ],
  ["a member lost its HSM just now", { nodes: { "dc1-b": lostNow } }, "5/6", "3/3", "dc1-b: the HSM does not answer"],
  [
    "a member lost its HSM for longer than a minute",
    { nodes: { "dc1-b": lost } },
    "5/6",
    "3/3",
    "dc1-b does not serve: the HSM does not answer",
  ],
  [
    "a pod died and could not say so",
    { objects: replaced("Pod", "dc1-b-0") },
    "5/6",
    "3/3",
    "dc1-b: the pod is not ready",
  ],
  ["copies differ", { ...oneMember, differing: ["dc2"] }, "1/6", "3/3", "waiting: dc2 differs in spec.version"],
];

for (const [sentence, world, nodes, sites, message] of lines) {
  test(`kubectl get kms when ${sentence}`, () => {
    const status = statusOf(world);
    assert.deepEqual([status.nodes, status.sites, status.message], [nodes, sites, message]);
  });
}

/** dc3 has gone on alone, and has been upgraded. */
const theOthersBurnt: WorldInTest = {
  site: "dc3",
  unreachable: ["dc1", "dc2"],
  cluster: aCluster(({ spec }) => Object.assign(spec, { version: "0.2.0", recovery: { lostSites: ["dc1", "dc2"] } })),
  nodes: Object.fromEntries(
    ["dc3-a", "dc3-b"].map((name) => [
      name,
      { stage: "member", spec: { version: "0.2.0", featureLevel: "0.2.0" }, status: { version: "0.2.0" } },
    ]),
  ),
};

/** The world, a condition, its status and reason. */
const findings: readonly (readonly [WorldInTest, keyof typeof clusterConditions, string, string])[] = [
  [{}, "Ready", "True", "AsWanted"],
  [{}, "Quiesced", "True", "AsWanted"],
  [{}, "SitesInStep", "True", "AsWanted"],
  [{}, "LatencyWithinBounds", "Unknown", "NotObserved"],
  [{}, "Upgrading", "False", "NotUpgrading"],
  [{ others: "new" }, "TimeSynchronised", "Unknown", "NotObserved"],
  [{ others: "new" }, "SitesInStep", "Unknown", "NotObserved"],
  [{ others: "new" }, "VersionsUniform", "Unknown", "NotObserved"],
  [{ unreachable: ["dc2"] }, "Ready", "False", "SiteUnreachable"],
  [{ unreachable: ["dc2"] }, "SitesReachable", "False", "SiteUnreachable"],
  [{ unreachable: ["dc2"] }, "SitesInStep", "False", "NotCaughtUp"],
  [
    { nodes: { "dc1-b": { stage: "member", status: { sitesOutOfStep: ["dc3"] } } } },
    "SitesInStep",
    "False",
    "NotCaughtUp",
  ],
  [
    {
      unreachable: ["dc2"],
      nodes: {
        "dc1-a": { stage: "member", status: { peers: [{ name: "dc2-a", connected: true }] } },
        "dc2-a": { stage: "member", status: { sitesOutOfStep: ["dc3"] } },
      },
    },
    "SitesInStep",
    "True",
    "AsWanted",
  ],
  [{ unreachable: ["dc2"] }, "SpecSynced", "True", "AsWanted"],
  [theOthersBurnt, "Upgrading", "False", "NotUpgrading"],
  [{ cluster: rolledBack }, "Upgrading", "False", "NotUpgrading"],
  [{ nodes: { "dc1-b": lostNow } }, "Ready", "False", "NodesNotServing"],
  [{ nodes: { "dc1-b": lostNow } }, "Quiesced", "False", "NodesNotServing"],
  [{ nodes: { "dc1-b": lost } }, "Ready", "False", "Blocked"],
  [{ nodes: { "dc1-b": lost } }, "Quiesced", "False", "Blocked"],
  [oneMember, "Ready", "False", "NotYet"],
  [oneMember, "Quiesced", "False", "NotYet"],
  [{ nodes: { "dc1-b": waiting("PinIncorrect", "no") } }, "Ready", "False", "Blocked"],
  [{ nodes: { "dc1-b": waiting("PinIncorrect", "no") } }, "Quiesced", "False", "Blocked"],
  [
    { nodes: { "dc1-b": waiting("OffsetTooLarge", "off", "TimeSynchronised") } },
    "TimeSynchronised",
    "False",
    "ClockOffset",
  ],
  [
    { nodes: { "dc1-b": { stage: "member", status: { version: "0.0.9" } } } },
    "VersionsUniform",
    "False",
    "VersionsDiffer",
  ],
  [{ differing: ["dc3"] }, "SpecSynced", "False", "SpecDiffers"],
  [{ nodes: { "dc1-b": withPeer(180) } }, "LatencyWithinBounds", "False", "RoundTripTooLong"],
  [{ nodes: { "dc1-b": withPeer(12) } }, "LatencyWithinBounds", "True", "AsWanted"],
  [{ cluster: without("dc1", "dc1-b") }, "SizeRecommended", "True", "AsWanted"],
  [{ cluster: aCluster((c) => c.spec.sites.splice(1, 2)) }, "SizeRecommended", "False", "TooFewNodes"],
  [{ cluster: manyNodes(6) }, "SizeRecommended", "True", "AsWanted"],
  [{ cluster: manyNodes(7) }, "SizeRecommended", "False", "TooManyNodes"],
  [{ nodes: { "dc2-b": measuringBy("ntp1.bank.example") } }, "TimeSynchronised", "True", "AsWanted"],
  [{ nodes: { "dc2-b": measuringBy("pool.example") } }, "TimeSynchronised", "False", "NtpServersDiffer"],
];

for (const [world, type, status, reason] of findings) {
  test(`${type} is ${status} (${reason}) with ${JSON.stringify(world).slice(0, 80)}`, () => {
    const found = statusOf(world).conditions?.find((condition) => condition.type === type);
    assert.deepEqual([found?.status, found?.reason], [status, reason]);
  });
}

test("a site whose API is away is in step as long as the nodes' own links to it are up", () => {
  const linked: NodeInTest = { stage: "member", status: { peers: [{ name: "dc2-a", connected: true }] } };
  const found = statusOf({ unreachable: ["dc2"], nodes: { "dc1-a": linked } }).conditions;
  assert.equal(found?.find(({ type }) => type === "SitesInStep")?.status, "True");
});

test("every condition is always there, in the same order", () => {
  for (const world of [{}, { others: "absent" }, { unreachable: ["dc2", "dc3"] }] as const)
    assert.deepEqual(
      statusOf(world).conditions?.map(({ type }) => type),
      Object.keys(clusterConditions),
    );
});

test("an idle fleet has the same status word for word at any later time", () => {
  const first = statusOf({ unreachable: ["dc2"] });
  const cluster = aCluster((made) => (made.status = first));
  const copies = { dc3: aCluster((made) => (made.status = { siteStatus: [ca("dc3")] })) };
  const later = statusOf({ unreachable: ["dc2"], cluster, copies, nowMs: nowMs + 3_600_000 });
  assert.deepEqual(later, first);
});

test("since when a gate is closed stays while its message changes", () => {
  const before = statusOf({ nodes: { "dc1-b": waiting("PinIncorrect", "one try") } });
  const cluster = aCluster((made) => (made.status = before));
  const after = statusOf({ cluster, nowMs: nowMs + 60_000, nodes: { "dc1-b": waiting("PinLocked", "locked") } });
  assert.equal(after.blockedBy?.[0]?.message, "locked");
  assert.equal(after.blockedBy?.[0]?.since, before.blockedBy?.[0]?.since);
});

test("every closed gate is in the list of gates and says what to do", () => {
  for (const [, world] of lines)
    for (const { gate, message, remedy } of statusOf(world).blockedBy ?? []) {
      assert.ok(Object.hasOwn(gates, gate), gate);
      assert.ok(message.length > 5 && remedy.length > 3, `${gate}: ${message} / ${remedy}`);
    }
});

test("a node says what is wrong with it and what to do", () => {
  const { nodeStatus } = statusOf({ nodes: { "dc1-b": waiting("PinIncorrect", "the token refused the PIN") } });
  const message = nodeStatus?.find(({ name }) => name === "dc1-b")?.message ?? "";
  assert.match(message, /the token refused the PIN; correct the hsm settings of dc1-b, the PIN Secret or the token/);
});

test("a node of another site is described in the words of its own operator", () => {
  const told = { name: "dc2-a", site: "dc2", serving: false, message: "image missing: keyfleet-node:0.1.0" };
  const copies = { dc2: aCluster((made) => (made.status = { nodeStatus: [told] })) };
  const { nodeStatus, nodes } = statusOf({ nodes: { "dc2-a": "new" }, copies });
  assert.equal(nodeStatus?.find(({ name }) => name === "dc2-a")?.message, told.message);
  assert.equal(nodes, "5/6");
});

test("what another site waits for is told with its own words, since when and remedy, and only once", () => {
  const copies = { dc2: telling(noImage), dc3: telling(noImage) };
  assert.deepEqual(statusOf({ ...upgradeOfDc2, copies }).blockedBy, [noImage]);
  assert.deepEqual(statusOf({ copies, unreachable: ["dc2"] }).blockedBy, [], "a site that is away tells nothing");
});

test("the CA of each site is published, and stays while the site is away", () => {
  const status = statusOf({});
  assert.deepEqual(
    status.siteStatus?.map(({ caCertificate }) => caCertificate),
    ["CA of this site", "CA of dc2", "CA of dc3"],
  );
  const cluster = aCluster((made) => (made.status = status));
  const away = statusOf({ cluster, neverSeen: ["dc2"] });
  assert.equal(away.siteStatus?.find(({ name }) => name === "dc2")?.caCertificate, "CA of dc2");
});

test("one event a change, each with a reason of the list, none when nothing changed", () => {
  const before = statusOf({});
  const cluster = aCluster((made) => (made.status = before));
  const words = (world: WorldInTest) =>
    eventsOf(cluster, statusOf({ cluster, ...world }), []).map(({ type, reason, note }) => [type, reason, note]);
  assert.deepEqual(words({}), []);
  assert.deepEqual(words({ unreachable: ["dc2"] })[0], [
    "Warning",
    "SiteLost",
    "site dc2 stopped answering: no answer within 2 s",
  ]);
  assert.deepEqual(words({ nodes: { "dc1-b": lostNow } }), [
    ["Warning", "NodeNotServing", "dc1-b stopped serving: the HSM does not answer"],
  ]);
  assert.deepEqual(
    words({ nodes: { "dc1-b": lost } }).map(([, reason]) => reason),
    ["NodeNotServing", "Blocked"],
  );
  assert.deepEqual(
    words({ nodes: { "dc1-b": waiting("PinIncorrect", "no") } }).map(([, reason]) => reason),
    ["NodeNotServing", "Blocked"],
  );
  const { plan } = aView({ ...oneMember, lock: joinLock });
  assert.ok(plan.kind === "act");
  const done = eventsOf(cluster, before, plan.actions);
  assert.deepEqual(
    done.map(({ reason, note }) => [reason, note]),
    [["NodeJoining", "dc1-b joins, dc1-a hands over the keys"]],
  );
  for (const { reason } of done) assert.ok(Object.hasOwn(eventReasons, reason));
});

const lockOf = (operation: string) => ({ heldByMe: true, holder: "dc1", operation, node: "dc1-b" }) as const;
const version = (to: string, strategy: "InPlace" | "RemoveAndRebuild" = "InPlace") =>
  aCluster(({ spec }) => {
    spec.version = to;
    spec.upgrade = { strategy };
    const [dc1] = spec.sites;
    if (dc1) dc1.nodes.reverse(); // dc1-b is the first in turn
  });
const leaver = { stage: "member", spec: { membership: { action: "Leave" } } } as const;
const departures = (sequence: number) => ({
  departures: [{ name: "dc1-b", incarnation: "log-of-dc1-b", sequence }],
});
const everyoneHolds = Object.fromEntries(
  ["dc1-a", "dc2-a", "dc2-b", "dc3-a", "dc3-b"].map((name) => [
    name,
    { stage: "member", status: departures(7) } as const,
  ]),
);
const listedAs = (standing: "Leaving" | "Fenced") => ({ "dc1-b": { standing, incarnation: "log-of-dc1-b" } });

/** A world in which a step is taken on dc1-b, and the one event that it is told by. */
const steps: readonly (readonly [string, WorldInTest, string, RegExp])[] = [
  [
    "told to leave",
    { cluster: without("dc1", "dc1-b"), nodes: { "dc1-b": "member" }, lock: lockOf("remove") },
    "NodeLeaving",
    /^dc1-b leaves the fleet$/,
  ],
  [
    "fenced",
    {
      cluster: without("dc1", "dc1-b"),
      lock: lockOf("remove"),
      listed: listedAs("Leaving"),
      nodes: {
        ...everyoneHolds,
        "dc1-b": { ...leaver, serving: false, bad: { Serving: ["Drained", ""] }, status: departures(7) },
      },
    },
    "NodeFenced",
    /^dc1-b is spoken to no more/,
  ],
  [
    "departed",
    {
      cluster: without("dc1", "dc1-b"),
      lock: lockOf("remove"),
      listed: listedAs("Fenced"),
      nodes: { ...everyoneHolds, "dc1-b": { ...leaver, serving: false } },
    },
    "NodeDeparted",
    /^dc1-b has left the fleet; its log ends at 7$/,
  ],
  [
    "upgraded",
    { cluster: version("0.2.0"), lock: lockOf("upgrade") },
    "NodeUpgrading",
    /^dc1-b goes from version 0\.1\.0 to 0\.2\.0$/,
  ],
  [
    "rebuilt",
    { cluster: version("0.2.0", "RemoveAndRebuild"), lock: lockOf("upgrade") },
    "NodeLeaving",
    /built anew with version 0\.2\.0/,
  ],
];
for (const [what, world, reason, note] of steps)
  test(`a node that is ${what} is told by one event, however many objects are written`, () => {
    const { plan } = aView(world);
    assert.ok(plan.kind === "act", JSON.stringify(plan));
    const told = eventsOf(aCluster(), statusOf({}), plan.actions).filter((event) => event.reason !== "Blocked");
    assert.deepEqual(
      told.map((event) => event.reason),
      [reason],
    );
    assert.match(told[0]?.note ?? "", note);
    assert.ok(Object.hasOwn(eventReasons, reason));
  });

const deleted: readonly (readonly [kind: string, labels: Record<string, string>, reasons: readonly string[]])[] = [
  ["KmsNode", {}, ["NodeDeleted"]],
  ["PersistentVolumeClaim", {}, ["VolumeDeleted"]],
  ["KmsCluster", {}, ["FleetEnding"]],
  ["Pod", {}, ["NodeRestarted"]],
  ["Pod", { "keyfleet.io/erases": "dc1-c" }, []],
  ["PodDisruptionBudget", {}, []],
];

test("what was deleted is told as what it was: only a pod of a node is a restart", () => {
  for (const [kind, labels, reasons] of deleted) {
    const object = { apiVersion: "v1", kind, metadata: { name: "x", labels } };
    const told = eventsOf(aCluster(), statusOf({}), [{ kind: "delete", object, because: "it goes" }]);
    const seen = told.map(({ reason }) => reason).filter((reason) => reason !== "Blocked");
    assert.deepEqual(seen, reasons, `${kind} ${JSON.stringify(labels)}`);
  }
});

function withPeer(roundTripMs: number): NodeInTest {
  return { stage: "member", status: { peers: [{ name: "dc1-a", connected: true, roundTripMs }] } };
}

function measuringBy(server: string): NodeInTest {
  return { stage: "member", spec: { settings: { ntp: { servers: [server] } } } };
}

function ca(name: string) {
  return { name, reachable: true, caCertificate: `CA of ${name}` };
}

function linkedTo(links: Readonly<Record<string, boolean>>): NodeInTest {
  const peers = Object.entries(links).map(([name, connected]) => ({ name, connected }));
  return { stage: "member", status: { peers } };
}
