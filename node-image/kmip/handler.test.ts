import assert from "node:assert/strict";
import { test } from "node:test";
import { findItem, item, payload } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { tag } from "./tags.ts";

const caller = { identity: "CN=a", subject: "CN=a" };

function aHandler() {
  const log: object[] = [];
  const counted: string[] = [];
  const metrics = { operation: (name: string, result: string) => void counted.push(`${name} ${result}`) };
  const store = memoryStore();
  const handler = kmipHandler({ store, keyring: testKeyring(), log: (fields) => void log.push(fields), metrics });
  return { handler, log, counted, store };
}

const get = (id: string) => ({ operation: operation.get, payload: payload(item.text(tag.UniqueIdentifier, id)) });
const query = { operation: operation.query, payload: payload() };

/** A request with something changed. */
function altered(change: (header: Item[], items: Item[]) => Item[]): Buffer {
  const message = requestMessage([query], { version: 14 });
  const [header, ...items] = message.value as readonly Item[];
  return encode(item.structure(message.tag, ...change([...((header as Item).value as Item[])], items)));
}

const header = (...children: Item[]) => item.structure(tag.RequestHeader, ...children);

const malformed: readonly (readonly [string, Buffer, RegExp])[] = [
  ["a response message", encode(item.structure(tag.ResponseMessage)), /not a Request Message/],
  ["an empty message", encode(item.structure(tag.RequestMessage)), /no Protocol Version/],
  [
    "a message without a version",
    altered((fields, items) => [header(...fields.slice(1)), ...items]),
    /no Protocol Version/,
  ],
  ["a Batch Count that is not so", altered((fields) => [header(...fields)]), /Batch Count differs/],
  [
    "a header field given twice",
    altered((fields, items) => [header(...fields, fields[1] as Item), ...items]),
    /BatchCount is given twice/,
  ],
  [
    "a header field of nobody",
    altered((fields, items) => [header(...fields, item.integer(tag.Offset, 1)), ...items]),
    /Offset is not expected/,
  ],
  [
    "a field of another type",
    altered(([first], items) => [header(first as Item, item.text(tag.BatchCount, "1")), ...items]),
    /BatchCount has the wrong type/,
  ],
  ["bytes that are no TTLV", Buffer.from("4200780100000008ffffffffffffffff", "hex"), /at byte 8/],
];

for (const [name, bytes, message] of malformed) {
  test(`${name}: one answer without operation, in words`, async () => {
    const { handler } = aHandler();
    const results = resultsOf(decode(await handler(bytes, caller)));
    assert.equal(results.length, 1);
    assert.equal(results[0]?.operation, undefined);
    assert.match(results[0]?.message ?? "", message);
  });
}

test("an unreadable item fails alone and is named in its answer", async () => {
  const { handler } = aHandler();
  const requests = [
    { operation: operation.get, payload: item.structure(tag.RequestPayload, item.text(tag.Nonce, "x")) },
    query,
  ];
  const continued = [item.enumeration(tag.BatchErrorContinuationOption, 1)];
  const answer = await handler(encode(requestMessage(requests, { version: 14, header: continued })), caller);
  const results = resultsOf(decode(answer));
  assert.deepEqual(
    results.map(({ success, operation: name }) => [success, name]),
    [
      [false, operation.get],
      [true, operation.query],
    ],
  );
});

const refusedByStore: readonly (readonly [string, number, number, RegExp])[] = [
  ["tooMany", 14, 0x02, /search by more attributes/],
  ["tooMany", 21, 0x3a, /search by more attributes/],
  ["overloaded", 14, 0x100, /try again, or on another node/],
  ["unavailable", 14, 0x100, /cannot reach its database now/],
];

for (const [code, version, reason, message] of refusedByStore) {
  test(`a store that answers ${code} is told to a client of ${version / 10} with a reason and what to do`, async () => {
    const error = Object.assign(new Error("why, for the log"), { name: "StoreError", code });
    const store = { ...memoryStore(), locate: () => Promise.reject(error) };
    const lines: unknown[] = [];
    const handler = kmipHandler({ store, keyring: testKeyring(), log: (fields) => void lines.push(fields) });
    const request = { operation: operation.locate, payload: payload() };
    const [result] = resultsOf(decode(await handler(encode(requestMessage([request], { version })), caller)));
    assert.equal(result?.reason, reason);
    assert.match(result?.message ?? "", message);
    assert.deepEqual(lines, [{ level: "warn", event: "store-refused", reason: "why, for the log" }]);
  });
}

test("operations are counted by name and result, whatever a client calls them", async () => {
  const { handler, counted } = aHandler();
  for (const request of [query, get("x"), { operation: 0x7fffffff, payload: payload() }]) {
    await handler(encode(requestMessage([request], { version: 14 })), caller);
  }
  assert.deepEqual(counted, ["Query success", "Get ItemNotFound", "unknown OperationNotSupported"]);
});

test("the request's bytes are zeroed once answered", async () => {
  const { handler } = aHandler();
  const bytes = encode(requestMessage([query], { version: 14 }));
  await handler(bytes, caller);
  assert.ok(bytes.every((byte) => byte === 0));
});

test("a client correlation value is for the log, it does not come back", async () => {
  const { handler } = aHandler();
  const correlation = [item.text(tag.ClientCorrelationValue, "order 7")];
  const answer = decode(await handler(encode(requestMessage([query], { version: 14, header: correlation })), caller));
  assert.equal(findItem(answer, tag.ClientCorrelationValue), undefined);
});

test("a sealed key that is moved to another object's row is not served", async () => {
  const { store, log } = aHandler();
  const keyring = testKeyring();
  const own = kmipHandler({ store, keyring, log: (fields) => void log.push(fields) });
  const create = async () => {
    const register = item.structure(
      tag.SymmetricKey,
      item.structure(
        tag.KeyBlock,
        item.enumeration(tag.KeyFormatType, 1),
        item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, Buffer.alloc(16, 7))),
      ),
    );
    const request = { operation: operation.register, payload: payload(item.enumeration(tag.ObjectType, 2), register) };
    const answer = decode(await own(encode(requestMessage([request], { version: 14 })), caller));
    return String(findItem(answer, tag.UniqueIdentifier)?.value);
  };
  const [first, second] = [await create(), await create()];
  const row = await store.object(second);
  assert.ok(row);
  const swapped = { ...store, objects: async () => [{ ...row, id: first }] };
  const broken = kmipHandler({ store: swapped, keyring, log: (fields) => void log.push(fields) });
  const answer = decode(await broken(encode(requestMessage([get(first)], { version: 14 })), caller));
  assert.equal(resultsOf(answer)[0]?.reason, 0x100);
  assert.equal(findItem(answer, tag.KeyMaterial), undefined);
});
