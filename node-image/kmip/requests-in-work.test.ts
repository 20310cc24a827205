import assert from "node:assert/strict";
import { test } from "node:test";
import { callerOf } from "../access/identity.ts";
import { item, payload } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { keptSince, memoryUse } from "../testing/memory-use.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { type Encoding, ttlv } from "./encoding.ts";
import { tag } from "./tags.ts";
import { json, xml } from "./vocabulary.ts";

/** Messages of tiny items take many times their bytes once they are read: those that are in work are bounded together. */
const mebibyte = 1_048_576;

/** A server whose searches wait for the gate. */
function aServer() {
  const gate = Promise.withResolvers<void>();
  const memory = memoryStore();
  const store = { ...memory, locate: () => gate.promise.then(() => []) };
  const handler = kmipHandler({ store, keyring: testKeyring(), log: () => undefined });
  return { handler, open: gate.resolve };
}

/** Searches, and then comes something that nobody understands. */
const locate: Request = { operation: operation.locate, payload: payload() };
const withBehind = (...junk: Item[]) =>
  requestMessage([locate, { operation: operation.query, payload: payload(...junk) }], { version: 14 });

const many = 19_000;
const of = (make: () => Item) => withBehind(...Array.from({ length: many }, make));
const byteStrings = of(() => item.bytes(tag.Data, Buffer.alloc(0)));

/** What the requests are full of, how they are written, and how many come at once. */
const floods: readonly (readonly [string, Item, Encoding, number])[] = [
  ["byte strings of none", byteStrings, ttlv, 60],
  ["texts of none", of(() => item.text(tag.NameValue, "")), ttlv, 60],
  ["one long text", withBehind(item.text(tag.NameValue, "\u20ac".repeat(300_000))), ttlv, 80],
  ["byte strings of none", byteStrings, json, 15],
  ["byte strings of none", byteStrings, xml, 15],
];
for (const [what, message, encoding, count] of floods)
  test(`${encoding.name}: many requests with ${what} do not take all memory`, async () => {
    const { handler, open } = aServer();
    const bytes = encoding.encode(message);
    assert.ok(bytes.length < mebibyte, "the listener takes no such message");
    const before = memoryUse();
    const asked = Array.from({ length: count }, (_, at) =>
      handler(Buffer.from(bytes), callerOf(`CN=caller ${at}`, "CN=clients"), encoding),
    );
    const most = 30 * mebibyte + count * bytes.length;
    const kept = await keptSince(before, most);
    assert.ok(kept <= most, `${kept} bytes kept`);
    open();
    const answers = (await Promise.all(asked)).map((each) => resultsOf(encoding.decode(each))[0]);
    assert.ok(answers.some((answer) => answer?.success));
    assert.ok(answers.some((answer) => /too many large requests/.test(answer?.message ?? "")));
  });

test("an ordinary request, and a large object, pass those that have taken all there is", async () => {
  const { handler, open } = aServer();
  const bytes = encode(byteStrings);
  const asked = Array.from({ length: 20 }, (_, at) => handler(Buffer.from(bytes), callerOf(`CN=${at}`, "CN=clients")));
  const object = item.structure(
    tag.OpaqueObject,
    item.enumeration(tag.OpaqueDataType, 0x80000001),
    item.bytes(tag.OpaqueDataValue, Buffer.alloc(900_000)),
  );
  const register = payload(item.enumeration(tag.ObjectType, 8), item.structure(tag.TemplateAttribute), object);
  for (const request of [
    { operation: operation.query, payload: payload() },
    { operation: operation.register, payload: register },
  ]) {
    const answer = await handler(encode(requestMessage([request], { version: 14 })), callerOf("CN=app", "CN=clients"));
    assert.ok(resultsOf(decode(answer))[0]?.success);
  }
  open();
  await Promise.all(asked);
});

test("answers of batches that are not done are counted as they lie in memory", async () => {
  const { handler, open } = aServer();
  const query: Request = {
    operation: operation.query,
    payload: payload(item.enumeration(tag.QueryFunction, 1), item.enumeration(tag.QueryFunction, 2)),
  };
  const batch = requestMessage([...Array.from({ length: 98 }, () => query), locate, query], { version: 14 });
  const count = 250;
  const before = memoryUse();
  const asked = Array.from({ length: count }, (_, at) => handler(encode(batch), callerOf(`CN=${at}`, "CN=clients")));
  const most = 60 * mebibyte;
  for (let turns = 0; turns < 20; turns++) await new Promise(setImmediate);
  const kept = await keptSince(before, most);
  assert.ok(kept <= most, `${kept} bytes kept`);
  open();
  await Promise.all(asked);
});
