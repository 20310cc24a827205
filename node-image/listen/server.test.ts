import assert from "node:assert/strict";
import { connect as connectTcp, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { tag } from "../kmip/tags.ts";
import { type Identity, testAuthority } from "../testing/certificates.ts";
import { findItem, payload } from "../testing/items.ts";
import { operation, requestMessage } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { encode } from "../ttlv/encode.ts";

let site: KmipSite;
before(async () => {
  site = await kmipSite({ limits: { handshakeTimeoutMs: 60_000, handshakesMax: 50, messageTimeoutMs: 200 } });
});
after(() => site.close());

const query = () => encode(requestMessage([{ operation: operation.query, payload: payload() }], { version: 14 }));

const strangers: readonly (readonly [string, () => Promise<Identity | undefined>, RegExp])[] = [
  ["without a certificate", async () => undefined, /no client certificate/],
  [
    "with a foreign certificate",
    async () => (await testAuthority("O=elsewhere, CN=CA")).issue("O=bank, CN=app"),
    /authority is not among the trusted/,
  ],
  [
    "with a certificate of the mesh's authority",
    async () => site.serverAuthority.issue("O=bank, OU=dc1, CN=dc1-a"),
    /authority is not among the trusted/,
  ],
  ["with an expired certificate", () => site.clients.issue("O=bank, CN=app", { daysTo: -0.5 }), /has expired/],
  ["with a certificate of tomorrow", () => site.clients.issue("O=bank, CN=app", { daysFrom: 1 }), /not valid yet/],
  [
    "with a server's certificate",
    () => site.clients.issue("O=bank, CN=app", { usage: "server" }),
    /not meant for clients/,
  ],
];

for (const [name, identity, reason] of strangers) {
  test(`a client ${name} is closed without an answer, and the log says why`, async () => {
    const lines = site.log.length;
    const own = await identity();
    const stranger = site.connect("", { identity: own }).then((client) => client.exchange(query()));
    await assert.rejects(stranger, /closed the connection|ECONNRESET|alert|EPIPE/);
    const line = site.log.slice(lines).find(({ event }) => event === "client-rejected");
    assert.match(String(line?.reason), reason);
  });
}

const protocols = [
  ["TLSv1.3", "TLSv1.3"],
  ["TLSv1.2", "TLSv1.2"],
] as const;

for (const [name, version] of protocols) {
  test(`${name} is spoken`, async () => {
    const identity = await site.clients.issue("O=bank, CN=app");
    const answer = await tlsExchange(identity, version);
    assert.equal(answer.protocol, version);
    assert.equal(answer.bytes[0], 0x42);
  });
}

test("TLS 1.1 is refused", async () => {
  const identity = await site.clients.issue("O=bank, CN=app");
  await assert.rejects(
    tlsExchange(identity, "TLSv1.1"),
    /protocol version|unsupported protocol|no protocols|internal error/i,
  );
});

test("the hybrid quantum-safe group is negotiated", async () => {
  const client = await site.connect("O=bank, CN=app");
  assert.equal((client.socket.getEphemeralKeyInfo() as { name?: string }).name, "X25519MLKEM768");
});

const garbage: readonly (readonly [string, Buffer, RegExp, { readonly offset: number; readonly tag: string }])[] = [
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n"), /first byte/, { offset: 0, tag: "tag 474554" }],
  [
    "a message over the limit",
    Buffer.from("4200780100100000", "hex"),
    /over the limit of 1048576/,
    { offset: 4, tag: "RequestMessage" },
  ],
  ["a text alone", Buffer.from("4200780700000008", "hex"), /not a structure/, { offset: 3, tag: "RequestMessage" }],
];

for (const [name, bytes, message, place] of garbage) {
  test(`${name} is answered with Invalid Message and closed, and the log has offset and tag`, async () => {
    const lines = site.log.length;
    const client = await site.connect("O=bank, CN=app");
    const answer = await client.exchange(bytes);
    assert.equal(findItem(answer, tag.ResultReason)?.value, 4);
    assert.match(String(findItem(answer, tag.ResultMessage)?.value), message);
    await assert.rejects(client.exchange(query()), /closed|EPIPE/);
    const line = site.log.slice(lines).find(({ event }) => event === "not-kmip");
    assert.deepEqual({ offset: line?.offset, tag: line?.tag }, place);
  });
}

test("garbage inside a whole frame is answered, and the connection goes on", async () => {
  const client = await site.connect("O=bank, CN=app");
  const answer = await client.exchange(Buffer.from("4200780100000010420077020000000500000000000000ff", "hex"));
  assert.equal(findItem(answer, tag.ResultReason)?.value, 4);
  assert.equal(findItem(await client.exchange(query()), tag.ResultStatus)?.value, 0);
});

test("messages are answered in order when they come in pieces and all at once", async () => {
  const client = await site.connect("O=bank, CN=app");
  const bytes = Buffer.concat([query(), query(), query()]);
  const first = client.exchange(bytes.subarray(0, 30));
  const others = [client.exchange(bytes.subarray(30, 200)), client.exchange(bytes.subarray(200))];
  for (const answer of await Promise.all([first, ...others]))
    assert.equal(findItem(answer, tag.ResultStatus)?.value, 0);
});

test("a message that is begun and not finished is cut, an idle connection is not", async () => {
  const idle = await site.connect("O=bank, CN=app");
  const client = await site.connect("O=bank, CN=slow");
  await assert.rejects(client.exchange(query().subarray(0, 20)), /closed/);
  assert.ok(site.log.some(({ reason }) => reason === "a message was begun and not finished"));
  assert.equal(findItem(await idle.exchange(query()), tag.ResultStatus)?.value, 0);
});

test("a message that trickles in is cut by the same deadline", async () => {
  const client = await site.connect("O=bank, CN=trickle");
  const closed = new Promise((resolve) => client.socket.once("close", resolve));
  const bytes = query();
  let at = 0;
  const trickle = setInterval(() => client.socket.write(bytes.subarray(at, ++at)), 50);
  const started = performance.now();
  await closed;
  clearInterval(trickle);
  assert.ok(performance.now() - started < 2000 && at < bytes.length);
});

test("ten thousand half-open connections push out only each other", async () => {
  const sockets: Socket[] = [];
  const good = await site.connect("O=bank, CN=app");
  for (let batch = 0; batch < 100; batch++) {
    const opening = Array.from({ length: 100 }, () => openTcp(site.server.port));
    sockets.push(...(await Promise.all(opening)));
  }
  assert.equal(findItem(await good.exchange(query()), tag.ResultStatus)?.value, 0);
  const late = await site.connect("O=bank, CN=late");
  assert.equal(findItem(await late.exchange(query()), tag.ResultStatus)?.value, 0);
  assert.ok(site.log.some(({ event }) => event === "half-open-evicted"));
  for (const socket of sockets) socket.destroy();
});

test("a new certificate and new authorities serve new connections, old ones go on while theirs is among them", async (context) => {
  const own = await kmipSite();
  context.after(() => own.close());
  const old = await own.connect("O=bank, CN=app");
  const clients = await testAuthority("O=bank, CN=new clients");
  const server = await own.serverAuthority.issue("O=bank, OU=dc1, CN=dc1-b", { usage: "server" });
  const both = own.clients.certificate + clients.certificate;
  own.server.updateTls({ ...server, clientAuthorities: both });
  assert.equal(findItem(await old.exchange(query()), tag.ResultStatus)?.value, 0);
  own.server.updateTls({ ...server, clientAuthorities: clients.certificate });
  await assert.rejects(old.exchange(query()), /closed|EPIPE|ECONNRESET/);
  assert.ok(own.log.some(({ reason }) => reason === "its authority is not trusted any more"));
  assert.throws(() => own.server.updateTls({ certificate: "x", key: "y", clientAuthorities: clients.certificate }));
  assert.throws(() => own.server.updateTls({ ...server, clientAuthorities: "" }), /holds no certificate/);
  const renewed = await own.connect("", { identity: await clients.issue("O=bank, CN=app") });
  assert.equal(renewed.socket.getPeerCertificate().subject.CN, "dc1-b");
  assert.equal(findItem(await renewed.exchange(query()), tag.ResultStatus)?.value, 0);
  await assert.rejects(own.connect("O=bank, CN=app").then((client) => client.exchange(query())));
  own.server.updateTls({ ...server, clientAuthorities: both });
  assert.equal(findItem(await renewed.exchange(query()), tag.ResultStatus)?.value, 0);
});

test("drain answers what is in work and what comes once more, then closes; nothing new is let in", async (context) => {
  const gate = Promise.withResolvers<void>();
  const store = { ...memoryStore(), locate: () => gate.promise.then(() => []) };
  const own = await kmipSite({ store, limits: { drainIdleMs: 60_000 } });
  context.after(() => own.close());
  const [busy, idle] = [await own.connect("O=bank, CN=busy"), await own.connect("O=bank, CN=idle")];
  const answer = busy.locate();
  // The idle client's answer shows that the server has read the busy one's request before it.
  assert.equal(findItem(await idle.exchange(query()), tag.ResultStatus)?.value, 0);
  const drained = own.server.drain();
  assert.equal(findItem(await idle.exchange(query()), tag.ResultStatus)?.value, 0, "its last answer");
  await assert.rejects(idle.exchange(query()), /closed|EPIPE/);
  await assert.rejects(own.connect("O=bank, CN=late"), /ECONNREFUSED/);
  gate.resolve();
  assert.deepEqual(await answer, []);
  await drained;
});

test("drain closes a connection that says nothing more", async (context) => {
  const own = await kmipSite({ limits: { drainIdleMs: 1 } });
  context.after(() => own.close());
  const silent = await own.connect("O=bank, CN=silent");
  await own.server.drain();
  await assert.rejects(silent.exchange(query()), /closed|EPIPE|ECONNRESET/);
});

test("an address has its maximum of connections, and gets a place back when one closes", async (context) => {
  const own = await kmipSite({ limits: { connectionsPerAddressMax: 2 } });
  context.after(() => own.close());
  const first = await own.connect("O=bank, CN=a");
  await own.connect("O=bank, CN=b");
  const third = own.connect("O=bank, CN=c").then((client) => client.exchange(query()));
  await assert.rejects(third, /closed|ECONNRESET|EPIPE/);
  assert.ok(own.log.some(({ reason }) => reason === "the address has its maximum of connections"));
  first.close();
  const again = async (left = 200): Promise<void> => {
    const client = await own.connect("O=bank, CN=c");
    await client.exchange(query()).catch((error: Error) => (left > 0 ? again(left - 1) : Promise.reject(error)));
  };
  await again();
});

function openTcp(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, "127.0.0.1", () => resolve(socket));
    socket.once("error", reject);
    socket.on("close", () => resolve(socket));
  });
}

function tlsExchange(identity: Identity, version: "TLSv1.1" | "TLSv1.2" | "TLSv1.3") {
  return new Promise<{ protocol: string | null; bytes: Buffer }>((resolve, reject) => {
    const socket = connectTls({
      port: site.server.port,
      host: "127.0.0.1",
      ca: site.serverAuthority.certificate,
      cert: identity.certificate,
      key: identity.key,
      minVersion: version,
      maxVersion: version,
    });
    socket.on("secureConnect", () => socket.write(query()));
    socket.on("data", (bytes) => {
      resolve({ protocol: socket.getProtocol(), bytes });
      socket.destroy();
    });
    socket.on("error", reject);
  });
}
