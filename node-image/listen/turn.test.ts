import assert from "node:assert/strict";
import { test } from "node:test";
import type { TLSSocket } from "node:tls";
import { enter, flush, post } from "./turn.ts";

/** What a turn of the event loop did, in order; sockets write into it. */
function aTurn() {
  const deeds: string[] = [];
  const socket = (name: string, parts: Partial<TLSSocket> = {}) =>
    ({
      writable: true,
      destroyed: false,
      writableNeedDrain: false,
      write: (bytes: Buffer, done: () => void) => {
        deeds.push(`${name} is answered ${bytes}`);
        done();
        return true;
      },
      ...parts,
    }) as TLSSocket;
  return { deeds, socket };
}

/** The end of this turn. */
const end = () => new Promise(setImmediate);

test("what came in one turn is begun after all of it was read, and its answers leave in the same turn, in their order", async () => {
  const { deeds, socket } = aTurn();
  for (const name of ["one", "two"]) {
    deeds.push(`${name} is read`);
    enter(() => {
      deeds.push(`${name} begins`);
      void Promise.resolve().then(() => post(Buffer.from("yes"), socket(name)));
    });
  }
  await end();
  assert.deepEqual(deeds, [
    "one is read",
    "two is read",
    "one begins",
    "two begins",
    "one is answered yes",
    "two is answered yes",
  ]);
});

test("who came first is answered before the works of all that came later, some of them in the next turn", async () => {
  const { deeds, socket } = aTurn();
  const names = Array.from({ length: 100 }, (_, at) => `number ${at}`);
  for (const name of names) enter(() => void Promise.resolve().then(() => post(Buffer.from("yes"), socket(name))));
  await end();
  assert.equal(deeds.length, 64);
  await end();
  assert.deepEqual(
    deeds,
    names.map((name) => `${name} is answered yes`),
  );
});

test("an answer is zeroed when it is out, and when its socket is gone", async () => {
  const { deeds, socket } = aTurn();
  const [sent, lost] = [Buffer.from("yes"), Buffer.from("yes")];
  post(sent, socket("one"));
  post(lost, socket("two", { destroyed: true }));
  await end();
  assert.deepEqual(deeds, ["one is answered yes"]);
  assert.deepEqual([sent, lost], [Buffer.alloc(3), Buffer.alloc(3)]);
});

const early: readonly (readonly [string, (socket: TLSSocket) => void])[] = [
  ["a long one", (socket) => post(Buffer.alloc(20_000), socket)],
  [
    "one whose socket is about to be ended",
    (socket) => {
      post(Buffer.alloc(1), socket);
      flush();
    },
  ],
];
for (const [name, write] of early)
  test(`${name} leaves at once`, async () => {
    const { deeds, socket } = aTurn();
    write(socket("one"));
    assert.equal(deeds.length, 1);
    await end();
    assert.equal(deeds.length, 1);
  });

test("a socket that takes no more is told to whoever writes", async () => {
  const { socket } = aTurn();
  assert.equal(post(Buffer.alloc(1), socket("one", { writableNeedDrain: true })), false);
  await end();
});
