import assert from "node:assert/strict";
import { test } from "node:test";
import { pendingLimits, pendingWorks } from "./pending.ts";

/** Works whose timers are the test's, and the results that were dropped unread. */
function aList(timers: { enable(options: { apis: ["setTimeout"] }): void }) {
  timers.enable({ apis: ["setTimeout"] });
  const forgotten: unknown[] = [];
  const works = pendingWorks(
    () => 0,
    (result) => void forgotten.push(result),
  );
  const finished = async (result: unknown) => {
    const correlation = works.start("a", async () => result);
    await works.done("a", correlation);
    return correlation;
  };
  return { works, forgotten, finished };
}

test("a result that nobody fetches is dropped when its time is over, though nobody asks for anything", async (t) => {
  const { forgotten, finished } = aList(t.mock.timers);
  await finished("one");
  t.mock.timers.tick(pendingLimits.keptMs - 1);
  assert.deepEqual(forgotten, []);
  t.mock.timers.tick(1);
  assert.deepEqual(forgotten, ["one"]);
});

test("a result that was fetched is its reader's; given back it waits for another time", async (t) => {
  const { works, forgotten, finished } = aList(t.mock.timers);
  const [one, two] = [await finished("one"), await finished("two")];
  const polled = [works.poll("a", one), works.poll("a", two)];
  assert.deepEqual(
    polled.map((each) => each.kind === "done" && each.result),
    ["one", "two"],
  );
  if (polled[1]?.kind === "done") polled[1].giveBack();
  t.mock.timers.tick(pendingLimits.keptMs);
  assert.deepEqual(forgotten, ["two"]);
});

test("what is done after it was canceled is dropped at once", async (t) => {
  const { works, forgotten } = aList(t.mock.timers);
  const { promise, resolve } = Promise.withResolvers<string>();
  works.cancel(
    "a",
    works.start("a", () => promise),
  );
  resolve("late");
  await new Promise((turn) => setImmediate(turn));
  assert.deepEqual(forgotten, ["late"]);
});
