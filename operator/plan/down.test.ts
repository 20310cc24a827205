import assert from "node:assert/strict";
import { test } from "node:test";
import { begunAnnotation } from "../desired/consent.ts";
import type { KubernetesObject } from "../ports/types.ts";
import { fleetStatus } from "../status/fleet-status.ts";
import {
  aCluster,
  aCondition,
  anObserved,
  aPod,
  aView,
  desiredInTest,
  type NodeInTest,
  nowMs,
  replaced,
  type WorldInTest,
} from "../testing/builders.ts";
import { unboundStorage, waitingFor, without } from "../testing/worlds.ts";
import { planNext } from "./plan.ts";

const ago = (seconds: number) => new Date(nowMs - seconds * 1000).toISOString();

/** A member that does not serve for so many seconds, and why. */
const down = (seconds: number, reason: string, message: string, more: readonly object[] = []): NodeInTest => ({
  ...{ stage: "member", serving: false, annotations: { [begunAnnotation]: ago(864_000) } },
  status: {
    conditions: [
      { ...aCondition("Serving", "False", reason, message), lastTransitionTime: ago(seconds) },
      aCondition("Replicating", "True", "CaughtUp"),
      ...(more as []),
    ],
  },
});
const noHsm = (seconds: number) => ({
  "dc1-b": down(seconds, "RootOfTrustUnavailable", "the HSM is not usable", [
    aCondition("RootOfTrust", "False", "TokenNotFound", "no token with label t"),
  ]),
});
/** Changes the pod of dc1-b, which was made two hours ago. */
const pod = (change: (pod: KubernetesObject) => KubernetesObject) => replaced("Pod", "dc1-b-0", change);
const notReady = (seconds: number) =>
  pod(({ metadata }) => ({
    ...aPod("dc1-b", { conditions: [{ type: "Ready", status: "False", lastTransitionTime: ago(seconds) }] }),
    metadata,
  }));
const endingSince = (seconds: number) =>
  pod((found) => ({ ...found, metadata: { ...found.metadata, deletionTimestamp: ago(seconds) } }));
const creating = (seconds: number, reason = "ContainerCreating") =>
  pod(({ metadata }) => ({
    ...aPod("dc1-b", waitingFor(reason)),
    metadata: { ...metadata, creationTimestamp: ago(seconds) },
  }));
const noPin = { "Secret/hsm-pin": { present: false, keys: [] } };
const damaged = { "dc1-b": down(90, "StoreDamaged", "rows are missing; run keyfleet-node verify") };

const outdated = (node: NodeInTest): NodeInTest => ({
  ...node,
  stage: "waiting",
  status: { ...node.status, incarnation: "log-1" },
});
/** It has left, may wipe its volume, and has not begun a new life for so many seconds. */
const unwiped = (seconds: number): WorldInTest => ({
  cluster: aCluster((made) => (made.metadata.annotations = { "keyfleet.io/rejoin": "dc1-b" })),
  listed: { "dc1-b": { standing: "Departed", incarnation: "log-1" } },
  nodes: { "dc1-b": outdated(down(seconds, "NoCertificate", "waits for its certificate")) },
});

/** The world, the gate that tells of dc1-b, and a part of its message and of its remedy. */
const told: readonly (readonly [string, WorldInTest, string, RegExp, RegExp])[] = [
  [
    "the HSM of a member is gone",
    { nodes: noHsm(90) },
    "memberServes dc1-b",
    /no token with label t/,
    /hsm settings of dc1-b/,
  ],
  [
    "the node's own word is all that there is",
    { nodes: damaged },
    "memberServes dc1-b",
    /^dc1-b does not serve: rows are missing; run keyfleet-node verify$/,
    /describe kmsnode dc1-b in site dc1.*take it out of the specification/,
  ],
  [
    "a node that may wipe itself and join anew does not",
    unwiped(90),
    "memberServes dc1-b",
    /^dc1-b does not serve: waits for its certificate$/,
    /describe kmsnode dc1-b in site dc1/,
  ],
  [
    "the machine of a member is lost, and the node could not say so",
    { objects: notReady(90) },
    "memberServes dc1-b",
    /pod is not ready/,
    /machine/,
  ],
  [
    "the pod of a member cannot be placed",
    { nodes: { "dc1-b": down(90, "Ending", "ends") }, objects: unboundStorage("dc1-b") },
    "memberServes dc1-b",
    /storage not bound/,
    /PersistentVolume/,
  ],
  [
    "a pod ends for ever",
    { objects: endingSince(90) },
    "memberServes dc1-b",
    /should have ended at 2026-03-01T11:58:30/,
    /--force/,
  ],
  [
    "a volume does not attach",
    { nodes: { "dc1-b": down(200, "Ending", "ends") }, objects: creating(150) },
    "memberServes dc1-b",
    /container keyserver is not made yet/,
    /kubectl describe pod dc1-b-0/,
  ],
  [
    "the pod is not there for longer than a minute, as the status of the fleet tells",
    {
      objects: replaced("Pod", "dc1-b-0"),
      cluster: aCluster((c) => {
        const ready = { ...aCondition("Ready", "False", "NodesNotServing"), lastTransitionTime: ago(90) };
        c.status = { conditions: [ready] };
      }),
    },
    "memberServes dc1-b",
    /no pod/,
    /describe statefulset dc1-b/,
  ],
  [
    "the Secret with the PIN of a member that runs is missing: its next pod would not start",
    { references: noPin },
    "referencesPresent dc1-b",
    /Secret hsm-pin with the PIN is missing/,
    /create secret/,
  ],
  [
    "a volume of a node that is to join does not attach",
    { nodes: { "dc1-b": "new" }, objects: creating(150, "PodInitializing") },
    "nodeStarted dc1-b",
    /not made yet/,
    /kubectl describe pod dc1-b-0/,
  ],
];
for (const [sentence, world, gate, message, remedy] of told)
  test(`it is told that ${sentence}`, () => {
    const { plan } = aView(world);
    const found = plan.blocked.find((one) => `${one.gate} ${one.subject}` === gate);
    assert.match(found?.message ?? `nothing of ${gate}`, message);
    assert.match(found?.remedy ?? "", remedy);
  });

const lockOf = (operation: string) => ({ heldByMe: true, holder: "dc1", operation, node: "dc1-b" });
const untold: readonly (readonly [string, WorldInTest])[] = [
  ["a member that stopped just now", { nodes: noHsm(30) }],
  ["the one that is under a step", { nodes: { "dc1-b": down(90, "Starting", "starts") }, lock: lockOf("restart") }],
  ["one that may wipe itself and was told so just now", unwiped(30)],
  ["one of another site, which tells it itself", { nodes: { "dc2-b": noHsm(90)["dc1-b"] } }],
  ["a pod that drains", { objects: endingSince(-40) }],
  ["a pod that was made anew just now", { nodes: { "dc1-b": down(90, "Ending", "") }, objects: creating(20) }],
  ["a pod that is away for a moment", { objects: replaced("Pod", "dc1-b-0") }],
];
for (const [sentence, world] of untold)
  test(`nobody is told of ${sentence}`, () => {
    assert.deepEqual(
      aView(world).plan.blocked.map(({ gate, subject }) => `${gate} ${subject}`),
      [],
    );
  });

test("a member that the specification dropped is removed, not mended", () => {
  const { plan } = aView({ cluster: without("dc1", "dc1-b"), nodes: noHsm(90), lock: { node: undefined } });
  assert.equal(plan.doing, "removing dc1-b");
  assert.ok(!plan.blocked.some(({ gate }) => gate === "memberServes"));
});

test("what may mend it goes on: the down member gets the other version first", () => {
  const { plan } = aView({ cluster: aCluster((c) => (c.spec.version = "0.2.0")), nodes: noHsm(90) });
  assert.ok(plan.kind === "act");
  assert.deepEqual(
    plan.actions.filter(({ kind }) => kind === "takeLock").map((action) => action.kind === "takeLock" && action.node),
    ["dc1-b"],
  );
});

test("an hour later the status is the same, word for word", () => {
  for (const world of [{ nodes: noHsm(90) }, { objects: endingSince(90) }, { objects: notReady(90) }]) {
    const observed = anObserved(world);
    const statusAt = (ms: number, before?: ReturnType<typeof fleetStatus>) => {
      const cluster = aCluster((made) => Object.assign(made, before === undefined ? {} : { status: before }));
      const later = { ...observed, cluster, nowMs: ms };
      const view = { desired: desiredInTest(later), observed: later, certificateNeed: () => undefined };
      return fleetStatus(view, planNext(view.desired, later, view.certificateNeed));
    };
    const first = statusAt(nowMs);
    assert.equal(first.blockedBy?.length, 1);
    assert.deepEqual(statusAt(nowMs + 3_600_000, first), first);
  }
});
