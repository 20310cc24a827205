import assert from "node:assert/strict";
import { test } from "node:test";
import { serialQueue } from "./serial.ts";

/** Works that end when they are told to, and what they did so far. */
function someWorks() {
  const did: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const work = (name: string) => async () => {
    did.push(`${name} begins`);
    const end = Promise.withResolvers<void>();
    ends.set(name, end);
    await end.promise;
    did.push(`${name} ends`);
    return name;
  };
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const end = async (name: string, error?: Error) => {
    await turn();
    if (error === undefined) ends.get(name)?.resolve();
    else ends.get(name)?.reject(error);
    await turn();
  };
  return { did, work, end };
}

test("changes of one object are made one after another, in the order in which they came", async () => {
  const { did, work, end } = someWorks();
  const serial = serialQueue();
  const all = [serial("one", work("a")), serial("one", work("b")), serial("one", work("c"))];
  for (const name of ["a", "b", "c"]) await end(name);
  assert.deepEqual(await Promise.all(all), ["a", "b", "c"]);
  assert.deepEqual(did, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("changes of different objects do not wait for each other", async () => {
  const { did, work, end } = someWorks();
  const serial = serialQueue();
  const all = [serial("one", work("a")), serial("other", work("b"))];
  await end("b");
  assert.deepEqual(did, ["a begins", "b begins", "b ends"]);
  await end("a");
  await Promise.all(all);
});

test("one that fails keeps no later one waiting", async () => {
  const { work, end } = someWorks();
  const serial = serialQueue();
  const bad = assert.rejects(serial("one", work("a")), /no room/);
  const good = serial("one", work("b"));
  await end("a", new Error("no room"));
  await bad;
  await end("b");
  assert.equal(await good, "b");
});

test("more than 64 changes of one object are refused at once, and others go on", async () => {
  const { work, end } = someWorks();
  const serial = serialQueue();
  const all = Array.from({ length: 64 }, (_, at) => serial("one", work(String(at))));
  await assert.rejects(serial("one", work("late")), { code: "PermissionDenied", message: /Too many changes/ });
  const other = serial("other", work("x"));
  await end("x");
  assert.equal(await other, "x");
  for (let at = 0; at < 64; at += 1) await end(String(at));
  await Promise.all(all);
  const again = serial("one", work("again"));
  await end("again");
  assert.equal(await again, "again");
});

test("one caller leaves places in the line to others: who may revoke finds one", async () => {
  const { work, end } = someWorks();
  const serial = serialQueue();
  const all = Array.from({ length: 48 }, (_, at) => serial("one", work(String(at)), "flood"));
  await assert.rejects(serial("one", work("late"), "flood"), { code: "PermissionDenied", message: /Too many changes/ });
  all.push(serial("one", work("revoke"), "owner"));
  for (let at = 0; at < 48; at += 1) await end(String(at));
  await end("revoke");
  assert.equal((await Promise.all(all)).at(-1), "revoke");
});
