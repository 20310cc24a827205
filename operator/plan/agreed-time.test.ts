import assert from "node:assert/strict";
import { test } from "node:test";
import { aCluster, aView, nowMs, type WorldInTest } from "../testing/builders.ts";
import { manyNodes } from "../testing/worlds.ts";
import { agreedTime, doubtOf } from "./agreed-time.ts";

const week = 7 * 86_400_000;
const off = ["OffsetTooLarge", "its clock is off"] as const;
const alone = manyNodes(2);
const twoLost = aCluster((c) => (c.spec.recovery = { lostSites: ["dc2", "dc3"] }));
const nobodyServes = {
  "dc1-0": { stage: "member", serving: false },
  "dc1-1": { stage: "member", serving: false },
} as const;

const agreed: readonly (readonly [string, WorldInTest])[] = [
  ["every site's API server says the same", {}],
  ["one of three API servers is off", { apiClocks: { dc2: week } }],
  ["this site's own API server is off, the others agree", { apiClocks: { dc1: -week } }],
  ["one of three sites does not answer", { unreachable: ["dc3"] }],
  ["clocks differ by a minute", { apiClocks: { dc1: 60_000, dc2: -60_000 } }],
  ["two sites are named lost, this one's server and nodes agree", { cluster: twoLost, unreachable: ["dc2", "dc3"] }],
  ["there is one site, whose server and nodes agree", { cluster: alone }],
  [
    "a node of another site says that its clock is off",
    { nodes: { "dc2-a": { stage: "member", bad: { TimeSynchronised: off } } } },
  ],
];
for (const [what, world] of agreed)
  test(`the time is agreed when ${what}`, () => assert.equal(doubtOf(aView(world).view), undefined));

const doubted: readonly (readonly [string, WorldInTest, RegExp])[] = [
  [
    "the operator is a week ahead",
    { apiClocks: { dc1: -week, dc2: -week, dc3: -week } },
    /differs .* of dc1, dc2, dc3$/,
  ],
  [
    "the operator and its own API server are a week ahead",
    { apiClocks: { dc2: -week, dc3: -week } },
    /differs .* of dc2, dc3$/,
  ],
  ["the operator is a week behind", { apiClocks: { dc1: week, dc2: week, dc3: week } }, /differs/],
  ["three clocks say three things", { apiClocks: { dc2: week, dc3: -week } }, /differs .* of dc2, dc3$/],
  ["one site answers of three", { unreachable: ["dc2", "dc3"] }, /API servers of dc2, dc3 do not answer/],
  ["no server has told its time", { apiClocks: { dc1: "silent", dc2: "silent" } }, /dc1, dc2 do not answer/],
  [
    "sites that are named lost are the only ones that agree",
    { cluster: twoLost, apiClocks: { dc1: -week } },
    /of dc1$/,
  ],
  [
    "a node of this site says that its clock is off: all API servers may be one machine",
    { nodes: { "dc1-b": { stage: "member", bad: { TimeSynchronised: off } } } },
    /may be off as that of dc1-b/,
  ],
  ["there is one site and no node of it serves", { cluster: alone, nodes: nobodyServes }, /no node serves/],
  ["this process began a moment ago", { clockSteadyMs: 60_000 }, /has not been watched/],
];
for (const [what, world, message] of doubted)
  test(`the time is in doubt when ${what}`, () => {
    const { view } = aView(world);
    assert.match(doubtOf(view)?.message ?? "", message);
    assert.equal(agreedTime(view), undefined);
  });

test("its bounds hold every clock that agrees, and none that does not", () => {
  const { view } = aView({ apiClocks: { dc1: 60_000, dc2: -60_000, dc3: week } });
  assert.deepEqual(agreedTime(view), { earliestMs: nowMs - 60_010, latestMs: nowMs + 61_010 });
});

test("only what has just begun is not told: it passes by itself", () => {
  const passing = (world: WorldInTest) => doubtOf(aView(world).view)?.passing;
  assert.deepEqual(
    [passing({ clockSteadyMs: 0 }), passing({ apiClocks: { dc2: week, dc3: week } })],
    [true, undefined],
  );
});
