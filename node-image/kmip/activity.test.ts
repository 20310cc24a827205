import assert from "node:assert/strict";
import { test } from "node:test";
import type { Store } from "../objects/types.ts";
import { findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import type { Activity } from "./activity.ts";
import { tag } from "./tags.ts";

const caller = { identity: "CN=a,issuer(CN=ca)", subject: "CN=a" };
const absent = "00000000-0000-4000-8000-00000000dead";
const key = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
const create: Request = {
  operation: operation.create,
  payload: payload(item.enumeration(tag.ObjectType, 2), template(key)),
};
const get: Request = { operation: operation.get, payload: payload() };
const getAbsent: Request = { operation: operation.get, payload: payload(item.text(tag.UniqueIdentifier, absent)) };
const undo = item.enumeration(tag.BatchErrorContinuationOption, 3);
const goOn = item.enumeration(tag.BatchErrorContinuationOption, 1);
const small = item.integer(tag.MaximumResponseSize, 64);
const mandatory = item.enumeration(tag.AsynchronousIndicator, 1);

/** A server, its activity lines, and what its counters were told. */
function aServer(own: Partial<Store> = {}) {
  const lines: Activity[] = [];
  const counted: string[] = [];
  const store: { -readonly [Part in keyof Store]: Store[Part] } = { ...memoryStore(), ...own };
  const handler = kmipHandler({
    store,
    keyring: testKeyring(),
    log: () => undefined,
    activity: (line) => void lines.push(line()),
    metrics: { operation: (name, result) => void counted.push(`${name} ${result}`) },
    answers: { beforeBytes: 800 },
  });
  const send = async (requests: readonly Request[], header: readonly Item[] = [], version = 14) =>
    decode(await handler(encode(requestMessage(requests, { version, header })), caller));
  const told = () => lines.map(({ operation: name, result }) => `${name} ${result}`);
  return { store, send, lines, counted, told };
}

const full = { write: () => Promise.reject(new Error("the disk is full")) };
const cases: readonly (readonly [string, Partial<Store>, readonly Request[], readonly Item[], readonly string[]])[] = [
  ["what is done", {}, [create, get], [goOn], ["Create success", "Get success"]],
  ["what is refused", {}, [getAbsent, create], [goOn], ["Get ItemNotFound", "Create success"]],
  ["what is undone", {}, [create, get, getAbsent], [undo], ["Create undone", "Get undone", "Get ItemNotFound"]],
  ["what the client cannot take", {}, [create], [small], ["Create ResponseTooLarge"]],
  ["what cannot be made true", full, [create, get], [undo], ["Create GeneralFailure", "Get GeneralFailure"]],
  [
    "what the answer has no room for",
    {},
    [create, get, get, create],
    [goOn],
    ["Create success", "Get success", "Get success", "Create ResponseTooLarge"],
  ],
];
for (const [name, store, requests, header, expected] of cases) {
  test(`the activity log and the counters tell ${name} as the client is told`, async () => {
    const { send, told, counted, lines } = aServer(store);
    const results = resultsOf(await send(requests, header));
    assert.deepEqual(told(), expected);
    assert.deepEqual(counted, expected);
    assert.deepEqual(
      lines.map(({ reason }) => reason),
      results.map(({ message }) => message),
    );
  });
}

test("an object that was not made after all is not named", async () => {
  const { send, lines } = aServer();
  await send([create, getAbsent], [undo]);
  assert.deepEqual(
    lines.map(({ objects }) => objects),
    [[], [absent]],
  );
  await send([create]);
  assert.equal(lines[2]?.objects.length, 1);
});

const attributes = item.structure(
  tag.Attributes,
  item.enumeration(tag.CryptographicAlgorithm, 3),
  item.integer(tag.CryptographicLength, 256),
  item.integer(tag.CryptographicUsageMask, 12),
);
const later: Request = {
  operation: operation.create,
  payload: payload(item.enumeration(tag.ObjectType, 2), attributes),
};

/** Asks for a Create that is pending; what `then` does with its correlation value. */
async function pending({ send }: ReturnType<typeof aServer>, then: number): Promise<void> {
  const correlation = findItem(await send([later], [mandatory], 21), tag.AsynchronousCorrelationValue);
  assert.ok(correlation);
  if (then === 0x1a) await send([{ operation: 0x3a, payload: payload(correlation) }], [], 21);
  await send([{ operation: then, payload: payload(correlation) }], [], 21);
  await new Promise(setImmediate);
}

test("a pending operation has a line when it is asked for, one for its end, and Poll one for what it tells", async () => {
  const server = aServer();
  await pending(server, 0x1a);
  assert.deepEqual(server.told(), ["Create pending", "Create success", "Process success", "Poll success"]);
  const broken = aServer(full);
  await pending(broken, 0x1a);
  const failures = ["Create pending", "Create GeneralFailure", "Process success", "Poll GeneralFailure"];
  assert.deepEqual(broken.told(), failures);
});

test("a pending operation that is canceled ends as such", async () => {
  const gate = Promise.withResolvers<void>();
  const memory = memoryStore();
  const server = aServer({ objects: (ids) => gate.promise.then(() => memory.objects(ids)) });
  const done = pending(server, 0x19);
  await new Promise(setImmediate);
  gate.resolve();
  await done;
  await new Promise(setImmediate);
  assert.deepEqual(server.told(), ["Create pending", "Cancel success", "Create OperationCanceledByRequester"]);
});
