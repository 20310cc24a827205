import assert from "node:assert/strict";
import { test } from "node:test";
import type { KmsClusterStatus } from "@keyfleet/crds/kms-cluster.ts";
import { failures } from "../plan/failures.ts";
import { aCluster, aView, replaced, type WorldInTest } from "../testing/builders.ts";
import { fleetStatus } from "./fleet-status.ts";

for (const [message, remedy] of [
  ["services is forbidden: exceeded quota", /the right or the quota/],
  [
    'Service "dc1-a-kmip" is invalid: spec.ports[0].nodePort: Invalid value: 15696: provided port is not in the valid range. The range of valid ports is 30000-32767',
    /the range that the message names; correct or remove interfaces/,
  ],
  [
    'Service "dc1-a-kmip" is invalid: spec.ports[0].nodePort: Invalid value: 30696: provided port is already allocated',
    /another Service has that port; give interfaces/,
  ],
] as const)
  test(`what the API server refuses is seen in the status with what to do: ${message}`, () => {
    const { view, plan } = aView({ objects: replaced("Service", "dc1-a-kmip") });
    assert.ok(plan.kind === "act" && plan.actions[0] !== undefined);
    const status = fleetStatus(view, failures(plan, [{ action: plan.actions[0], message }]));
    assert.ok(status.message?.includes(`Service dc1-a-kmip of dc1-a is missing, but: ${message}`), status.message);
    assert.match(status.blockedBy?.[0]?.remedy ?? "", remedy);
  });

const rollingDc1a: WorldInTest = {
  nodes: { "dc1-a": { stage: "member", annotations: { "keyfleet.io/rolling": "0.1.0" } } },
  lock: { heldByMe: true, holder: "dc1", operation: "settings", node: "dc1-a" },
  objects: replaced("StatefulSet", "dc1-a", (set) => ({ ...set, metadata: { ...set.metadata, annotations: {} } })),
};
const tooMuch =
  'StatefulSet "dc1-a" is invalid: requests: Invalid value: "128Mi": must be less than or equal to memory limit';
const refusedSet = `StatefulSet dc1-a of dc1-a differs, but: ${tooMuch}`;
/** The status of dc1, whose API server refuses what the step of dc1-a needs. */
function statusOfRefused(): KmsClusterStatus {
  const { view, plan } = aView(rollingDc1a);
  assert.ok(plan.kind === "act");
  const action = plan.actions.find((one) => one.kind === "apply" && one.object.kind === "StatefulSet");
  assert.ok(action);
  return fleetStatus(view, failures(plan, [{ action, message: tooMuch }]));
}

test("a step that the API server does not let go on says so, and is not busy", () => {
  const { message, blockedBy } = statusOfRefused();
  assert.equal(message, `waiting: dc1-a: ${refusedSet}`);
  assert.deepEqual(
    blockedBy?.map(({ gate, subject }) => [gate, subject]),
    [["apiAccepts", "dc1-a"]],
  );
});

test("the other sites tell it too", () => {
  const { blockedBy = [] } = statusOfRefused();
  const copies = { dc1: aCluster((made) => (made.status = { blockedBy })) };
  const { view, plan } = aView({ ...rollingDc1a, site: "dc2", lock: { holder: "dc1" }, copies });
  const status = fleetStatus(view, plan);
  assert.deepEqual([status.message, status.blockedBy], [`waiting: dc1-a: ${refusedSet}`, blockedBy]);
});
