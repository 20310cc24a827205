import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { ttlv } from "../kmip/encoding.ts";
import { tag } from "../kmip/tags.ts";
import { json, xml } from "../kmip/vocabulary.ts";
import { type TestAuthority, testAuthority } from "../testing/certificates.ts";
import { type HttpsParts, post } from "../testing/https-client.ts";
import { findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { type KmipServer, kmipServer } from "./server.ts";

let server: KmipServer;
let clients: TestAuthority;
let app: HttpsParts;
const log: Readonly<Record<string, unknown>>[] = [];
const write = (fields: Readonly<Record<string, unknown>>) => void log.push({ ...fields });
const messageBytesMax = 65_536;

before(async () => {
  clients = await testAuthority("O=bank, CN=clients");
  const authority = await testAuthority("O=bank, OU=dc1, CN=keyfleet CA");
  const identity = await authority.issue("O=bank, OU=dc1, CN=dc1-a", { usage: "server" });
  const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: write });
  const tls = { ...identity, clientAuthorities: clients.certificate };
  server = kmipServer({
    tls,
    handler,
    log: write,
    protocol: "https",
    limits: { messageBytesMax, messageTimeoutMs: 200 },
  });
  const port = await server.listen(0, "127.0.0.1");
  app = { port, authority: authority.certificate, identity: await clients.issue("O=bank, CN=app") };
});
after(() => server.close());

const types = [
  [ttlv, "application/octet-stream"],
  [json, "application/json"],
  [xml, "text/xml"],
] as const;

const key = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
const batch = requestMessage(
  [
    { operation: operation.create, payload: payload(item.enumeration(tag.ObjectType, 2), template(key)) },
    { operation: operation.get, payload: payload() },
    { operation: operation.destroy, payload: payload() },
  ],
  { version: 14 },
);

for (const [encoding, type] of types) {
  test(`a key is made, fetched and destroyed in ${encoding.name} over HTTPS`, async () => {
    const answer = await post(app, { type, body: encoding.encode(batch) });
    assert.deepEqual([answer.status, answer.type], [200, type]);
    const message = encoding.decode(answer.body);
    assert.deepEqual(
      resultsOf(message).map(({ success }) => success),
      [true, true, true],
    );
    const material = findItem(message, tag.KeyMaterial)?.value as Buffer;
    assert.equal(material.length, 32);
  });

  test(`what is no message in ${encoding.name} is answered as such, in ${encoding.name}`, async () => {
    const lines = log.length;
    const answer = await post(app, { type, body: "nothing" });
    assert.equal(resultsOf(encoding.decode(answer.body))[0]?.reason, 4);
    const line = log.slice(lines).find(({ event }) => event === "message-refused");
    assert.match(String(line?.message), /at byte \d+/);
  });
}

test("the same handler, and the same caller, stand behind every encoding", async () => {
  const create = requestMessage(
    [{ operation: operation.create, payload: payload(item.enumeration(tag.ObjectType, 2), template(key)) }],
    { version: 21 },
  );
  const get = (id: string) =>
    requestMessage([{ operation: operation.get, payload: payload(item.text(tag.UniqueIdentifier, id)) }], {
      version: 12,
    });
  const made = json.decode(
    (
      await post(app, {
        type: "application/json",
        body: json.encode(
          requestMessage(
            [{ operation: operation.create, payload: payload(item.enumeration(tag.ObjectType, 2), template(key)) }],
            { version: 14 },
          ),
        ),
      })
    ).body,
  );
  assert.ok(create);
  const id = String(findItem(made, tag.UniqueIdentifier)?.value);
  const fetched = xml.decode((await post(app, { type: "text/xml", body: xml.encode(get(id)) })).body);
  assert.equal(resultsOf(fetched)[0]?.success, true);
  const other = { ...app, identity: await clients.issue("O=bank, CN=other") };
  const denied = ttlv.decode(
    (await post(other, { type: "application/octet-stream", body: ttlv.encode(get(id)) })).body,
  );
  assert.equal(resultsOf(denied)[0]?.reason, 1);
});

const refused: readonly (readonly [string, Parameters<typeof post>[1], number])[] = [
  ["another path", { type: "text/xml", body: "", path: "/" }, 404],
  ["another method", { type: "text/xml", body: "", method: "GET" }, 405],
  ["another type", { type: "text/plain", body: "" }, 415],
  ["too large a message", { type: "text/xml", body: "a".repeat(messageBytesMax + 1) }, 413],
];
for (const [name, message, status] of refused) {
  test(`${name} is refused by HTTP status ${status}`, async () => {
    assert.equal((await post(app, message)).status, status);
  });
}

test("a client without a certificate is closed without an answer", async () => {
  await assert.rejects(post({ ...app, identity: undefined }, { type: "text/xml", body: xml.encode(batch) }));
  assert.ok(log.some(({ event, reason }) => event === "client-rejected" && reason === "no client certificate"));
});

test("a maximum response size means the same in every encoding", async () => {
  const message = requestMessage(
    [{ operation: operation.query, payload: payload(item.enumeration(tag.QueryFunction, 1)) }],
    {
      version: 14,
      header: [item.integer(tag.MaximumResponseSize, 2048)],
    },
  );
  const sizes = await Promise.all(
    types.map(async ([encoding, type]) => {
      const { body } = await post(app, { type, body: encoding.encode(message) });
      return [encoding.name, resultsOf(encoding.decode(body))[0]?.success];
    }),
  );
  assert.deepEqual(sizes, [
    ["ttlv", true],
    ["json", true],
    ["xml", true],
  ]);
});

const unfinished: readonly (readonly [string, string])[] = [
  ["headers", "POST /kmip HTTP/1.1\r\nContent-Type: text/xml\r\n"],
  ["a body", "POST /kmip HTTP/1.1\r\nContent-Type: text/xml\r\nContent-Length: 100\r\n\r\n<"],
];
for (const [name, text] of unfinished) {
  test(`${name} begun and not finished is ended by the deadline of a message`, async () => {
    const { port, authority, identity } = app;
    const socket = connect({ port, host: "127.0.0.1", ca: authority, cert: identity?.certificate, key: identity?.key });
    socket.on("error", () => undefined);
    socket.once("secureConnect", () => socket.write(text));
    socket.resume();
    await new Promise((closed) => socket.once("close", closed));
  });
}
