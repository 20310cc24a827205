import assert from "node:assert/strict";
import type { Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { Gauge, Registry } from "prom-client";
import { startHealth } from "./server.ts";

const held: Socket[] = [];
const lines: unknown[] = [];
const log = (...line: unknown[]) => void lines.push(line);
let notReady: () => string | undefined = () => undefined;
let now = 0;
let scrapes = 0;
const metrics = new Registry();
new Gauge({
  name: "scrapes",
  help: "Made so often",
  registers: [metrics],
  collect() {
    scrapes += 1;
    this.set(scrapes);
  },
});
let server: Server;
before(async () => {
  const place = { host: "127.0.0.1", port: 0 };
  server = await startHealth({ ...place, notReady: () => notReady(), metrics, log, nowMs: () => now });
});
after(() => {
  for (const socket of held) socket.destroy();
  server.close();
});

/** Opens a connection and says nothing on it. */
function silent(localAddress: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const { port } = server.address() as AddressInfo;
    const socket = connect({ host: "127.0.0.1", port, localAddress }, resolve);
    socket.on("error", reject);
    held.push(socket);
  });
}

test("a stranger who scrapes without end has the metrics made four times a second, not each time", async () => {
  const { port } = server.address() as AddressInfo;
  const scraped = async () =>
    /^scrapes (\d+)$/m.exec(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text())?.[1];
  assert.deepEqual(new Set(await Promise.all(Array.from({ length: 20 }, scraped))), new Set(["1"]));
  now += 249;
  assert.equal(await scraped(), "1");
  now += 1;
  assert.equal(await scraped(), "2");
});

const stalling: readonly (readonly [string, (at: number) => string])[] = [
  ["one address", () => "127.0.0.2"],
  ["many addresses", (at) => `127.0.1.${at + 1}`],
];
for (const [who, addressOf] of stalling) {
  test(`connections of ${who} that say nothing do not keep a probe out, or the node would be killed for them`, async () => {
    for (let at = 0; at < 100; at += 1) await silent(addressOf(at));
    const { port } = server.address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port}/livez`, { signal: AbortSignal.timeout(2_000) });
    assert.equal(await answer.text(), "ok\n");
  });
}

test("what goes wrong inside is told to the log, and to nobody who asks", async () => {
  notReady = () => {
    throw new Error("statfs of /var/lib/keyfleet failed");
  };
  const { port } = server.address() as AddressInfo;
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  assert.deepEqual([answer.status, await answer.text()], [500, "it cannot be said now; see the node's log\n"]);
  assert.deepEqual(lines, [["error", "health was asked in vain", { problem: "statfs of /var/lib/keyfleet failed" }]]);
});
