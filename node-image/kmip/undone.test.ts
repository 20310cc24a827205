import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../objects/types.ts";
import { part } from "../testing/cryptography-requests.ts";
import { attributeItem, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, type Result, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { tag } from "./tags.ts";

/** What a batch leaves that is undone: nothing, also of what does not go through the store alone. */
const undo = item.enumeration(tag.BatchErrorContinuationOption, 3);
const limits = (total: number): Json => ({ usageLimitsTotal: total, usageLimitsUnit: 2 });
const asked = (number: number, id: string, ...more: Item[]): Request => ({
  operation: number,
  payload: payload(part.id(id), ...more),
});
const add = (id: string, name: string, value: Json) => asked(operation.addAttribute, id, attributeItem(name, value));
const addLimits = (id: string, total: number) => add(id, "Usage Limits", limits(total));
const modifyLimits = (id: string, total: number) =>
  asked(operation.modifyAttribute, id, attributeItem("Usage Limits", limits(total)));
const deleteLimits = (id: string) => asked(operation.deleteAttribute, id, item.text(tag.AttributeName, "Usage Limits"));
const encrypt = (id: string) => asked(0x1f, id, part.parameters({ blockCipherMode: 2 }), part.data(Buffer.alloc(16)));
const allocate = (id: string, units: bigint) => asked(0x11, id, item.longInteger(tag.UsageLimitsCount, units));
const destroyUnknown = asked(operation.destroy, "00000000-0000-0000-0000-000000000000");
const denied = 12;

function aServer() {
  const logged: Readonly<Record<string, unknown>>[] = [];
  const store = memoryStore();
  const handler = kmipHandler({
    store,
    keyring: testKeyring(),
    log: (fields) => void logged.push(fields),
    firstAdministrators: () => ["CN=a"],
  });
  const send = async (requests: readonly Request[], { header = [] as Item[], version = 14 } = {}) =>
    resultsOf(
      decode(
        await handler(encode(requestMessage(requests, { version, header })), { identity: "CN=a", subject: "CN=a" }),
      ),
    );
  const key = async (more: Readonly<Record<string, Json>> = {}) => {
    const aes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
    const attributes = { ...aes, "Activation Date": 1, ...more };
    const create = payload(item.enumeration(tag.ObjectType, 2), template(attributes));
    const [made] = await send([{ operation: operation.create, payload: create }]);
    return String(findItem(made?.payload as Item, tag.UniqueIdentifier)?.value);
  };
  /** What is left, or nothing if there are no limits. */
  const left = async (id: string) => {
    const [got] = await send([asked(operation.getAttributes, id, item.text(tag.AttributeName, "Usage Limits"))]);
    const count = findItem(got?.payload as Item, tag.UsageLimitsCount)?.value;
    return count === undefined ? undefined : Number(count);
  };
  const events = () => logged.map(({ event }) => event);
  return { send, key, left, events, store };
}

const succeeded = (results: readonly Result[]) => results.map(({ success }) => success);

/** [what, units of the key before, what an Undo batch does to them, units after a success] */
const changes: readonly (readonly [string, number | undefined, (id: string) => Request[], number | undefined])[] = [
  ["Add Attribute of Usage Limits", undefined, (id) => [addLimits(id, 5)], 5],
  ["Modify Attribute of Usage Limits", 5, (id) => [modifyLimits(id, 9)], 9],
  ["Delete Attribute of Usage Limits", 5, (id) => [deleteLimits(id)], undefined],
  ["all three one after another", 5, (id) => [deleteLimits(id), addLimits(id, 3), modifyLimits(id, 8)], 8],
];
for (const [what, before, requests, after] of changes) {
  test(`${what}: an undone batch leaves it as it was, a success makes it true`, async () => {
    const { send, key, left } = aServer();
    const id = await key(before === undefined ? {} : { "Usage Limits": limits(before) });
    const failed = await send([...requests(id), destroyUnknown], { header: [undo] });
    assert.ok(failed.every(({ success }) => !success));
    assert.equal(await left(id), before);
    assert.ok(succeeded(await send([...requests(id), add(id, "Comment", "x")], { header: [undo] })).every(Boolean));
    assert.equal(await left(id), after);
  });
}

test("a use while a batch waits to come true is counted, and the change that may no longer be made is refused with all of it", async () => {
  const { send, key, left, store } = aServer();
  const id = await key({ "Usage Limits": limits(5) });
  const { promise, resolve } = Promise.withResolvers<void>();
  const { locate } = store;
  const slowly = async (filter: Parameters<typeof locate>[0]) => {
    await promise;
    return locate(filter);
  };
  Object.assign(store, { locate: slowly });
  const waiting = send([modifyLimits(id, 9), { operation: operation.locate, payload: payload() }], { header: [undo] });
  const [used] = await send([encrypt(id)]);
  assert.equal(used?.success, true);
  resolve();
  const results = await waiting;
  assert.deepEqual(
    results.map(({ reason }) => reason),
    [denied, denied],
  );
  assert.match(results[0]?.message ?? "", /has been used/);
  assert.equal(await left(id), 4);
});

for (const [what, first] of [
  ["deleted", deleteLimits],
  ["raised", (id: string) => modifyLimits(id, 9)],
] as const) {
  test(`a key whose limits the same batch ${what} is not used before that is true`, async () => {
    const { send, key, left } = aServer();
    const id = await key({ "Usage Limits": limits(5) });
    for (const use of [encrypt(id), allocate(id, 1n)]) {
      const [changed, used] = await send([first(id), use], { header: [undo] });
      assert.deepEqual([changed?.success, used?.success, used?.payload], [false, false, undefined], used?.message);
    }
    assert.equal(await left(id), 5);
  });
}

const grant = (id: string) => add(id, "x-keyfleet-grant-user:CN=b", { type: 7, value: "Get" });
const logMessage: Request = { operation: 0x2c, payload: payload(item.text(tag.LogMessage, "hello")) };

test("a change of access is logged when it stands, not when its batch is undone", async () => {
  const { send, key, events } = aServer();
  const id = await key();
  await send([grant(id), destroyUnknown], { header: [undo] });
  await send([grant(id)], { header: [item.integer(tag.MaximumResponseSize, 64)] });
  assert.deepEqual(events(), []);
  await send([grant(id), add(id, "Comment", "x")], { header: [undo] });
  assert.deepEqual(events(), ["access-changed"]);
});

test("a client's Log of an undone batch is not written", async () => {
  const { send, events } = aServer();
  await send([logMessage, destroyUnknown], { header: [undo], version: 21 });
  assert.deepEqual(events(), []);
  await send([logMessage], { header: [undo], version: 21 });
  assert.deepEqual(events(), ["client-log"]);
});

for (const [version, reason] of [
  [10, denied],
  [14, denied],
  [20, 0x1a],
  [21, 0x1a],
] as const) {
  test(`Get Usage Allocation beyond what is left is told to version ${(version / 10).toFixed(1)} with reason ${reason}`, async () => {
    const { send, key, left } = aServer();
    const id = await key({ "Usage Limits": limits(5) });
    const [refused] = await send([allocate(id, 6n)], { version });
    assert.deepEqual([refused?.success, refused?.reason], [false, reason]);
    assert.equal(await left(id), 5);
  });
}

test("a batch of a few kilobytes that would hold many large objects is refused, and leaves nothing; ordinary ones are not", async () => {
  const { send, key } = aServer();
  const ids = await Promise.all(Array.from({ length: 100 }, () => key()));
  const touch = (name: string) => ids.map((id) => add(id, name, { type: 2, value: 1 }));
  assert.ok(succeeded(await send(touch("x-a"), { header: [undo] })).every(Boolean));
  for (const id of ids) await send([add(id, "Comment", "c".repeat(50_000))]);
  const refused = await send(touch("x-b"), { header: [undo] });
  assert.ok(refused.length < 100, `${refused.length} items were done`);
  assert.match(refused.at(-1)?.message ?? "", /hold too much of the objects that they change/);
  const [got] = await send([asked(operation.getAttributes, String(ids[0]), item.text(tag.AttributeName, "x-b"))]);
  assert.equal(findItem(got?.payload as Item, tag.AttributeValue), undefined);
  assert.ok(
    succeeded(await send(touch("x-c").slice(0, 10), { header: [undo] })).every(Boolean),
    "its room is free again",
  );
});
