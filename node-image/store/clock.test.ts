import assert from "node:assert/strict";
import { test } from "node:test";
import { aheadMaxMs, LogicalClock, settledMs } from "./clock.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const trueMs = 1_800_000_000_000;

/** A clock on a machine whose own is so wrong, after it has heard the peers', which are so wrong. */
function aClock(offMs: number, ...peersOffMs: readonly number[]) {
  const steady = { ms: 500 };
  const clock = new LogicalClock(
    () => trueMs + offMs + steady.ms,
    () => steady.ms,
  );
  for (const [at, peerOffMs] of peersOffMs.entries()) clock.hear(`peer ${at}`, trueMs + steady.ms + peerOffMs);
  const stampedOffMs = () => Number(clock.tick() >> 16n) - trueMs - steady.ms;
  return { clock, steady, stampedOffMs };
}

const cases: readonly (readonly [sentence: string, own: number, peers: readonly number[], stamped: number])[] = [
  ["that has heard nobody is used as it is", 10 * dayMs, [], 10 * dayMs],
  ["that is right is used", 0, [0, 0], 0],
  ["that is half an hour ahead of all is used", hourMs / 2, [0, 0], hourMs / 2],
  ["that is two days ahead of all is not used", 2 * dayMs, [0, 1_000], 1_000],
  ["that is two days behind all is not used", -2 * dayMs, [-1_000, 0], -1_000],
  ["that is right is used beside one that is far ahead", 0, [2 * dayMs, 0], 0],
  ["that is right is used beside one that says the year 1970", 0, [-trueMs, 0], 0],
  ["that is right is used beside a single one far ahead", 0, [2 * dayMs], 0],
  ["that is far ahead of a single one is not used", 2 * dayMs, [0], 0],
  ["that says what two others say, of five, is not used", 2 * dayMs, [2 * dayMs, 0, 0, 0], 0],
];

const refused: readonly (readonly [sentence: string, heldOffMs: number, peers: readonly number[], refused: boolean])[] =
  [
    ["runs two days ahead of all others is refused by them", 2 * dayMs, [0, 0], true],
    ["runs two days ahead of the only other one is, too", 2 * dayMs, [0], true],
    ["runs two days ahead of whoever is not heard is not known to be", 2 * dayMs, [], false],
    ["runs two days ahead as all others do is not", 2 * dayMs, [2 * dayMs, 2 * dayMs], false],
    ["runs half a day ahead is not", dayMs / 2, [0, 0], false],
  ];
for (const [sentence, heldOffMs, peers, isRefused] of refused)
  test(`a log that ${sentence}`, () => {
    const { clock, steady } = aClock(0, ...peers);
    clock.follow(BigInt(trueMs + heldOffMs) << 16n);
    steady.ms += settledMs;
    assert.equal(clock.isRefused, isRefused);
  });

for (const [sentence, own, peers, stamped] of cases) {
  test(`a clock ${sentence}`, () => assert.equal(aClock(own, ...peers).stampedOffMs(), stamped));
}

const judged: readonly (readonly [
  sentence: string,
  own: number,
  peers: readonly number[],
  off: number,
  refused: boolean,
])[] = [
  ["of now, by a right clock beside a single one two years behind", 0, [-730 * dayMs], 0, false],
  ["of now, by a clock two years behind beside a single right one", -730 * dayMs, [0], 0, false],
  ["of now, by a right clock beside two that are two years behind", 0, [-730 * dayMs, -730 * dayMs], 0, false],
  ["of now, by a clock two years behind beside two right ones", -730 * dayMs, [0, 0], 0, false],
  ["two days ahead, by a right clock beside two right ones", 0, [0, 0], 2 * dayMs, true],
  ["two days ahead, by a right clock beside one of two that is", 0, [2 * dayMs, 0], 2 * dayMs, true],
];
for (const [sentence, own, peers, off, refused] of judged) {
  test(`a time stamp is ${refused ? "refused" : "taken"} ${sentence}`, () => {
    const { clock, steady } = aClock(own, ...peers);
    steady.ms += settledMs;
    assert.equal(clock.refuses(BigInt(trueMs + steady.ms + off) << 16n), refused);
  });
}

test("what the first peer says is not taken for the time of all at once, but when others had time to be heard", () => {
  const { clock, steady } = aClock(0, 730 * dayMs);
  const isRefused = () => clock.refuses(BigInt(trueMs + steady.ms + 730 * dayMs) << 16n);
  assert.deepEqual([clock.isSettled, isRefused()], [false, true]);
  steady.ms += settledMs;
  assert.deepEqual([clock.isSettled, isRefused()], [true, false]);
  clock.hear("another", trueMs + steady.ms);
  assert.equal(isRefused(), true);
});

test("where what is held runs years ahead, what goes on from there is taken, and nothing that runs further ahead", () => {
  const { clock, steady } = aClock(0, 0, 0);
  const future = (offMs: number) => BigInt(trueMs + steady.ms + 730 * dayMs + offMs) << 16n;
  assert.equal(clock.refuses(future(0)), true);
  clock.follow(future(0));
  assert.deepEqual(
    [0, 60_000, 2 * hourMs].map((ms) => clock.refuses(future(ms))),
    [false, false, true],
  );
});

test("nobody is led far ahead by steps that are small each", () => {
  const { clock, steady } = aClock(0, 0, 0);
  let ms = trueMs + steady.ms;
  while (ms < trueMs + 3 * dayMs && !clock.refuses(BigInt(ms) << 16n)) {
    clock.follow(BigInt(ms) << 16n);
    ms += hourMs / 2;
  }
  assert.ok(ms - trueMs <= aheadMaxMs + hourMs, `${ms - trueMs} ms ahead`);
});

test("what is found wrong is run on by the steady time", () => {
  const { steady, stampedOffMs } = aClock(2 * dayMs, 0, 0);
  steady.ms += hourMs;
  assert.equal(stampedOffMs(), 0);
});

test("a peer that was not heard for a while counts no longer once another is", () => {
  const { clock, steady, stampedOffMs } = aClock(2 * dayMs, 2 * dayMs);
  assert.equal(stampedOffMs(), 2 * dayMs);
  const late = aClock(2 * dayMs, 2 * dayMs);
  late.steady.ms += hourMs;
  late.clock.hear("another", trueMs + late.steady.ms);
  assert.equal(late.stampedOffMs(), 0);
  clock.hear("another", trueMs + steady.ms);
  assert.equal(clock.refuses(BigInt(trueMs + 3 * dayMs) << 16n), false, "both count: of three the middle one");
});

test("after a start, hearing nobody, it stamps nothing more than an hour later than what is in the database, however often", () => {
  const latest = BigInt(trueMs) << 16n;
  const { clock } = aClock(10 * dayMs);
  clock.follow(latest);
  const [first, second] = [clock.tick(), clock.tick()];
  assert.ok(second > first && first > latest);
  clock.follow(second);
  assert.ok(Number(clock.tick() >> 16n) <= trueMs + hourMs);
  clock.hear("peer", trueMs);
  assert.equal(clock.refuses((BigInt(trueMs + aheadMaxMs) << 16n) - 1n), false);
});

test("time goes on from what was stamped or followed, whatever any clock says then", () => {
  const { clock, steady } = aClock(0);
  const before = clock.tick();
  const followed = before + (BigInt(dayMs) << 16n);
  clock.follow(followed);
  clock.hear("peer", trueMs - dayMs);
  steady.ms -= 100;
  assert.ok(clock.tick() > followed);
});
