import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeSettings } from "@keyfleet/crds/kms-node.ts";
import { changedSince } from "@keyfleet/crds/restart-settings.ts";
import { aCluster, anObserved, desiredInTest } from "../testing/builders.ts";

interface Container {
  readonly env: readonly { readonly name: string; readonly value: string }[];
}

/** The node dc1-a as it shall be with such settings, of which it has none yet. */
function made(settings: NodeSettings) {
  const cluster = aCluster(({ spec }) => (spec.defaults = { ...spec.defaults, ...settings }));
  const { kmsNode, objects } = desiredInTest(anObserved({ cluster, nodes: { "dc1-a": "waiting" } })).nodes[0] ?? {};
  const set = objects?.find(({ kind }) => kind === "StatefulSet")?.spec as { template: { spec: PodSpec } } | undefined;
  assert.ok(kmsNode !== undefined && set !== undefined);
  const { template } = set;
  const digest = template.spec.containers[0]?.env.find(({ name }) => name === "KEYFLEET_STARTED_WITH")?.value ?? "";
  return { settings: kmsNode.spec.settings, template: JSON.stringify(template), digest };
}

interface PodSpec {
  readonly containers: readonly Container[];
}

// A case is a sentence, settings, and the fields that a pod which was made without them does not have.
const cases: readonly (readonly [string, NodeSettings, readonly string[]])[] = [
  ["another token", { hsm: { library: "/l.so", token: { serial: "7" }, pinSecretRef: { name: "hsm-pin" } } }, ["hsm"]],
  ["the processor it asks for", { resources: { requests: { cpu: "1" } } }, ["resources"]],
  ["where it may run", { placement: { nodeSelector: { disk: "ssd" } } }, ["placement"]],
  [
    "the port of HTTPS, at which only a node that was started anew listens",
    { interfaces: { rest: { port: 9443 } } },
    ["interfaces"],
  ],
  ["a certificate of its own", { interfaces: { kmip: { certificateSecretRef: { name: "c" } } } }, ["interfaces"]],
  ["the machine's network", { exposure: { type: "HostNetwork" } }, ["exposure"]],
  ["annotations of its Services", { exposure: { annotations: { pool: "a" } } }, []],
  ["a port that its Service maps", { interfaces: { kmip: { port: 7777 } } }, []],
  ["what is reloaded live", { logs: { level: "debug" } }, []],
];

for (const [what, settings, fields] of cases)
  test(`a pod that was made before a change of ${what} ${fields.length === 0 ? "stays" : "is out of date, and its node can say so"}`, () => {
    const [before, after] = [made({}), made(settings)];
    assert.deepEqual(changedSince(before.digest, after.settings), fields);
    assert.equal(before.template !== after.template, fields.length > 0);
    assert.deepEqual(changedSince(after.digest, after.settings), []);
  });
