import assert from "node:assert/strict";
import { test } from "node:test";
import { SteadyClock } from "./steady-clock.ts";

function aClock() {
  const time = { wallMs: 1_000_000, monotonicMs: 0 };
  const clock = { nowMs: () => time.wallMs, monotonicMs: () => time.monotonicMs, after: () => () => {} };
  const pass = (ms: number, jumpMs = 0) => {
    time.monotonicMs += ms;
    time.wallMs += ms + jumpMs;
  };
  return { steady: new SteadyClock(clock), pass };
}

test("a clock is steady from the moment at which it is first looked at", () => {
  const { steady, pass } = aClock();
  assert.equal(steady.steadyMs(), 0);
  pass(60_000);
  assert.equal(steady.steadyMs(), 60_000);
});

for (const jumpMs of [7 * 86_400_000, -7 * 86_400_000])
  test(`a jump by ${jumpMs} ms is noticed at the next look, and time counts anew`, () => {
    const { steady, pass } = aClock();
    pass(60_000);
    steady.steadyMs();
    pass(1, jumpMs);
    assert.equal(steady.steadyMs(), 0);
    pass(30_000);
    assert.equal(steady.steadyMs(), 30_000);
  });

test("a clock that is put right slowly has not jumped", () => {
  const { steady, pass } = aClock();
  for (let minute = 0; minute < 30; minute++) {
    pass(60_000, 5_000);
    steady.steadyMs();
  }
  assert.equal(steady.steadyMs(), 30 * 60_000);
});
