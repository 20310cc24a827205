import assert from "node:assert/strict";
import { test } from "node:test";
import { childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import type { ActivityLog } from "./activity.ts";
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

function aServer(store = memoryStore(), activity: ActivityLog = () => undefined) {
  const handler = kmipHandler({ store, keyring: testKeyring(), log: () => undefined, activity });
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

/** A key pair, elliptic unless said: the operation that is answered as pending when the client allows it. */
function keyPair(
  version: number,
  algorithm = template({ "Cryptographic Algorithm": 6, "Cryptographic Length": 256 }),
): Request {
  const tagOf = (number: number, modern: number) => (version < 20 ? number : modern);
  const list = (attributes: Item, number: number, modern: number) => {
    const each = childrenOf(attributes, tag.Attribute).map((one) => (version < 20 ? one : modernAttribute(one)));
    return item.structure(tagOf(number, modern), ...each);
  };
  const usage = (mask: number) => template({ "Cryptographic Usage Mask": mask });
  const parts = [
    list(algorithm, tag.CommonTemplateAttribute, tag.CommonAttributes),
    list(usage(1), tag.PrivateKeyTemplateAttribute, tag.PrivateKeyAttributes),
    list(usage(2), tag.PublicKeyTemplateAttribute, tag.PublicKeyAttributes),
  ];
  return { operation: 0x02, payload: payload(...parts) };
}

/** The attribute as 2.x writes it: an item of its own. */
function modernAttribute(attribute: Item): Item {
  const name = String(findItem(attribute, tag.AttributeName)?.value).replaceAll(" ", "") as keyof typeof tag;
  return { ...(findItem(attribute, tag.AttributeValue) as Item), tag: tag[name] };
}

/** The request to Create as 2.x writes it. */
function modern({ operation: number, payload: asked }: Request): Request {
  const list = findItem(asked, tag.TemplateAttribute);
  const each = childrenOf(list, tag.Attribute).map(modernAttribute);
  return {
    operation: number,
    payload: payload(findItem(asked, tag.ObjectType), item.structure(tag.Attributes, ...each)),
  };
}

/** Polls until the operation is done; the answer. */
async function polledAnswer({ send, statuses }: ReturnType<typeof aServer>, correlation: Item, version: number) {
  for (;;) {
    await new Promise((turn) => setImmediate(turn)); // the key is made in a thread of its own, which has to be heard
    const polled = await send([poll(correlation)], { version });
    if (statuses(polled)[0] !== 2) return polled;
  }
}

const able = item.boolean(tag.AsynchronousIndicator, true);
const maximum = (bytes: number) => item.integer(tag.MaximumResponseSize, bytes);

const pairs: readonly (readonly [string, number, readonly Item[]])[] = [
  ["that can wait", 12, [able]],
  ["that can wait and takes so much", 14, [maximum(65_536), able]],
  ["that insists on it", 21, mandatory],
  ["that insists on it and takes so much", 21, [maximum(65_536), ...mandatory]],
  ["that insists on it and would have it undone", 21, [...mandatory, undo]],
];
for (const [name, version, header] of pairs) {
  test(`a key pair that takes its time is pending for a client of ${version / 10} ${name}, and is made`, async () => {
    const server = aServer();
    const { send, statuses, found } = server;
    const answer = await send([keyPair(version)], { header: [...header], version });
    assert.deepEqual(statuses(answer), [2]);
    const correlation = findItem(answer, tag.AsynchronousCorrelationValue);
    assert.ok(correlation);
    const [result] = resultsOf(await polledAnswer(server, correlation, version));
    assert.deepEqual([result?.message, result?.operation], [undefined, 0x02]);
    assert.equal(await found(), 2);
    const id = String(findItem(result?.payload, tag.PrivateKeyUniqueIdentifier)?.value);
    const named = item.text(tag.UniqueIdentifier, id);
    const [got] = resultsOf(await send([{ operation: operation.get, payload: payload(named) }]));
    assert.deepEqual([got?.message, got?.success], [undefined, true]);
  });
}

test("an RSA key pair that is canceled while it is made leaves no object", async () => {
  const ended = Promise.withResolvers<string>();
  const server = aServer(memoryStore(), (line) => {
    const { operation: name, result } = line();
    if (name === "Create Key Pair" && result !== "pending") ended.resolve(result);
  });
  const { send, found } = server;
  const rsa = template({ "Cryptographic Algorithm": 4, "Cryptographic Length": 2048 });
  const answer = await send([keyPair(14, rsa)], { header: [able] });
  const correlation = findItem(answer, tag.AsynchronousCorrelationValue);
  assert.ok(correlation);
  await new Promise((turn) => setImmediate(turn)); // a thread makes it by now
  assert.equal(findItem(await send([cancel(correlation)]), tag.CancellationResult)?.value, 1);
  assert.equal(await ended.promise, "OperationCanceledByRequester");
  assert.equal(await found(), 0);
  assert.equal(resultsOf(await send([poll(correlation)], { version: 21 }))[0]?.reason, 0x2b);
});

test("a key pair in an undoable batch of several is made at once, and undone with the others", async () => {
  const { send, found, statuses } = aServer();
  assert.deepEqual(statuses(await send([keyPair(14), create], { header: [able, undo] })), [0, 0]);
  assert.equal(await found(), 3);
  assert.deepEqual(statuses(await send([keyPair(14), destroyUnknown], { header: [able, undo] })), [3, 1]);
  assert.equal(await found(), 3);
});

test("several operations that must wait cannot be undone together: the message is refused", async () => {
  const { send, found } = aServer();
  const [result] = resultsOf(await send([keyPair(21), keyPair(21)], { header: [...mandatory, undo], version: 21 }));
  assert.match(result?.message ?? "", /pending cannot be undone: leave Undo or the Asynchronous Indicator out/);
  assert.equal(await found(), 0);
});

test("where the client cannot take the correlation values, nothing is begun", async () => {
  const { send } = aServer();
  const header = [maximum(64), ...mandatory];
  const results = resultsOf(await send([locate, locate], { header, version: 21 }));
  assert.deepEqual(
    results.map(({ reason }) => reason),
    [2, 2],
  );
  const left = await send([{ operation: 0x39, payload: payload() }], { version: 21 });
  assert.equal(findItem(left, tag.AsynchronousRequest), undefined);
});

test("a key that is registered later is the key that was sent, though its message is zeroed when it is answered", async () => {
  const server = aServer();
  const sent = Buffer.alloc(16, 0xa7);
  const block = item.structure(
    tag.KeyBlock,
    item.enumeration(tag.KeyFormatType, 1),
    item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, sent)),
    item.enumeration(tag.CryptographicAlgorithm, 3),
    item.integer(tag.CryptographicLength, 128),
  );
  const attributes = item.structure(tag.Attributes, item.integer(tag.CryptographicUsageMask, 12));
  const parts = [item.enumeration(tag.ObjectType, 2), attributes, item.structure(tag.SymmetricKey, block)];
  const register: Request = { operation: operation.register, payload: payload(...parts) };
  const answer = await server.send([register], { header: mandatory, version: 21 });
  const correlation = findItem(answer, tag.AsynchronousCorrelationValue);
  assert.ok(correlation);
  const id = findItem(await polledAnswer(server, correlation, 21), tag.UniqueIdentifier);
  const got = await server.send([{ operation: operation.get, payload: payload(id) }], { version: 21 });
  assert.deepEqual(findItem(got, tag.KeyMaterial)?.value, sent);
});

test("what Poll answers bears the Unique Batch Item ID of Poll, not that of the request that is polled", async () => {
  const server = aServer();
  const answer = await server.send([create, create].map(modern), { header: mandatory, version: 21 });
  const correlations = childrenOf(answer, tag.BatchItem).map((each) =>
    findItem(each, tag.AsynchronousCorrelationValue),
  );
  const [first, second] = correlations as [Item, Item];
  assert.equal(findItem(await polledAnswer(server, first, 21), tag.UniqueBatchItemID), undefined);
  const both = await server.send([locate, poll(second)], { version: 21 });
  assert.deepEqual(findItem(childrenOf(both, tag.BatchItem)[1], tag.UniqueBatchItemID)?.value, Buffer.from([1]));
});
