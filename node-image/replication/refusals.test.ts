import assert from "node:assert/strict";
import { test } from "node:test";
import { notShown, Refusals } from "./refusals.ts";

const [one, other] = ["one", "other"];
const heads = new Map([
  [one, 7],
  [other, 3],
]);

function someRefusals() {
  const clock = { ms: 0 };
  const refusals = new Refusals(() => clock.ms);
  const again = () => {
    clock.ms += 15_000;
  };
  return { refusals, again };
}

test("a log that is refused is asked for again after a while, and told of until that has an answer", () => {
  const { refusals, again } = someRefusals();
  assert.equal(refusals.refuse(one, "badMac"), true);
  assert.equal(refusals.has(one), true);
  again();
  assert.equal(refusals.has(one), false);
  assert.deepEqual([refusals.none, refusals.reasons()], [false, { one: "badMac" }]);
});

test("one that was had from another peer meanwhile is not told of for ever", () => {
  const { refusals, again } = someRefusals();
  refusals.refuse(one, "badMac");
  refusals.refuse(other, "badMac");
  refusals.settle(() => false);
  assert.deepEqual(Object.keys(refusals.reasons()), [one, other], "not before it was to be asked for again");
  again();
  refusals.settle((origin) => origin === other);
  assert.deepEqual(Object.keys(refusals.reasons()), [other]);
});

test("what is refused for the same reason again is no news", () => {
  const { refusals, again } = someRefusals();
  assert.deepEqual([refusals.refuse(one, "forked"), refusals.refuse(one, "forked")], [true, false]);
  again();
  assert.deepEqual([refusals.refuse(one, "forked"), refusals.refuse(one, "badMac")], [false, true]);
});

for (const [reason, taken, shown] of [
  ["forked", [other], [one, other]],
  ["clockTooFarAhead", [other], [one, other]],
  ["badMac", [one, other], [one, other]],
  [notShown, [one, other], [other]],
] as const)
  test(`a log that is refused as ${reason} counts among what is to be had, or what the peer holds, as that says`, () => {
    const { refusals, again } = someRefusals();
    refusals.refuse(one, reason);
    assert.deepEqual([...refusals.taken(heads).keys()], taken);
    assert.deepEqual([...refusals.shown(heads).keys()], shown);
    again();
    assert.deepEqual([...refusals.taken(heads).keys()], taken, "until it is asked for again");
    assert.deepEqual([...refusals.shown(heads).keys()], [one, other]);
  });
