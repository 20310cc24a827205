import assert from "node:assert/strict";
import { test } from "node:test";
import { someFacts } from "../testing/facts.ts";
import type { Facts } from "./facts.ts";
import { nodeStatus, steady } from "./status.ts";

const steps = [1, 10, 100];
const cases: readonly (readonly [string, number, number | undefined, number])[] = [
  ["rounds up to a step", 3, undefined, 10],
  ["stays at the last step beyond all", 5_000, undefined, 100],
  ["rises at once", 11, 10, 100],
  ["stays just below the step under it", 9, 100, 100],
  ["falls when it is clearly below", 4, 100, 10],
  ["stays at the lowest step", 0, 1, 1],
];
for (const [sentence, value, before, expected] of cases) {
  test(`a measured value ${sentence}`, () => assert.equal(steady(value, steps, before), expected));
}

test("a settled node reports the same status, whatever its measurements do below their steps", () => {
  const particulars = { startedAt: "t0", interfaces: [], diskUsedPercent: 12 };
  const measured = (offsetMs: number, roundTripMs: number, lagOperations: number): Facts => ({
    ...someFacts(),
    time: { servers: [{ address: "ntp", reachable: true, stratum: 2, offsetMs }] },
    replication: {
      peers: [{ name: "dc2-a", connected: true, roundTripMs, lagOperations }],
      caughtUp: true,
      runningMs: offsetMs,
    },
  });
  const first = nodeStatus(measured(0.4, 1.2, 0), particulars, undefined, "t1");
  const second = nodeStatus(measured(-0.7, 1.9, 300), { ...particulars, diskUsedPercent: 13 }, first, "t2");
  assert.deepEqual(second, first);
});

test("a lag that people should see is shown", () => {
  const facts = {
    ...someFacts(),
    replication: { peers: [{ name: "dc2-a", connected: true, lagOperations: 4_000 }], caughtUp: false, runningMs: 1 },
  };
  const status = nodeStatus(facts, { startedAt: "t0", interfaces: [] }, undefined, "t1");
  assert.equal(status.peers?.[0]?.lagOperations, 10_000);
});

for (const [sentence, outOfStep, told] of [
  ["names the sites that its writes are not waited for", ["dc3", "dc2"], ["dc2", "dc3"]],
  ["names none while all are in step", [], undefined],
] as const) {
  test(`a node ${sentence}`, () => {
    const replication = { peers: [], caughtUp: true, runningMs: 1, outOfStep };
    const status = nodeStatus({ ...someFacts(), replication }, { startedAt: "t0", interfaces: [] }, undefined, "t1");
    assert.deepEqual(status.sitesOutOfStep, told);
  });
}
