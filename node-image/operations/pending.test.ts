import assert from "node:assert/strict";
import { test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { findItem, item, payload } from "../testing/items.ts";
import { operation, requestMessage } from "../testing/kmip-client.ts";
import { kmipSite } from "../testing/kmip-site.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { encode } from "../ttlv/encode.ts";
import { pendingLimits, pendingWorks, waitingLimits } from "./pending.ts";

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

test("of one caller, and of all, so many requests wait for what is pending and no more: others need their places", async (t) => {
  const { works } = aList(t.mock.timers);
  const { promise, resolve } = Promise.withResolvers<string>();
  const begin = (owner: string) => {
    const correlation = works.start(owner, () => promise);
    return () => works.done(owner, correlation);
  };
  const wait = begin("a");
  const waits = Array.from({ length: waitingLimits.perCaller }, wait);
  await assert.rejects(wait(), /Poll instead/);
  for (let at = 1; waits.length < waitingLimits.all; at += 1) {
    waits.push(...Array.from({ length: waitingLimits.perCaller }, begin(`caller ${at}`)));
  }
  await assert.rejects(begin("late")(), /Poll instead/);
  resolve("done");
  await Promise.all(waits);
  await wait();
  await begin("late")();
});

test("through the door: a caller whose requests all wait for something pending keeps nobody from being served", async (t) => {
  const written = Promise.withResolvers<void>();
  const store = memoryStore();
  const write: typeof store.write = (changes) => written.promise.then(() => store.write(changes));
  const places = waitingLimits.perCaller + 4;
  const site = await kmipSite({ store: { ...store, write }, limits: { requestsInFlightMax: places } });
  t.after(() => site.close());
  const greedy = await Promise.all(
    Array.from({ length: places }, () => site.connect("O=bank, CN=greedy", { version: 21 })),
  );
  const [first] = greedy;
  assert.ok(first);
  const asked = payload(item.enumeration(tag.ObjectType, 2), item.structure(tag.Attributes, ...aes));
  const header = [item.enumeration(tag.AsynchronousIndicator, 1)];
  const begun = await first.exchange(
    encode(requestMessage([{ operation: operation.create, payload: asked }], { version: 21, header })),
  );
  const correlation = findItem(begun, tag.AsynchronousCorrelationValue);
  assert.ok(correlation);
  const waits = greedy.map((each) =>
    each.call(0x3a, correlation).then(
      () => true,
      () => false,
    ),
  );
  const other = await site.connect("O=bank, CN=other", { version: 21, timeoutMs: 2_000 });
  await other.call(operation.query, item.enumeration(tag.QueryFunction, 1));
  written.resolve();
  const served = (await Promise.all(waits)).filter((each) => each).length;
  assert.equal(served, waitingLimits.perCaller);
});

const aes = [
  item.enumeration(tag.CryptographicAlgorithm, 3),
  item.integer(tag.CryptographicLength, 256),
  item.integer(tag.CryptographicUsageMask, 12),
];
