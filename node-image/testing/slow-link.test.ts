import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { slowLink } from "./slow-link.ts";

const pieces = 1_500;

test("a link that loses pieces delivers what is behind them later, and everything in the order in which it was sent", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  let sent = 0;
  // Each 50th piece is lost.
  const random = () => (++sent % 50 === 0 ? 0 : 1);
  const { port } = server.address() as { port: number };
  const link = await slowLink(port, { oneWayMs: 7.5, lossShare: 0.5, random });
  t.after(() => link.close());
  const near = connect(link.port, "127.0.0.1").setNoDelay(true);
  t.after(() => near.destroy());
  const [far] = await once(server, "connection");
  const received: Buffer[] = [];
  far.on("data", (bytes: Buffer) => received.push(bytes));
  for (let number = 0; number < pieces; number += 1) {
    const piece = Buffer.alloc(4);
    piece.writeUInt32BE(number);
    near.write(piece);
    // So that each is a piece of its own, at another part of a millisecond.
    await pause(0.3);
  }
  near.end();
  await once(far, "end");
  const bytes = Buffer.concat(received);
  const numbers = Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readUInt32BE(4 * at));
  assert.deepEqual(
    numbers,
    Array.from({ length: pieces }, (_, number) => number),
  );
});
