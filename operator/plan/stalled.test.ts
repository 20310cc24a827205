import assert from "node:assert/strict";
import { test } from "node:test";
import { begunAnnotation } from "../desired/consent.ts";
import { fleetStatus } from "../status/fleet-status.ts";
import { aCluster, aCondition, aView, fleetId, type NodeInTest, nowMs, type WorldInTest } from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";
import { caughtUp, podOf, replacedPod, unschedulable } from "../testing/worlds.ts";

const minute = 60_000;
const ago = (minutes: number) => new Date(nowMs - minutes * minute).toISOString();
const held = (operation: string, node: string) => ({ heldByMe: true, holder: "dc1", operation, node });

/** A joiner that was told to join so many minutes ago, and what it says of serving and of replicating. */
function joiner(
  minutes: number,
  { says, replicating, sponsor = "dc1-a" }: { says: string; replicating?: [string, string]; sponsor?: string },
): NodeInTest {
  const [reason, message] = replicating ?? ["NotAMember", "replication is not running"];
  return {
    stage: "joining",
    annotations: { [begunAnnotation]: ago(minutes) },
    spec: { membership: { action: "Join", sponsor } },
    status: {
      ...(replicating === undefined ? {} : { clusterId: fleetId }),
      conditions: [
        aCondition("Serving", "False", "Joining", says),
        aCondition("Replicating", "False", reason, message),
        aCondition("RootOfTrust", "True", "Ready"),
      ],
    },
  };
}

const cutOff = { says: "connect ETIMEDOUT 10.0.0.1:5432" };
const joins = (node: NodeInTest, more: WorldInTest = {}): WorldInTest => ({
  ...{ others: "waiting", lock: held("join", "dc1-b"), ...more },
  nodes: { "dc1-a": "member", "dc1-b": node, ...more.nodes },
});
const told = ["lastTouchedRecovered dc1-b"];

const joining: readonly Case[] = [
  ["says after three minutes what hinders the hand-over", joins(joiner(4, cutOff)), [], told],
  [
    "tries another sponsor then, though the first one serves",
    joins(joiner(4, cutOff), { nodes: { "dc2-a": "member" } }),
    ["dc1-b: Join via dc2-a"],
    told,
  ],
  [
    "and stays with that one for as long",
    joins(joiner(5, { ...cutOff, sponsor: "dc2-a" }), { nodes: { "dc2-a": "member" } }),
    [],
    told,
  ],
  [
    "then comes back to the first",
    joins(joiner(7, { ...cutOff, sponsor: "dc2-a" }), { nodes: { "dc2-a": "member" } }),
    ["dc1-b: Join via dc1-a"],
    told,
  ],
  [
    "leaves the sponsor alone once the keys are handed over",
    joins(joiner(4, { says: "pulling the log", replicating: ["PeersUnreachable", "cannot reach dc1-a"] }), {
      nodes: { "dc2-a": "member" },
    }),
    [],
    told,
  ],
  [
    "says so at once when the volume of the joiner is full",
    joins(joiner(1, { says: "pulling the log", replicating: ["DiskFull", "the volume is full"] })),
    [],
    told,
  ],
  [
    "says of a snapshot that it takes long when it has taken half an hour",
    joins(joiner(31, { says: "s", replicating: ["CatchingUp", "taking a snapshot from dc1-a"] })),
    [],
    told,
  ],
  [
    "says at once that no machine takes the pod of a joiner",
    joins(joiner(1, cutOff), { objects: podOf("dc1-b", unschedulable) }),
    [],
    told,
  ],
  [
    "says the same of a node that founds",
    {
      ...{ others: "waiting", lock: held("found", "dc1-a") },
      nodes: { "dc1-a": { stage: "founding", annotations: { [begunAnnotation]: ago(4) } } },
    },
    [],
    ["lastTouchedRecovered dc1-a"],
  ],
];

/** A member that was touched under the lock and has said for so many minutes that it starts. */
const starts = (minutes: number, reason = "Starting", replicating: readonly [string, string] = ["Alone", ""]) =>
  ({
    stage: "member",
    serving: false,
    status: {
      conditions: [
        { ...aCondition("Serving", "False", reason, "asking the peers for news"), lastTransitionTime: ago(minutes) },
        aCondition("Replicating", "False", ...replicating),
      ],
    },
  }) satisfies NodeInTest;
const recovery: readonly Case[] = [
  [
    "says after three minutes that a node does nothing but start",
    { lock: held("restart", "dc1-b"), nodes: { "dc1-b": starts(4) } },
    [],
    told,
  ],
];

checkCases({ joining, recovery });

const afterMember = { ...starts(120), annotations: { [begunAnnotation]: ago(1) } };
const silent: readonly (readonly [string, WorldInTest])[] = [
  ["a hand-over of two minutes", joins(joiner(2, cutOff))],
  ["a snapshot of four", joins(joiner(4, { says: "s", replicating: ["CatchingUp", "taking a snapshot from dc1-a"] }))],
  [
    "one that has caught up while no operator looked",
    joins({ ...caughtUp("dc1-b"), annotations: { [begunAnnotation]: ago(40) } }),
  ],
  ["a joiner whose pod is new", joins(joiner(9, cutOff), { objects: replacedPod("dc1-b", ago(1)) })],
  ["a start of two minutes", { lock: held("restart", "dc1-b"), nodes: { "dc1-b": starts(2) } }],
  [
    "a start with a log to catch up with",
    { lock: held("restart", "dc1-b"), nodes: { "dc1-b": starts(4, "Starting", ["CatchingUp", "pulling"]) } },
  ],
  ["a node that has just become a member", { lock: held("join", "dc1-b"), nodes: { "dc1-b": afterMember } }],
];
for (const [what, world] of silent)
  test(`nobody is told of ${what}`, () => {
    const { plan } = aView(world);
    assert.deepEqual(
      plan.blocked.map(({ gate, subject }) => `${gate} ${subject}`),
      [],
    );
  });

test("a join that cannot go on is told with the node's own words, what to check and how to give it up", () => {
  const { plan } = aView(joins(joiner(4, cutOff)));
  const [blocked] = plan.blocked;
  assert.match(blocked?.message ?? "", /^dc1-b cannot go on: connect ETIMEDOUT 10\.0\.0\.1:5432$/);
  assert.match(
    blocked?.remedy ?? "",
    /5432\/TCP both ways between dc1-b and dc1-a.*take dc1-b out of the specification/,
  );
});

test("the sentence of the status says it, also in the pass that tries another sponsor", () => {
  for (const nodes of [{}, { "dc2-a": "member" }] as const) {
    const { view, plan } = aView(joins(joiner(4, cutOff), { nodes }));
    assert.equal(fleetStatus(view, plan).message, "waiting: dc1-b cannot go on: connect ETIMEDOUT 10.0.0.1:5432");
  }
});

test("that it is told does not flap while sponsors are tried, and begins once", () => {
  const world = (minutes: number, sponsor: string) =>
    joins(joiner(minutes, { ...cutOff, sponsor }), { nodes: { "dc2-a": "member" } });
  const first = aView(world(4, "dc1-a"));
  const before = fleetStatus(first.view, first.plan);
  const cluster = aCluster((made) => (made.status = before));
  const later = aView({ ...world(5, "dc2-a"), cluster });
  const key = (status: typeof before) => status.blockedBy?.map(({ gate, since }) => [gate, since]);
  assert.deepEqual(key(before), [["lastTouchedRecovered", ago(0).replace(".000", "")]]);
  assert.deepEqual(key(fleetStatus(later.view, later.plan)), key(before));
});

test("when a step began is written with it, and another sponsor does not begin it anew", () => {
  const begun = (world: WorldInTest) => {
    const { plan } = aView(world);
    const applied = plan.kind === "act" ? plan.actions.find(({ kind }) => kind === "apply") : undefined;
    return applied?.kind === "apply" ? applied.object.metadata.annotations?.[begunAnnotation] : undefined;
  };
  const waiting: WorldInTest = { others: "waiting", nodes: { "dc1-a": "member" }, lock: held("join", "dc1-b") };
  assert.equal(begun(waiting), ago(0));
  assert.equal(begun(joins(joiner(4, cutOff), { nodes: { "dc2-a": "member" } })), ago(4));
  const joined = { ...caughtUp("dc1-b"), annotations: { [begunAnnotation]: ago(4) } };
  assert.equal(begun(joins(joined)), ago(0));
});
