import type { KubernetesObject } from "../ports/types.ts";
import { aCluster, type NodeInTest, replaced } from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";
import { caughtUp, madeAnew, oldPod, without } from "../testing/worlds.ts";

const heldFor = (operation: string, node: string) => ({ heldByMe: true, holder: "dc1", operation, node });
const changedSince = (set: KubernetesObject) => ({ ...set, metadata: { ...set.metadata, generation: 2 } });
const aJoiner = {
  others: "waiting",
  nodes: { "dc1-a": "member", "dc1-b": caughtUp("dc1-b") },
  lock: heldFor("join", "dc1-b"),
} as const;

const joining: readonly Case[] = [
  [
    "waits until the next node has a pod of its newest settings, which it may not come up with",
    { others: "waiting", nodes: { "dc1-a": "member" }, objects: oldPod("dc1-b", "False") },
    ["delete Pod dc1-b-0"],
  ],
  [
    "makes no joiner a member while newer settings wait for its next pod",
    { ...aJoiner, objects: oldPod("dc1-b", "False") },
    ["delete Pod dc1-b-0"],
  ],
  [
    "makes no joiner a member before Kubernetes has looked at its newest settings",
    { ...aJoiner, objects: replaced("StatefulSet", "dc1-b", changedSince) },
    [],
  ],
  ["makes no joiner a member while it has no pod", { ...aJoiner, objects: replaced("Pod", "dc1-b-0") }, []],
];

/** A member that keeps its settings when the specification names it no more. */
const configured: NodeInTest = {
  stage: "member",
  spec: { settings: { hsm: { ...aCluster().spec.defaults?.hsm, keyLabel: "bank-dc1-b" } } },
};
const dropped = { cluster: without("dc1", "dc1-b"), nodes: { "dc1-b": configured } };

const restarts: readonly Case[] = [
  [
    "restarts no member that the specification dropped: it leaves with the pod that it has",
    { ...dropped, objects: oldPod("dc1-b", "True") },
    ["lock for remove of dc1-b"],
  ],
  [
    "restarts a member that the specification dropped and that would not hear that it leaves",
    { ...dropped, objects: madeAnew("ServiceAccount", "dc1-b") },
    ["lock for restart of dc1-b"],
  ],
  [
    "gives the lock back of a member that the specification dropped before it was restarted",
    { ...dropped, objects: oldPod("dc1-b", "True"), lock: heldFor("restart", "dc1-b") },
    ["unlock"],
  ],
];

checkCases({ joining, restarts });
