import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { tag } from "../kmip/tags.ts";
import type { Change } from "../objects/types.ts";
import { item, payload, template } from "../testing/items.ts";
import { operation, requestMessage } from "../testing/kmip-client.ts";
import { kmipSite } from "../testing/kmip-site.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { keptSince, memoryUse } from "../testing/memory-use.ts";
import { encode } from "../ttlv/encode.ts";
import { messageReader } from "./message-reader.ts";
import { kmipServer, listenMemory } from "./server.ts";

/** Clients that send byte after byte, each in a TLS record or a chunk of its own: what waits takes its bytes, not hundreds of times as much. */
const pieces = 4_000;
/** Besides the bytes: what the client's side of this process keeps. */
const most = 500_000;

/** Each byte by itself: a socket would join what is written at once. */
async function sendSingly(socket: TLSSocket, bytes: Buffer): Promise<void> {
  for (const byte of bytes) await new Promise((written) => socket.write(Buffer.from([byte]), written));
}

const message = (number: number, ...children: Parameters<typeof payload>) =>
  encode(requestMessage([{ operation: number, payload: payload(...children) }], { version: 14 }));

test("what a client sends before it has its answer is kept as it is large, and answered in its turn", async (t) => {
  const gate = Promise.withResolvers<void>();
  const memory = memoryStore();
  const store = { ...memory, write: (changes: readonly Change[]) => gate.promise.then(() => memory.write(changes)) };
  const site = await kmipSite({ store });
  t.after(() => site.close());
  const client = await site.connect("O=bank, CN=app");
  const attributes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
  const created = client.exchange(message(operation.create, item.enumeration(tag.ObjectType, 2), template(attributes)));
  const query = message(operation.query);
  const many = Math.floor(pieces / query.length);
  const before = memoryUse();
  await sendSingly(client.socket, Buffer.concat(Array.from({ length: many }, () => query)));
  const kept = await keptSince(before, most);
  assert.ok(kept <= most, `${kept} bytes kept of ${pieces}`);
  const answers = messageReader(1_048_576);
  client.socket.on("data", (bytes) => answers.push(Buffer.from(bytes)));
  gate.resolve();
  for (let answered = 0; answered <= many; ) {
    if (answers.next() === undefined) await once(client.socket, "data");
    else answered += 1;
  }
  await created;
});

/** A door for HTTPS whose handler answers with the size of what was asked, once the gate is open; and a raw connection to it. */
async function aDoor() {
  const gate = Promise.withResolvers<void>();
  const site = await kmipSite();
  const memory = listenMemory();
  const https = kmipServer({
    tls: { ...site.serverIdentity, clientAuthorities: site.clients.certificate },
    handler: (bytes) => gate.promise.then(() => Buffer.from(`${bytes.length} bytes`)),
    protocol: "https",
    log: () => undefined,
    memory,
  });
  const port = await https.listen(0, "127.0.0.1");
  const { certificate: cert, key } = await site.clients.issue("O=bank, CN=app");
  const socket = connect({ port, host: "127.0.0.1", ca: site.serverAuthority.certificate, cert, key });
  await once(socket, "secureConnect");
  let answers = "";
  socket.on("data", (bytes) => {
    answers += bytes;
  });
  const answered = async (text: string) => {
    while (!answers.includes(text)) await once(socket, "data");
  };
  const close = () => {
    socket.destroy();
    return Promise.all([site.close(), https.close()]);
  };
  return { socket, answered, close, open: gate.resolve, room: memory.room };
}

const post = (...headers: string[]) =>
  `${["POST /kmip HTTP/1.1", "Content-Type: text/xml", ...headers].join("\r\n")}\r\n\r\n`;

test("what a client sends over HTTPS behind another request is kept as it is large, and answered in its turn", async (t) => {
  const { socket, answered, close, open } = await aDoor();
  t.after(close);
  socket.write(`${post("Content-Length: 3")}abc${post(`Content-Length: ${pieces}`)}`);
  const before = memoryUse();
  await sendSingly(socket, Buffer.alloc(pieces, "a"));
  const kept = await keptSince(before, most);
  assert.ok(kept <= most, `${kept} bytes kept of ${pieces}`);
  open();
  await answered(`${pieces} bytes`);
});

test("what comes over HTTPS in chunks before there is room for it is kept as it is large, and goes on when there is", async (t) => {
  const { socket, answered, close, open, room } = await aDoor();
  t.after(close);
  const other = room.seat("other");
  await other.take(67_108_864);
  const before = memoryUse();
  const chunks = 20_000;
  const body = "1\r\na\r\n".repeat(chunks);
  await new Promise((sent) => socket.write(`${post("Transfer-Encoding: chunked")}${body}0\r\n\r\n`, sent));
  for (let turns = 0; turns < 100; turns++) await new Promise(setImmediate);
  const kept = await keptSince(before, 2 * most);
  assert.ok(kept <= 2 * most, `${kept} bytes kept of ${chunks}`);
  open();
  other.give();
  await answered(`${chunks} bytes`);
});

test("requests over HTTPS that wait behind another have few headers, and are few", async (t) => {
  const { socket, close, open } = await aDoor();
  t.after(close);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => undefined);
  const before = memoryUse();
  const request = (headers: number) =>
    `${post(...Array.from({ length: headers }, (_, at) => `${at.toString(36)}:${at % 10}`), "Content-Length: 1")}a`;
  await new Promise((sent) => socket.write(request(40).repeat(4) + request(600).repeat(12), sent));
  for (let turns = 0; turns < 100; turns++) await new Promise(setImmediate);
  const kept = await keptSince(before, most);
  assert.ok(kept <= most, `${kept} bytes kept`);
  await closed;
  open();
});
