import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { connect } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { tag } from "../kmip/tags.ts";
import type { Change } from "../objects/types.ts";
import { post } from "../testing/https-client.ts";
import { findItem, item, payload, template } from "../testing/items.ts";
import { type KmipClient, operation, type Request, requestMessage } from "../testing/kmip-client.ts";
import { kmipSite } from "../testing/kmip-site.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { encode } from "../ttlv/encode.ts";
import { messageReader } from "./message-reader.ts";
import { messageRoom, type Seat } from "./message-room.ts";
import { kmipServer, listenMemory } from "./server.ts";
import { unreadAnswers, unreadReason } from "./unread.ts";

const largeBytes = 200_000;
const limits = {
  largeMessagesBytesMax: 300_000,
  unreadAnswersBytesMax: 300_000,
  messageTimeoutMs: 60_000,
  writeTimeoutMs: 60_000,
};

const message = (request: Request) => encode(requestMessage([request], { version: 14 }));
const query = () => message({ operation: operation.query, payload: payload() });

/** A request to register an object of that size. */
function register(bytes = largeBytes): Buffer {
  const value = item.bytes(tag.OpaqueDataValue, Buffer.alloc(bytes, 7));
  const object = item.structure(tag.OpaqueObject, item.enumeration(tag.OpaqueDataType, 0x80000001), value);
  return message({
    operation: operation.register,
    payload: payload(item.enumeration(tag.ObjectType, 8), template({}), object),
  });
}

async function succeeds(answer: ReturnType<KmipClient["exchange"]>): Promise<string> {
  const result = await answer;
  assert.equal(findItem(result, tag.ResultStatus)?.value, 0, String(findItem(result, tag.ResultMessage)?.value));
  return String(findItem(result, tag.UniqueIdentifier)?.value);
}

/** "answered", or "waits" when there was no answer while others had many. */
async function orWaits(answer: Promise<unknown>, other: KmipClient): Promise<string> {
  const waits = (async () => {
    for (let at = 0; at < 20; at++) await succeeds(other.exchange(query()));
    return "waits";
  })();
  return Promise.race([answer.then(() => "answered"), waits]);
}

/** Begins a large message and does not end it; resolves when the server has read its beginning. */
async function stall(client: KmipClient): Promise<void> {
  await succeeds(client.exchange(Buffer.concat([query(), register().subarray(0, 1000)])));
}

test("a large message waits for room, small ones pass it, and it is served when the one before it is gone", async (t) => {
  const site = await kmipSite({ limits });
  t.after(() => site.close());
  const clients = ["stalled", "large", "small"].map((name) => site.connect(`O=bank, CN=${name}`));
  const [stalled, large, small] = (await Promise.all(clients)) as [KmipClient, KmipClient, KmipClient];
  await stall(stalled);
  const registered = succeeds(large.exchange(register()));
  assert.equal(await orWaits(registered, small), "waits");
  stalled.close();
  await registered;
  await succeeds(large.exchange(register()));
});

/** A store whose first write waits until it is let go. */
function gated() {
  const gate = Promise.withResolvers<void>();
  const memory = memoryStore();
  const store = { ...memory, write: (changes: readonly Change[]) => gate.promise.then(() => memory.write(changes)) };
  return { store, open: gate.resolve };
}

test("a message in work keeps its room; one that finds none in its time is cut, and the log says why", async (t) => {
  const { store, open } = gated();
  const site = await kmipSite({ store, limits: { ...limits, messageTimeoutMs: 300 } });
  t.after(() => site.close());
  const [working, late] = [await site.connect("O=bank, CN=working"), await site.connect("O=bank, CN=late")];
  const registered = succeeds(working.exchange(register()));
  await assert.rejects(late.exchange(register()), /closed|EPIPE|ECONNRESET/);
  assert.ok(site.log.some(({ reason }) => reason === "there was no room for a large message"));
  open();
  await registered;
});

test("the HTTPS door waits for the room that the other door took", async (t) => {
  const memory = listenMemory(limits);
  const { store, open } = gated();
  const site = await kmipSite({ store, limits, memory });
  const https = kmipServer({
    tls: { ...site.serverIdentity, clientAuthorities: site.clients.certificate },
    handler: async () => Buffer.from("answered"),
    protocol: "https",
    limits,
    log: () => undefined,
    memory,
  });
  t.after(() => Promise.all([site.close(), https.close()]));
  const port = await https.listen(0, "127.0.0.1");
  const identity = await site.clients.issue("O=bank, CN=app");
  const parts = { port, authority: site.serverAuthority.certificate, identity };
  const [working, other] = [await site.connect("O=bank, CN=working"), await site.connect("O=bank, CN=other")];
  const registered = succeeds(working.exchange(register()));
  await stall(other); // waits behind the first: all that is large waits from now on
  const [large, small] = [largeBytes, 1000].map((size) =>
    post(parts, { type: "application/octet-stream", body: Buffer.alloc(size) }),
  ) as [ReturnType<typeof post>, ReturnType<typeof post>];
  assert.equal((await small).body.toString(), "answered");
  assert.equal(await orWaits(large, await site.connect("O=bank, CN=small")), "waits");
  open();
  other.close();
  await registered;
  assert.equal((await large).body.toString(), "answered");
});

test("requests behind another over HTTPS have small bodies, or their connection is closed and the answer is zeroed", async (t) => {
  const gate = Promise.withResolvers<Buffer>();
  const site = await kmipSite({ limits });
  const https = kmipServer({
    tls: { ...site.serverIdentity, clientAuthorities: site.clients.certificate },
    handler: () => gate.promise,
    protocol: "https",
    limits,
    log: () => undefined,
  });
  t.after(() => Promise.all([site.close(), https.close()]));
  const port = await https.listen(0, "127.0.0.1");
  const { certificate: cert, key } = await site.clients.issue("O=bank, CN=app");
  const socket = connect({ port, host: "127.0.0.1", ca: site.serverAuthority.certificate, cert, key });
  const request = (bytes: number) =>
    `POST /kmip HTTP/1.1\r\nContent-Type: text/xml\r\nContent-Length: ${bytes}\r\n\r\n${"a".repeat(bytes)}`;
  await once(socket, "secureConnect");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => undefined).resume();
  socket.write(request(10) + request(10_000) + request(10_000));
  await closed;
  const answer = Buffer.alloc(10, 7);
  gate.resolve(answer);
  await new Promise(setImmediate);
  assert.deepEqual(answer, Buffer.alloc(10));
});

test("who does not read large answers is cut when others need their room", { timeout: 60_000 }, async (t) => {
  const site = await kmipSite({ limits: { ...limits, unreadAnswersBytesMax: 1_000_000 } });
  t.after(() => site.close());
  const [deaf, other] = [await site.connect("O=bank, CN=deaf"), await site.connect("O=bank, CN=other")];
  const get = async (client: KmipClient) => {
    const id = await succeeds(client.exchange(register(900_000)));
    return message({ operation: operation.get, payload: payload(item.text(tag.UniqueIdentifier, id)) });
  };
  for (const client of [deaf, other]) {
    const asked = await get(client);
    client.socket.pause();
    // More than the network itself keeps for a client.
    client.socket.write(Buffer.concat(Array.from({ length: 40 }, () => asked)));
  }
  while (!site.log.some(({ reason }) => reason === unreadReason)) await new Promise(setImmediate);
  const cut = site.log.filter(({ reason }) => reason === unreadReason);
  assert.equal(cut.length, 1);
});

test("a connection keeps nothing of a large message that it had", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = () => {
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  const before = used();
  const readers = Array.from({ length: 50 }, () => {
    const reader = messageReader(1_048_576);
    const large = register(900_000);
    reader.push(Buffer.from(large.subarray(0, 10_000)));
    reader.push(Buffer.from(large.subarray(10_000)));
    assert.ok(Buffer.isBuffer(reader.next()));
    return reader;
  });
  // What is free is swept by a thread, which has to have its turn.
  for (let turn = 0; turn < 200 && used() - before > 5_000_000; turn++) await new Promise(setImmediate);
  assert.ok(used() - before < 5_000_000, "50 readers");
  for (const reader of readers) assert.equal(reader.partial(), false);
});

test("a caller has a quarter of the room, however many connections it has, and its first message in any case", () => {
  const room = messageRoom({ largeMessagesBytesMax: 400, smallMessageBytes: 10 });
  const [one, two, three, other] = ["a", "a", "a", "b"].map((caller) => room.seat(caller)) as [Seat, Seat, Seat, Seat];
  assert.equal(one.take(60), undefined);
  assert.ok(two.take(60), "more than its quarter");
  assert.equal(three.take(10), undefined, "a small one needs no room");
  assert.equal(other.take(300), undefined, "another passes whoever waits for a place of its own caller");
  one.give();
  assert.equal(two.take(60), undefined);
});

test("messages have room in the order in which they came, a small one does not pass a large one for ever", async () => {
  const room = messageRoom({ largeMessagesBytesMax: 400, smallMessageBytes: 10 });
  const [first, large, behind] = ["a", "b", "c"].map((caller) => room.seat(caller)) as [Seat, Seat, Seat];
  assert.equal(first.take(200), undefined);
  const waits = [large.take(300), behind.take(50)];
  assert.deepEqual(
    waits.map((each) => each === undefined),
    [false, false],
  );
  first.give();
  await Promise.all(waits);
  large.give();
  behind.give();
  assert.equal(first.take(400), undefined, "all of it is free again");
});

test("a message that is larger than the room is alone in it", () => {
  const room = messageRoom({ largeMessagesBytesMax: 400, smallMessageBytes: 10 });
  const [large, other] = [room.seat("a"), room.seat("b")];
  assert.equal(large.take(500), undefined);
  assert.ok(other.take(20));
  large.give();
  assert.equal(other.take(20), undefined);
});

test("of unread answers the oldest is cut first, small ones are not counted, and what was taken makes room", () => {
  const cut: string[] = [];
  const unread = unreadAnswers(100, 10);
  const add = (name: string, bytes: number) => unread.add(bytes, () => void cut.push(name));
  const taken = add("read", 60);
  add("small", 10);
  taken();
  add("first", 60);
  add("second", 40);
  assert.deepEqual(cut, []);
  add("third", 40);
  assert.deepEqual(cut, ["first"]);
  add("huge", 1000);
  assert.deepEqual(cut, ["first", "second", "third"]);
});
