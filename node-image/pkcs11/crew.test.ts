import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Crew } from "./crew.ts";

/** A thread that echoes; "hang" blocks it inside a call as a dead network does, "die" ends it, "slow" takes 50 ms. */
const script = new URL(
  `data:text/javascript,${encodeURIComponent(`
  import { parentPort } from "node:worker_threads";
  const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  parentPort.on("message", ({ command, payload }) => {
    const word = Buffer.from(payload).toString();
    if (word === "hang") block(60000);
    if (word === "slow") block(50);
    if (word === "die") throw new Error("the thread dies");
    parentPort.postMessage({ kind: "done", payload: command === "attach" ? new Uint8Array(0) : payload });
  });`)}`,
);
const order = (word: string) => ({ command: "seal" as const, payload: new Uint8Array(Buffer.from(word)) });
const code = (wanted: string) => (error: unknown) => (error as { code?: string }).code === wanted;

async function crew(context: TestContext, size: number): Promise<Crew> {
  const threads = new Crew({ script, data: undefined }, size);
  context.after(() => threads.end());
  await threads.attach("abc");
  return threads;
}

test("a request that hangs is answered at its deadline and the others go on", async (context) => {
  const threads = await crew(context, 2);
  const hanging = assert.rejects(threads.run(order("hang"), 2_000), code("timeout"));
  assert.equal((await threads.run(order("echo"), 5_000)).kind, "done");
  await hanging;
  assert.equal(threads.stuck, 1);
  const answers = await Promise.all(Array.from({ length: 20 }, () => threads.run(order("echo"), 5_000)));
  assert.ok(answers.every((answer) => answer.kind === "done"));
});

test("a thread that dies is replaced", async (context) => {
  const threads = await crew(context, 1);
  await assert.rejects(threads.run(order("die"), 5_000), code("unavailable"));
  assert.equal((await threads.run(order("echo"), 5_000)).kind, "done");
  assert.equal(threads.stuck, 0);
});

test("a crew whose threads all hung at once gets new ones", async (context) => {
  const threads = await crew(context, 2);
  const hanging = [2_000, 2_500].map((deadlineMs) =>
    assert.rejects(threads.run(order("hang"), deadlineMs), code("timeout")),
  );
  await Promise.all(hanging);
  assert.equal(threads.stuck, 2);
  assert.equal((await threads.run(order("echo"), 5_000)).kind, "done");
});

test("waiting counts towards the deadline", async (context) => {
  const threads = await crew(context, 1);
  const slow = threads.run(order("slow"), 5_000);
  await assert.rejects(threads.run(order("echo"), 5), code("timeout"));
  assert.equal((await slow).kind, "done");
});

test("a resting crew has ended its work and begins none until it is attached again", async (context) => {
  const threads = await crew(context, 2);
  const ended: string[] = [];
  const slow = threads.run(order("slow"), 5_000).then(() => ended.push("slow"));
  await threads.rest();
  ended.push("rest");
  const later = threads.run(order("echo"), 5_000).then(() => ended.push("later"));
  await slow;
  assert.deepEqual(ended, ["slow", "rest"]);
  await threads.attach("abc");
  await later;
  assert.deepEqual(ended, ["slow", "rest", "later"]);
});

test("a crew that has ended lets no new thread into the library, in which the process's end would hang", async (context) => {
  const threads = await crew(context, 1);
  const slow = assert.rejects(threads.run(order("slow"), 5_000), code("unavailable"));
  await threads.end();
  await slow;
  await assert.rejects(threads.run(order("echo"), 1_000), code("timeout"));
});

test("no more requests wait than the limit", async (context) => {
  const threads = await crew(context, 1);
  const all = Array.from({ length: 300 }, () =>
    threads.run(order("slow"), 40).catch((error: { code: string }) => error.code),
  );
  const outcomes = await Promise.all(all);
  assert.ok(outcomes.includes("unavailable"));
});
