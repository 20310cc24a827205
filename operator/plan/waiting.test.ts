import assert from "node:assert/strict";
import { test } from "node:test";
import { rollingAnnotation, settingsBeforeAnnotation } from "../desired/consent.ts";
import type { Action, KmsCluster, KmsNode, Observed } from "../ports/types.ts";
import {
  aCluster,
  aCondition,
  anObserved,
  desiredInTest,
  inWords,
  type NodeInTest,
  type WorldInTest,
  withOldPod,
} from "../testing/builders.ts";
import { planNext } from "./plan.ts";

const before = { hsm: { ...aCluster().spec.defaults?.hsm, library: "/before.so" } };
const [longAgo, justNow] = ["2026-03-01T11:50:00Z", "2026-03-01T11:59:30Z"];

const marks = { [rollingAnnotation]: "0.1.0", [settingsBeforeAnnotation]: JSON.stringify(before) };

/** It was given settings, and its pod is older. */
const given: NodeInTest = { stage: "member", annotations: marks };

function down(since: string): NodeInTest {
  const serving = { ...aCondition("Serving", "False", "RootOfTrustUnavailable"), lastTransitionTime: since };
  return { stage: "member", serving: false, status: { conditions: [serving] } };
}

/** dc1-a serves with settings that wait, dc1-b does not serve since then. */
const waits = (since: string): WorldInTest => ({
  nodes: { "dc1-a": given, "dc1-b": down(since) },
  objects: withOldPod("dc1-a"),
});

/** The document has other settings for dc1-b, and those that wait for dc1-a. */
const ofB = withLibraries({ "dc1-b": "/own.so" });
/** It has others for all. */
const ofAll = aCluster(({ spec }) => (spec.defaults = { ...spec.defaults, hsm: { library: "/new.so" } }));

function withLibraries(libraries: Readonly<Record<string, string>>): KmsCluster {
  return aCluster(({ spec }) => {
    for (const node of spec.sites.flatMap(({ nodes }) => nodes)) {
      const library = libraries[node.name];
      if (library !== undefined) node.settings = { hsm: { library } };
    }
  });
}

/** What is done once the document has become another one. */
function planOf(cluster: KmsCluster, world: WorldInTest): readonly Action[] {
  const observed = { ...anObserved(world), cluster };
  const plan = planNext(desiredInTest(observed), observed, () => undefined);
  return plan.kind === "act" ? plan.actions : [];
}

function wordsOf(actions: readonly Action[]): string[] {
  return inWords({ kind: "act", actions, doing: undefined, blocked: [] }).does.sort();
}

for (const [sentence, cluster, world, does] of [
  [
    "are taken back, and given to nobody meanwhile, while another does not come back without others",
    ofB,
    waits(longAgo),
    ["apply KmsNode dc1-a"],
  ],
  ["stay while that may come back by itself", ofB, waits(justNow), []],
  ["are taken back at once when the document has overtaken them", ofAll, waits(justNow), ["apply KmsNode dc1-a"]],
  [
    "are taken back while another site holds the lock for a node that has joined",
    ofAll,
    { ...waits(justNow), lock: { heldByMe: false, holder: "dc2", operation: "join", node: "dc2-a" } },
    ["apply KmsNode dc1-a"],
  ],
  [
    "are waited for under the lock for a node that has joined, until its own site has taken them back",
    ofAll,
    {
      nodes: { "dc2-a": given, "dc1-b": down(justNow) },
      lock: { heldByMe: true, holder: "dc1", operation: "join", node: "dc1-b" },
    },
    [],
  ],
  [
    "of another site and were taken back keep new ones from others until its StatefulSet has let go of them",
    ofAll,
    { nodes: { "dc2-a": { ...given, spec: { settings: before } }, "dc1-b": down(longAgo) } },
    [],
  ],
  [
    "of another site that have not reached a pod keep new ones from a node that says why it does not serve",
    ofAll,
    { nodes: { "dc2-a": { ...given, serving: false }, "dc1-b": down(longAgo) } },
    [],
  ],
  [
    "stay while all others serve: the node is restarted into them",
    aCluster(),
    { nodes: { "dc1-a": given }, objects: withOldPod("dc1-a") },
    ["lock for restart of dc1-a"],
  ],
  [
    "stay while paused",
    aCluster(({ spec }) => Object.assign(spec, ofAll.spec, { pause: "Orchestration" })),
    waits(longAgo),
    [],
  ],
  [
    "are forgotten when they have reached the pod",
    ofB,
    { nodes: { "dc1-a": given } },
    ["apply KmsNode dc1-a", "lock for settings of dc1-a"],
  ],
] as const satisfies readonly (readonly [string, KmsCluster, WorldInTest, readonly string[]])[])
  test(`settings that wait for the pod of a node ${sentence}`, () => {
    assert.deepEqual(wordsOf(planOf(cluster, world)), does);
  });

function nodeOf({ sites }: Observed, name: string): KmsNode {
  const node = sites.flatMap(({ nodes }) => nodes).find(({ metadata }) => metadata.name === name);
  assert.ok(node !== undefined);
  return node;
}

/** What is applied of a node. */
function applied(actions: readonly Action[], name: string): KmsNode {
  const action = actions.find(
    (one) => one.kind === "apply" && one.object.kind === "KmsNode" && one.object.metadata.name === name,
  );
  assert.ok(action?.kind === "apply");
  return action.object as unknown as KmsNode;
}

test("a node from which settings are taken back has those of its pod, which stay noted, and no step of it is under way", () => {
  const { spec, metadata } = applied(planOf(ofB, waits(longAgo)), "dc1-a");
  const noted = { [settingsBeforeAnnotation]: JSON.stringify(before) };
  assert.deepEqual([spec.settings.hsm, metadata.annotations], [before.hsm, noted]);
});

test("settings that are back are no longer noted when the StatefulSet has them, though the pod waits for another version", () => {
  const { settings } = nodeOf(anObserved(), "dc1-a").spec;
  const annotations = { ...marks, [settingsBeforeAnnotation]: JSON.stringify(settings) };
  const node = { ...given, spec: { version: "0.2.0", settings }, annotations };
  const world = { nodes: { "dc1-a": node, "dc1-b": down(longAgo) }, objects: withOldPod("dc1-a") };
  const { metadata } = applied(planOf(ofB, world), "dc1-a");
  assert.deepEqual(metadata.annotations, { [rollingAnnotation]: "0.1.0" });
});

test("settings that have reached the pod stay, and its step is not over", () => {
  const { spec, metadata } = applied(planOf(ofB, { nodes: { "dc1-a": given } }), "dc1-a");
  const { library } = aCluster().spec.defaults?.hsm ?? {};
  assert.deepEqual([spec.settings.hsm?.library, metadata.annotations], [library, { [rollingAnnotation]: "0.1.0" }]);
});

for (const [sentence, annotations, world, library] of [
  [
    "what it had before is kept beside them",
    {},
    { objects: withOldPod("dc1-b") },
    aCluster().spec.defaults?.hsm?.library,
  ],
  [
    "and which did not get them either, what it had before the first is kept",
    marks,
    { objects: withOldPod("dc1-b") },
    "/before.so",
  ],
  [
    "and whose pod has those that it was given before, these are kept",
    marks,
    {},
    aCluster().spec.defaults?.hsm?.library,
  ],
] as const)
  test(`when a node is given settings, ${sentence}`, () => {
    const node = { ...down(longAgo), annotations };
    const { metadata } = applied(planOf(ofB, { nodes: { "dc1-b": node }, ...world }), "dc1-b");
    const kept = JSON.parse(metadata.annotations?.[settingsBeforeAnnotation] ?? "{}");
    assert.equal(kept.hsm.library, library);
  });
