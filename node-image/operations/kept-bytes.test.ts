import assert from "node:assert/strict";
import { test } from "node:test";
import { callerOf } from "../access/identity.ts";
import { tag } from "../kmip/tags.ts";
import { usage } from "../objects/enumerations.ts";
import { active, cryptographicOperation, part } from "../testing/cryptography-requests.ts";
import { findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Result, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { keptBytesLimits } from "./kept-bytes.ts";

/** What stays between requests, operations in parts and results that wait for Poll, has bounds in bytes, not in number alone. */
const large = 1_000_000;
const ofCaller = Math.floor(keptBytesLimits.ofCallerBytes / large);
const ofAll = Math.floor(keptBytesLimits.allBytes / large);
const limitExceeded = 0x3a;

function aServer() {
  let now = Date.UTC(2026, 0, 1);
  const handler = kmipHandler({
    store: memoryStore(),
    keyring: testKeyring(),
    log: () => undefined,
    now: () => new Date(now),
  });
  const send = async (
    as: string,
    number: number,
    children: readonly Item[],
    { version = 21, header = [] as Item[] } = {},
  ) => {
    const request = requestMessage([{ operation: number, payload: payload(...children) }], { version, header });
    return decode(await handler(encode(request), callerOf(`CN=${as}`, "CN=clients")));
  };
  const call = async (as: string, number: number, ...children: Item[]) =>
    resultsOf(await send(as, number, children))[0] as Result;
  const made = async (as: string, number: number, ...children: Item[]) => {
    const [result] = resultsOf(await send(as, number, children, { version: 14 }));
    assert.ok(result?.success, result?.message);
    return part.id(String(findItem(result.payload as Item, tag.UniqueIdentifier)?.value));
  };
  const later = (ms: number) => {
    now += ms;
  };
  return { send, call, made, later };
}

type Server = ReturnType<typeof aServer>;

/** Begins an encryption by key wrap, which needs all data at once; how it is gone on with. */
async function inParts({ made, call }: Server, as: string) {
  const aes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256 };
  const key = await made(
    as,
    operation.create,
    item.enumeration(tag.ObjectType, 2),
    template(active(usage.encrypt, aes)),
  );
  const keyWrap = part.parameters({ blockCipherMode: 0x0d });
  return {
    begin: (bytes: number) =>
      call(
        as,
        cryptographicOperation.encrypt,
        key,
        keyWrap,
        part.data(Buffer.alloc(bytes, 1)),
        item.boolean(tag.InitIndicator, true),
      ),
    end: ({ payload: begun }: Result) =>
      call(
        as,
        cryptographicOperation.encrypt,
        key,
        keyWrap,
        findItem(begun as Item, tag.CorrelationValue) as Item,
        item.boolean(tag.FinalIndicator, true),
      ),
  };
}

async function many(count: number, ask: () => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (let at = 0; at < count; at += 1) results.push(await ask());
  return results;
}

const successes = (results: readonly Result[]) => results.filter(({ success }) => success).length;

test("operations in parts keep so many bytes of one caller, and what is small besides", async () => {
  const server = aServer();
  const { begin, end } = await inParts(server, "a");
  const results = await many(ofCaller + 1, () => begin(large));
  assert.equal(successes(results), ofCaller);
  assert.equal(results.at(-1)?.reason, limitExceeded);
  assert.match(results.at(-1)?.message ?? "", /keep too much data/);
  assert.ok((await begin(1_000)).success, "a small one has room");
  assert.ok((await end(results[0] as Result)).success, "what was begun is ended");
  assert.ok((await begin(large)).success, "and leaves its room");
});

test("operations in parts keep so many bytes of all callers, for a minute", async () => {
  const server = aServer();
  let begun = 0;
  for (let at = 0; at * ofCaller <= ofAll; at += 1) {
    const { begin } = await inParts(server, `caller ${at}`);
    begun += successes(await many(ofCaller, () => begin(large)));
  }
  assert.equal(begun, ofAll);
  const { begin } = await inParts(server, "late");
  assert.equal((await begin(large)).reason, limitExceeded);
  server.later(60_000);
  assert.ok((await begin(large)).success);
});

/** A large object, and what asks for it by a pending Get. */
async function fetching(server: Server, as: string) {
  const bytes = item.bytes(tag.OpaqueDataValue, Buffer.alloc(large, 1));
  const opaque = item.structure(tag.OpaqueObject, item.enumeration(tag.OpaqueDataType, 0x80000001), bytes);
  const id = await server.made(as, operation.register, item.enumeration(tag.ObjectType, 8), template({}), opaque);
  const header = [item.enumeration(tag.AsynchronousIndicator, 1)];
  const ask = async (number: number, ...children: Item[]) => {
    const answer = await server.send(as, number, children, { header });
    const correlation = findItem(answer, tag.AsynchronousCorrelationValue) as Item;
    await server.call(as, 0x3a, correlation);
    return correlation;
  };
  return {
    get: () => ask(operation.get, id),
    locate: () => ask(operation.locate),
    poll: (of: Item) => server.call(as, 0x1a, of),
  };
}

test("results that wait for Poll keep so many bytes of one caller; what has no room is not done, and is told", async () => {
  const { get, locate, poll } = await fetching(aServer(), "a");
  const asked: Item[] = [];
  for (let at = 0; at <= ofCaller; at += 1) asked.push(await get());
  const small = await locate();
  const refused = await poll(asked.pop() as Item);
  assert.deepEqual([refused.success, refused.reason], [false, limitExceeded]);
  assert.match(refused.message ?? "", /results are too large together: Poll those first/);
  assert.ok((await poll(small)).success);
  assert.ok((await poll(asked.pop() as Item)).success);
  assert.ok((await poll(await get())).success, "what was fetched leaves its room");
  for (const each of asked) assert.ok((await poll(each)).success);
});

test("results that wait for Poll keep so many bytes of all callers", async () => {
  const server = aServer();
  const waiting: (() => Promise<Result>)[] = [];
  for (let at = 0; at * ofCaller <= ofAll; at += 1) {
    const { get, poll } = await fetching(server, `caller ${at}`);
    for (let count = 0; count < ofCaller; count += 1) {
      const correlation = await get();
      waiting.push(() => poll(correlation));
    }
  }
  const results: Result[] = [];
  for (const poll of waiting) results.push(await poll());
  // Of each a few bytes more than the object's are kept.
  assert.equal(successes(results), Math.floor(keptBytesLimits.allBytes / (large + 200)));
});
