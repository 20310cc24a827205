import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubernetesObject } from "../ports/types.ts";
import { aCluster, aView, type NodeInTest, replaced } from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";
import { madeAnew, oldPod, without } from "../testing/worlds.ts";

const heldFor = (operation: string, node: string) => ({ heldByMe: true, holder: "dc1", operation, node });

/** A member that keeps its settings when the specification names it no more. */
const configured: NodeInTest = {
  stage: "member",
  spec: { settings: { hsm: { ...aCluster().spec.defaults?.hsm, keyLabel: "bank-dc1-b" } } },
};

const asking = { SettingsApplied: ["RestartNeeded", "hsm waits"] } as const;

const restarts: readonly Case[] = [
  [
    "gives a node that does not serve a pod of the newest specification at once",
    {
      nodes: { "dc1-a": { stage: "member", serving: false } },
      unreachable: ["dc2"],
      objects: oldPod("dc1-a", "False"),
    },
    ["delete Pod dc1-a-0"],
  ],
  [
    "deletes no pod while this site's own API is away, so that nobody knows that the node does not serve",
    { unreachable: ["dc1"], objects: oldPod("dc1-a", "True") },
    [],
  ],
  [
    "restarts a node that serves only under the lock",
    { objects: oldPod("dc1-a", "True") },
    ["lock for restart of dc1-a"],
  ],
  [
    "restarts a node under the lock while all others serve",
    { objects: oldPod("dc1-a", "True"), lock: heldFor("restart", "dc1-a") },
    ["delete Pod dc1-a-0"],
  ],
  [
    "does not restart a node while another is down",
    { nodes: { "dc2-b": { stage: "member", serving: false } }, objects: oldPod("dc1-a", "True") },
    [],
    ["fleetKeepsServing dc1-a"],
  ],
  [
    "restarts a node whose account was deleted and made again, because its token died with the old one",
    { objects: madeAnew("ServiceAccount", "dc1-a"), lock: heldFor("restart", "dc1-a") },
    ["delete Pod dc1-a-0"],
  ],
  [
    "does not restart a node over and over for an account that a wrong clock has dated into the future",
    { objects: madeAnew("ServiceAccount", "dc1-a"), nowMs: Date.parse("2026-03-01T11:29:00Z") },
    [],
  ],
  [
    "restarts no member that the specification dropped: it leaves with the pod that it has",
    { cluster: without("dc1", "dc1-b"), nodes: { "dc1-b": configured }, objects: oldPod("dc1-b", "True") },
    ["lock for remove of dc1-b"],
  ],
  [
    "restarts a member that the specification dropped and that would not hear that it leaves",
    { cluster: without("dc1", "dc1-b"), nodes: { "dc1-b": configured }, objects: madeAnew("ServiceAccount", "dc1-b") },
    ["lock for restart of dc1-b"],
  ],
  [
    "gives the lock back of a member that the specification dropped before it was restarted",
    {
      cluster: without("dc1", "dc1-b"),
      nodes: { "dc1-b": configured },
      objects: oldPod("dc1-b", "True"),
      lock: heldFor("restart", "dc1-b"),
    },
    ["unlock"],
  ],
  ["gives the lock back after the restart", { lock: heldFor("restart", "dc1-a") }, ["unlock"]],
  [
    "keeps the lock while the old pod drains: it is Ready, but on its way out",
    { lock: heldFor("restart", "dc1-a"), objects: replaced("Pod", "dc1-a-0", onItsWayOut) },
    [],
    [],
  ],
  [
    "does not restart a node for what it says alone: its settings may not be in its StatefulSet yet",
    { nodes: { "dc1-a": { stage: "member", bad: asking } } },
    [],
  ],
  [
    "does not restart a node that does not serve for what it says alone",
    { nodes: { "dc1-a": { stage: "member", bad: asking, serving: false } } },
    [],
    [],
  ],
  [
    "restarts a node that was given settings only under the lock, whatever it says",
    { nodes: { "dc1-a": { stage: "member", bad: asking } }, objects: oldPod("dc1-a", "True") },
    ["lock for restart of dc1-a"],
  ],
  [
    "does not restart a node that was given settings while another is down, whatever it says",
    {
      nodes: { "dc1-a": { stage: "member", bad: asking }, "dc2-b": { stage: "member", serving: false } },
      objects: oldPod("dc1-a", "True"),
    },
    [],
    ["fleetKeepsServing dc1-a"],
  ],
  [
    "does not restart a node that was given settings outside the windows, whatever it says",
    {
      cluster: aCluster(({ spec }) => (spec.upgrade = { windows: [{ cron: "0 2 * * *", duration: "4h" }] })),
      nodes: { "dc1-a": { stage: "member", bad: asking } },
      objects: oldPod("dc1-a", "True"),
    },
    [],
  ],
];

checkCases({ restarts });

test("restarts without the lock rest on the pod and on what the node says: they are done only while both are so", () => {
  const { plan } = aView({
    nodes: { "dc1-a": { stage: "member", serving: false } },
    objects: oldPod("dc1-a", "False"),
  });
  const [action] = plan.kind === "act" ? plan.actions.filter(({ kind }) => kind === "delete") : [];
  assert.ok(action?.kind === "delete");
  assert.deepEqual(
    action.asSeen?.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    ["KmsNode dc1-a"],
  );
});

function onItsWayOut(pod: KubernetesObject): KubernetesObject {
  return { ...pod, metadata: { ...pod.metadata, deletionTimestamp: "2026-03-01T12:00:00Z" } };
}
