import assert from "node:assert/strict";
import { test } from "node:test";
import { childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { kmipHandler } from "./handler.ts";
import { tag } from "./tags.ts";

const undo = item.enumeration(tag.BatchErrorContinuationOption, 3);
const key = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
const create: Request = {
  operation: operation.create,
  payload: payload(item.enumeration(tag.ObjectType, 2), template(key)),
};
const destroyUnknown: Request = {
  operation: operation.destroy,
  payload: payload(item.text(tag.UniqueIdentifier, "00000000-0000-0000-0000-000000000000")),
};
const locate: Request = { operation: operation.locate, payload: payload() };
const get: Request = { operation: operation.get, payload: payload() };

function aServer(store = memoryStore()) {
  const handler = kmipHandler({ store, keyring: testKeyring(), log: () => undefined });
  const send = async (requests: readonly Request[], { header = [] as Item[], as = "CN=a", version = 14 } = {}) =>
    decode(await handler(encode(requestMessage(requests, { version, header })), { identity: as, subject: as }));
  const found = async () => childrenOf(resultsOf(await send([locate]))[0]?.payload, tag.UniqueIdentifier).length;
  const statuses = (answer: Item) =>
    childrenOf(answer, tag.BatchItem).map((each) => childrenOf(each, tag.ResultStatus)[0]?.value);
  return { send, found, statuses };
}

test("an undone batch leaves nothing, and says of each item whether it was undone or failed", async () => {
  const { send, found, statuses } = aServer();
  const answer = await send([create, create, destroyUnknown, create], { header: [undo] });
  assert.deepEqual(statuses(answer), [3, 3, 1]);
  assert.equal(await found(), 0);
});

test("within an undoable batch later items see what earlier ones did, and success makes all of it true", async () => {
  const { send, found, statuses } = aServer();
  const destroy: Request = { operation: operation.destroy, payload: payload() };
  assert.deepEqual(statuses(await send([create, get, locate, destroy, create], { header: [undo] })), [0, 0, 0, 0, 0]);
  assert.equal(await found(), 1);
});

test("an undoable batch that cannot be made true is told as failed", async () => {
  const store = { ...memoryStore(), write: () => Promise.reject(new Error("disk full")) };
  const { send, found, statuses } = aServer(store);
  assert.deepEqual(statuses(await send([create, create], { header: [undo] })), [1, 1]);
  assert.equal(await found(), 0);
});

test("what the client cannot take the answer of is not done", async () => {
  const { send, found } = aServer();
  const small = [item.integer(tag.MaximumResponseSize, 64)];
  const [result] = resultsOf(await send([create], { header: small }));
  assert.equal(result?.reason, 2);
  assert.equal(result?.operation, operation.create);
  assert.match(result?.message ?? "", /bytes, over your Maximum Response Size 64; nothing was done/);
  assert.equal(await found(), 0);
});

const mandatory = [item.enumeration(tag.AsynchronousIndicator, 1)];
const cancel = (correlation: Item): Request => ({ operation: 0x19, payload: payload(correlation) });
const poll = (correlation: Item): Request => ({ operation: 0x1a, payload: payload(correlation) });

/** A server whose store answers only when told to, and a Locate that waits for it. */
async function waiting() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const store = memoryStore();
  const slow = {
    ...store,
    locate: async (filter: Parameters<typeof store.locate>[0]) => {
      await promise;
      return store.locate(filter);
    },
  };
  const server = aServer(slow);
  const answer = await server.send([locate], { header: mandatory, version: 21 });
  const correlation = findItem(answer, tag.AsynchronousCorrelationValue);
  assert.ok(correlation, "a pending answer has a correlation value");
  assert.deepEqual(server.statuses(answer), [2]);
  return { ...server, resolve, correlation };
}

test("a result that takes its time is polled for, once, and is the answer of the operation itself", async () => {
  const { send, statuses, resolve, correlation } = await waiting();
  assert.deepEqual(statuses(await send([poll(correlation)], { version: 21 })), [2]);
  resolve();
  await new Promise((done) => setImmediate(done));
  const [result] = resultsOf(await send([poll(correlation)], { version: 21 }));
  assert.equal(result?.success, true);
  assert.equal(result?.operation, operation.locate);
  const [again] = resultsOf(await send([poll(correlation)], { version: 21 }));
  assert.equal(again?.reason, 0x2b);
});

test("nobody else can poll for a result or cancel it", async () => {
  const { send, correlation } = await waiting();
  const [polled] = resultsOf(await send([poll(correlation)], { as: "CN=b", version: 21 }));
  assert.equal(polled?.reason, 0x2b);
  const [canceled] = resultsOf(await send([cancel(correlation)], { as: "CN=b", version: 21 }));
  assert.equal(canceled?.reason, 0x2b);
  const before = await send([cancel(correlation)], { as: "CN=b", version: 14 });
  assert.equal(findItem(before, tag.CancellationResult)?.value, 5);
});

test("a canceled operation is forgotten", async () => {
  const { send, correlation } = await waiting();
  const canceled = await send([cancel(correlation)], { version: 21 });
  assert.equal(findItem(canceled, tag.CancellationResult)?.value, 1);
  assert.equal(resultsOf(await send([poll(correlation)], { version: 21 }))[0]?.reason, 0x2b);
});

test("a caller has at most sixteen pending operations", async () => {
  const { send, statuses } = await waiting();
  const many = Array.from({ length: 16 }, () => locate);
  const answer = await send(many, {
    header: [...mandatory, item.enumeration(tag.BatchErrorContinuationOption, 1)],
    version: 21,
  });
  assert.deepEqual(statuses(answer), [...Array.from({ length: 15 }, () => 2), 1]);
});

test("a Template's attributes are taken where a request names it, its own attributes first", async () => {
  const { send } = aServer();
  const named = { nameValue: "aes", nameType: 1 };
  const object = item.structure(
    tag.Template,
    ...childrenOf(template({ ...key, "Contact Information": "it" }), tag.Attribute),
  );
  const register: Request = {
    operation: operation.register,
    payload: payload(item.enumeration(tag.ObjectType, 6), template({ Name: named }), object),
  };
  const name = item.structure(tag.Name, item.text(tag.NameValue, "aes"), item.enumeration(tag.NameType, 1));
  const own = childrenOf(template({ "Contact Information": "sales" }), tag.Attribute);
  const from: Request = {
    operation: operation.create,
    payload: payload(item.enumeration(tag.ObjectType, 2), item.structure(tag.TemplateAttribute, name, ...own)),
  };
  const getAttributes: Request = {
    operation: operation.getAttributes,
    payload: payload(
      item.text(tag.AttributeName, "Contact Information"),
      item.text(tag.AttributeName, "Cryptographic Length"),
    ),
  };
  const results = resultsOf(await send([register, from, getAttributes], { version: 12 }));
  assert.deepEqual(
    results.map(({ success, message }) => message ?? success),
    [true, true, true],
  );
  const values = childrenOf(results[2]?.payload, tag.Attribute).map(
    (each) => findItem(each, tag.AttributeValue)?.value,
  );
  assert.deepEqual(values, ["sales", 256]);
});

test("a key pair that takes its time is pending for a client of 1.x that can wait, and is made", async () => {
  const { send, statuses, found } = aServer();
  const rsa = { "Cryptographic Algorithm": 4, "Cryptographic Length": 2048 };
  const common = { ...template(rsa), tag: tag.CommonTemplateAttribute } as Item;
  const usage = (number: number, mask: number) =>
    ({ ...template({ "Cryptographic Usage Mask": mask }), tag: number }) as Item;
  const pair: Request = {
    operation: 0x02,
    payload: payload(common, usage(tag.PrivateKeyTemplateAttribute, 1), usage(tag.PublicKeyTemplateAttribute, 2)),
  };
  const answer = await send([pair], { header: [item.boolean(tag.AsynchronousIndicator, true)], version: 12 });
  assert.deepEqual(statuses(answer), [2]);
  const correlation = findItem(answer, tag.AsynchronousCorrelationValue);
  assert.ok(correlation);
  let polled = answer;
  while (statuses(polled)[0] === 2) {
    await new Promise((turn) => setImmediate(turn)); // the key is made in a thread of its own, which has to be heard
    polled = await send([poll(correlation)], { version: 12 });
  }
  assert.equal(resultsOf(polled)[0]?.message, undefined);
  assert.equal(resultsOf(polled)[0]?.operation, 0x02);
  assert.equal(await found(), 2);
});
