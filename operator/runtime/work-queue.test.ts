import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock, settle } from "../testing/fake-clock.ts";
import { quietLog } from "../testing/quiet-log.ts";
import { type Handled, WorkQueue } from "./work-queue.ts";

/** A queue whose passes are ended by the test, and the passes begun so far. */
function aQueue(workers = 2) {
  const clock = new FakeClock();
  const passes: { key: string; atMs: number; signal: AbortSignal; end: (result?: Handled | Error) => Promise<void> }[] =
    [];
  const startMs = clock.nowMs();
  const handle = (key: string, signal: AbortSignal) =>
    new Promise<Handled>((resolve, reject) => {
      const end = async (result: Handled | Error = {}) => {
        if (result instanceof Error) reject(result);
        else resolve(result);
        await settle();
      };
      passes.push({ key, atMs: clock.nowMs() - startMs, signal, end });
    });
  const queue = new WorkQueue({ handle, clock, log: quietLog(), workers, passCeilingMs: 30_000 });
  const keys = () => passes.map(({ key }) => key);
  return { clock, queue, passes, keys };
}

test("a key that is added often is handled once", async () => {
  const { clock, queue, keys } = aQueue();
  for (let time = 0; time < 5; time++) queue.add("bank");
  await clock.advance(10);
  assert.deepEqual(keys(), ["bank"]);
});

test("a key that is added during its pass is handled once more afterwards, never at the same time", async () => {
  const { clock, queue, keys, passes } = aQueue();
  queue.add("bank");
  await clock.advance(10);
  for (let time = 0; time < 5; time++) queue.add("bank");
  await clock.advance(10_000);
  assert.deepEqual(keys(), ["bank"]);
  await passes[0]?.end();
  await clock.advance(1_000);
  assert.deepEqual(keys(), ["bank", "bank"]);
});

test("keys are handled side by side, as many as there are workers", async () => {
  const { clock, queue, keys, passes } = aQueue(2);
  for (const key of ["a", "b", "c"]) queue.add(key);
  await clock.advance(10);
  assert.deepEqual(keys(), ["a", "b"]);
  await passes[1]?.end();
  assert.deepEqual(keys(), ["a", "b", "c"]);
});

test("a key comes back when its pass asked for it, sooner when something changes", async () => {
  const { clock, queue, passes } = aQueue();
  queue.add("bank");
  await clock.advance(10);
  await passes[0]?.end({ requeueAfterMs: 5_000 });
  await clock.advance(4_000);
  assert.equal(passes.length, 1);
  queue.add("bank");
  await clock.advance(200);
  assert.equal(passes.length, 2);
});

test("failures wait longer each time, at most 30 s, and are forgotten after a success", async () => {
  const { clock, queue, passes } = aQueue();
  queue.add("bank");
  await clock.advance(1);
  for (let time = 0; time < 10; time++) {
    await passes.at(-1)?.end(new Error("refused"));
    await clock.advance(30_000);
  }
  const gaps = passes.slice(1).map(({ atMs }, at) => atMs - (passes[at]?.atMs ?? 0));
  assert.deepEqual(passes.length, 11);
  await passes.at(-1)?.end({ requeueAfterMs: 1_000 });
  await clock.advance(1_000);
  const before = clock.nowMs();
  await passes.at(-1)?.end(new Error("refused"));
  await clock.advance(300);
  assert.equal(passes.length, 13, `${before} ${gaps}`);
});

test("a pass that failed and has more to do is looked at again by then, and its failures still count", async () => {
  const { clock, queue, passes } = aQueue();
  queue.add("bank");
  await clock.advance(1);
  const failed = (requeueAfterMs?: number) => Object.assign(new Error("one action was refused"), { requeueAfterMs });
  for (let time = 0; time < 10; time++) {
    await passes.at(-1)?.end(failed(1_000));
    await clock.advance(1_000);
  }
  assert.equal(passes.length, 11);
  await passes.at(-1)?.end(failed());
  await clock.advance(29_000);
  assert.equal(passes.length, 11, "nothing else is to do: it waits as long as after ten failures");
  await clock.advance(2_000);
  assert.equal(passes.length, 12);
});

test("whatever asks for it, one key is not handled more than ten times a second", async () => {
  const { clock, queue, passes } = aQueue();
  queue.add("bank");
  for (let time = 0; time < 200; time++) {
    await clock.advance(10);
    await passes.at(-1)?.end();
    queue.add("bank");
  }
  assert.ok(passes.length <= 21, `${passes.length} passes in 2 s`);
});

test("a pass that takes too long is told to stop, and its key still has one worker only", async () => {
  const { clock, queue, passes } = aQueue();
  queue.add("bank");
  await clock.advance(29_000);
  assert.equal(passes[0]?.signal.aborted, false);
  await clock.advance(2_000);
  assert.equal(passes[0]?.signal.aborted, true);
  assert.ok(queue.longestRunningMs() >= 30_000);
  queue.add("bank");
  await clock.advance(60_000);
  assert.equal(passes.length, 1);
});

test("after stop nothing begins, and passes under way are told", async () => {
  const { clock, queue, passes } = aQueue();
  queue.add("bank");
  await clock.advance(1);
  queue.add("other", 1_000);
  queue.stop();
  await clock.advance(10_000);
  assert.deepEqual(
    passes.map(({ key, signal }) => [key, signal.aborted]),
    [["bank", true]],
  );
});
