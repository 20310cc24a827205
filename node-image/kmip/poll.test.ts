import assert from "node:assert/strict";
import { test } from "node:test";
import { type Caller, callerOf } from "../access/identity.ts";
import { usage } from "../objects/enumerations.ts";
import { part } from "../testing/cryptography-requests.ts";
import { childrenOf, findItem, item, payload } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, type Result, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { tag } from "./tags.ts";

const version = 21;
const [owner, reader, admin] = ["owner", "reader", "admin"].map((name) => callerOf(`CN=${name}`, "CN=clients")) as [
  Caller,
  Caller,
  Caller,
];
const id = (value: string) => item.text(tag.UniqueIdentifier, value);
const mandatory = [item.enumeration(tag.AsynchronousIndicator, 1)];
const reason = { tooLarge: 0x02, unknown: 0x2b, failure: 0x100 } as const;

function aServer() {
  const store = { ...memoryStore() };
  const handler = kmipHandler({
    store,
    keyring: testKeyring(),
    log: () => undefined,
    now: () => new Date("2026-01-01"),
    firstAdministrators: () => [admin.subject],
  });
  const send = async (
    as: Caller,
    number: number,
    children: readonly (Item | undefined)[],
    { header = [], spoken = version }: { readonly header?: readonly Item[]; readonly spoken?: number } = {},
  ) => {
    const request = requestMessage([{ operation: number, payload: payload(...children) }], { version: spoken, header });
    return decode(await handler(encode(request), as));
  };
  const batch = async (as: Caller, requests: readonly Request[], header: readonly Item[]) =>
    resultsOf(decode(await handler(encode(requestMessage(requests, { version, header })), as)));
  const call = async (as: Caller, number: number, ...children: (Item | undefined)[]) =>
    resultsOf(await send(as, number, children))[0] as Result;
  const done = async (as: Caller, number: number, ...children: (Item | undefined)[]) => {
    const result = await call(as, number, ...children);
    assert.ok(result.success, result.message);
    return result.payload;
  };
  /** The reader asks for something; it is done, and its result waits to be fetched. */
  const waiting = async (as: Caller, number: number, ...children: Item[]) => {
    const answer = await send(as, number, children, { header: mandatory });
    const correlation = findItem(answer, tag.AsynchronousCorrelationValue);
    assert.ok(correlation, "a pending answer has a correlation value");
    await done(as, 0x3a, correlation);
    return correlation;
  };
  return { store, send, batch, call, done, waiting };
}

type Server = ReturnType<typeof aServer>;

/** A key of the owner's that the reader may fetch and look at. */
async function aSharedKey({ done }: Server, mask = 12): Promise<string> {
  const attributes = [
    item.enumeration(tag.CryptographicAlgorithm, 3),
    item.integer(tag.CryptographicLength, 256),
    item.integer(tag.CryptographicUsageMask, mask),
  ];
  const made = await done(
    owner,
    operation.create,
    item.enumeration(tag.ObjectType, 2),
    item.structure(tag.Attributes, ...attributes),
  );
  const key = String(findItem(made, tag.UniqueIdentifier)?.value);
  await done(
    owner,
    operation.addAttribute,
    id(key),
    named(`x-keyfleet-grant-user:${reader.identity}`, "Get Export GetAttributes Decrypt"),
  );
  return key;
}

/** An attribute of the server's or the user's own, as 2.x writes it. */
function named(name: string, value: string): Item {
  const parts = [
    item.text(tag.VendorIdentification, "x"),
    item.text(tag.AttributeName, name.slice(2)),
    item.text(tag.AttributeValue, value),
  ];
  return item.structure(tag.NewAttribute, item.structure(tag.Attribute, ...parts));
}

const wrapUnwrap = usage.wrapKey | usage.unwrapKey;
const wrappedBy = (uniqueIdentifier: string) =>
  part.wrapping({
    wrappingMethod: 1,
    encryptionKey: { uniqueIdentifier, cryptographicParameters: {} },
    attributeNames: [],
    encodingOption: 1,
  });
/** Brings a Key Block as a symmetric key. */
const registering = (block: Item) => [
  item.enumeration(tag.ObjectType, 2),
  item.structure(tag.Attributes, item.integer(tag.CryptographicUsageMask, 12)),
  item.structure(tag.SymmetricKey, block),
];
const revoke = (code: number) => item.structure(tag.RevocationReason, item.enumeration(tag.RevocationReasonCode, code));
const withdraw = (name: string) =>
  item.structure(
    tag.AttributeReference,
    item.text(tag.VendorIdentification, "x"),
    item.text(tag.AttributeName, name.slice(2)),
  );

const meanwhile: Readonly<Record<string, (server: Server, key: string) => Promise<unknown>>> = {
  "its owner destroyed it": ({ done }, key) => done(owner, operation.destroy, id(key)),
  "its owner told that it is compromised": ({ done }, key) => done(owner, operation.revoke, id(key), revoke(2)),
  "its owner withdrew the right": ({ done }, key) =>
    done(owner, operation.deleteAttribute, id(key), withdraw(`x-keyfleet-grant-user:${reader.identity}`)),
  "an administrator suspended the caller": ({ done }) =>
    done(admin, operation.addAttribute, id(`keyfleet:user:${reader.identity}`), named("x-keyfleet-suspended", "yes")),
  "its owner archived it": ({ done }, key) => done(owner, 0x15, id(key)),
  "its owner set Sensitive": ({ done }, key) =>
    done(
      owner,
      operation.modifyAttribute,
      id(key),
      item.structure(tag.NewAttribute, item.boolean(tag.Sensitive, true)),
    ),
  "its owner set it not to be Extractable": ({ done }, key) =>
    done(
      owner,
      operation.modifyAttribute,
      id(key),
      item.structure(tag.NewAttribute, item.boolean(tag.Extractable, false)),
    ),
};
const exportOf = 0x2b;
const refusals: readonly (readonly [string, keyof typeof meanwhile, number])[] = [
  ["Get", "its owner destroyed it", operation.get],
  ["Get", "its owner told that it is compromised", operation.get],
  ["Get", "its owner withdrew the right", operation.get],
  ["Get", "its owner archived it", operation.get],
  ["Get", "its owner set Sensitive", operation.get],
  ["Get", "its owner set it not to be Extractable", operation.get],
  ["Export", "its owner set Sensitive", exportOf],
  ["Get Attributes", "its owner withdrew the right", operation.getAttributes],
];
for (const [name, event, number] of refusals) {
  test(`a pending ${name} of a key is answered as ${name} would be now: ${event}`, async () => {
    const server = aServer();
    const key = await aSharedKey(server);
    const correlation = await server.waiting(reader, number, id(key));
    await meanwhile[event]?.(server, key);
    const polled = await server.call(reader, 0x1a, correlation);
    const now = await server.call(reader, number, id(key));
    assert.equal(now.success, false);
    assert.deepEqual(polled, now);
    assert.equal(findItem(polled.payload, tag.KeyMaterial), undefined);
    assert.equal((await server.call(reader, 0x1a, correlation)).reason, reason.unknown, "it is forgotten");
  });
}

test("a caller that is suspended meanwhile polls nothing", async () => {
  const server = aServer();
  const key = await aSharedKey(server);
  const correlation = await server.waiting(reader, operation.get, id(key));
  await meanwhile["an administrator suspended the caller"]?.(server, key);
  const polled = await server.call(reader, 0x1a, correlation);
  assert.match(polled.message ?? "", /suspended/);
  assert.equal(findItem(polled.payload, tag.KeyMaterial), undefined);
});

test("a pending Get of a key gives its bytes while nothing has changed, also of one that only ended", async () => {
  const server = aServer();
  const key = await aSharedKey(server);
  const plain = findItem(await server.done(owner, operation.get, id(key)), tag.KeyMaterial)?.value;
  const correlation = await server.waiting(reader, operation.get, id(key));
  await server.done(owner, operation.activate, id(key));
  await server.done(owner, operation.revoke, id(key), revoke(5));
  const polled = await server.done(reader, 0x1a, correlation);
  assert.deepEqual(findItem(polled, tag.KeyMaterial)?.value, plain);
});

/** What becomes of the key that a pending Get wraps with, or unwraps with. */
const wrapping: readonly (readonly [string, (server: Server, wrapper: string) => Promise<unknown>])[] = [
  ["is revoked", ({ done }, wrapper) => done(owner, operation.revoke, id(wrapper), revoke(2))],
  ["is archived", ({ done }, wrapper) => done(owner, 0x15, id(wrapper))],
];
for (const [what, happens] of wrapping) {
  test(`a pending Get of a wrapped key, and of what is kept wrapped in clear, is answered as Get would be now: the wrapping key ${what}`, async () => {
    const server = aServer();
    const [key, wrapper] = [await aSharedKey(server), await aSharedKey(server, wrapUnwrap)];
    await server.done(owner, operation.activate, id(wrapper));
    const wrapped = () => [id(key), wrappedBy(wrapper)];
    const block = findItem(await server.done(owner, operation.get, ...wrapped()), tag.KeyBlock) as Item;
    const made = await server.done(owner, operation.register, ...registering(block));
    const inClear = [id(String(findItem(made, tag.UniqueIdentifier)?.value)), item.enumeration(tag.KeyWrapType, 1)];
    for (const asked of [wrapped(), inClear]) await server.done(owner, operation.get, ...asked);
    const waiting = [
      { asked: wrapped(), correlation: await server.waiting(owner, operation.get, ...wrapped()) },
      { asked: inClear, correlation: await server.waiting(owner, operation.get, ...inClear) },
    ];
    await happens(server, wrapper);
    for (const { asked, correlation } of waiting) {
      const now = await server.call(owner, operation.get, ...asked);
      assert.equal(now.success, false);
      assert.deepEqual(await server.call(owner, 0x1a, correlation), now);
    }
  });
}

test("a pending Get of a key that became Sensitive gives it wrapped", async () => {
  const server = aServer();
  const [key, wrapper] = [await aSharedKey(server), await aSharedKey(server, wrapUnwrap)];
  await server.done(owner, operation.activate, id(wrapper));
  const correlation = await server.waiting(owner, operation.get, id(key), wrappedBy(wrapper));
  await meanwhile["its owner set Sensitive"]?.(server, key);
  assert.ok(findItem(await server.done(owner, 0x1a, correlation), tag.KeyWrappingData));
});

test("what is told of a change stays true: a pending Destroy is answered as done", async () => {
  const server = aServer();
  const key = await aSharedKey(server);
  const correlation = await server.waiting(owner, operation.destroy, id(key));
  const polled = await server.done(owner, 0x1a, correlation);
  assert.equal(findItem(polled, tag.UniqueIdentifier)?.value, key);
});

test("a result that cannot be judged now, or is too large for the client, is kept for another Poll", async () => {
  const server = aServer();
  const key = await aSharedKey(server);
  const correlation = await server.waiting(reader, operation.get, id(key));
  const small = [item.integer(tag.MaximumResponseSize, 100)];
  assert.equal(
    resultsOf(await server.send(reader, 0x1a, [correlation], { header: small }))[0]?.reason,
    reason.tooLarge,
  );
  const { objects } = server.store;
  server.store.objects = () => Promise.reject(new Error("the database is away"));
  assert.equal((await server.call(reader, 0x1a, correlation)).reason, reason.failure);
  server.store.objects = objects;
  const material = findItem(await server.done(reader, 0x1a, correlation), tag.KeyMaterial)?.value as Buffer;
  assert.equal(material.length, 32);
  assert.ok(material.some((byte) => byte !== 0));
});

test("what a batch polls that is undone is kept for another Poll", async () => {
  const server = aServer();
  const key = await aSharedKey(server);
  const correlation = await server.waiting(reader, operation.get, id(key));
  const absent = "00000000-0000-4000-8000-000000000000";
  const requests = [
    { operation: 0x1a, payload: payload(correlation) },
    { operation: operation.get, payload: payload(id(absent)) },
  ];
  const header = [item.enumeration(tag.BatchErrorContinuationOption, 3)];
  const [undone] = await server.batch(reader, requests, header);
  assert.equal(findItem(undone?.payload, tag.KeyMaterial), undefined);
  const material = findItem(await server.done(reader, 0x1a, correlation), tag.KeyMaterial)?.value as Buffer;
  assert.ok(material.some((byte) => byte !== 0));
});

test("a ticket that has ended gives nothing that was asked for with it", async () => {
  const server = aServer();
  const key = await aSharedKey(server);
  const rights = item.structure(
    tag.Rights,
    item.structure(tag.Right, item.structure(tag.Operations, item.enumeration(tag.Operation, operation.get))),
  );
  const ticket = findItem(await server.done(owner, 0x2f, rights), tag.Ticket) as Item;
  const value = { ...ticket, tag: tag.CredentialValue } as Item;
  const credential = item.structure(tag.Credential, item.enumeration(tag.CredentialType, 6), value);
  const header = [...mandatory, item.structure(tag.Authentication, credential)];
  const stranger = callerOf("CN=stranger", "CN=clients");
  const ask = async () => {
    const answer = await server.send(stranger, operation.get, [id(key)], { header });
    const correlation = findItem(answer, tag.AsynchronousCorrelationValue);
    assert.ok(correlation);
    await server.done(stranger, 0x3a, correlation);
    return correlation;
  };
  const [first, second] = [await ask(), await ask()];
  assert.ok(findItem(await server.done(stranger, 0x1a, first), tag.KeyMaterial));
  await server.done(owner, 0x2e, ticket);
  const refused = await server.call(stranger, 0x1a, second);
  assert.match(refused.message ?? "", /ticket is not, or no longer, valid/);
  assert.equal(childrenOf(refused.payload, tag.KeyMaterial).length, 0);
});

const asynchronous = { poll: 0x1a, cancel: 0x19, process: 0x3a, query: 0x39 } as const;
const correlationOf = (value: Buffer) => item.bytes(tag.AsynchronousCorrelationValue, value);
const strange = callerOf("CN=stranger", "CN=clients");
const ofNobody = Buffer.alloc(16, 5);

/** [operation, what names the pending one] */
const reaching: readonly (readonly [keyof typeof asynchronous, (value: Buffer) => Item, number])[] = [
  ["poll", correlationOf, 10],
  ["cancel", correlationOf, 10],
  ["process", correlationOf, 21],
  ["query", (value) => item.structure(tag.AsynchronousCorrelationValues, correlationOf(value)), 21],
];

/** A Get of a large key of the owner's that waits for Poll, or that never ends. */
async function another(state: "done" | "running") {
  const server = aServer();
  const key = await aSharedKey(server);
  const { objects } = server.store;
  if (state === "running")
    server.store.objects = (ids) => (ids.includes(key) ? new Promise(() => undefined) : objects(ids));
  const answer = await server.send(owner, operation.get, [id(key)], { header: mandatory });
  const correlation = findItem(answer, tag.AsynchronousCorrelationValue) as Item;
  if (state === "done") await server.done(owner, asynchronous.process, correlation);
  return { server, correlation };
}

for (const state of ["done", "running"] as const) {
  for (const [what, naming, since] of reaching) {
    for (const spoken of [10, 14, 20, 21].filter((each) => each >= since)) {
      test(`${what} in ${(spoken / 10).toFixed(1)} answers a stranger of another's ${state} operation as of none, and changes nothing`, async () => {
        const { server, correlation } = await another(state);
        const told = async (value: Buffer) => {
          const answer = encode(await server.send(strange, asynchronous[what], [naming(value)], { spoken }));
          return answer.toString("hex").replaceAll(value.toString("hex"), "VALUE");
        };
        assert.equal(await told(correlation.value as Buffer), await told(ofNobody));
        const polled = await server.call(owner, asynchronous.poll, correlation);
        assert.deepEqual([polled.success, polled.reason], [state === "done", undefined]);
      });
    }
  }
}

test("a ticket that allows Poll, Cancel, Process and Query of one's operations reaches none of them", async () => {
  const { server, correlation } = await another("done");
  const operations = Object.values(asynchronous).map((number) => item.enumeration(tag.Operation, number));
  const right = item.structure(tag.Right, item.structure(tag.Operations, ...operations));
  const ticket = findItem(await server.done(owner, 0x2f, item.structure(tag.Rights, right)), tag.Ticket) as Item;
  const value = { ...ticket, tag: tag.CredentialValue } as Item;
  const credential = item.structure(tag.Credential, item.enumeration(tag.CredentialType, 6), value);
  const header = [item.structure(tag.Authentication, credential)];
  for (const [what, naming] of reaching) {
    const answer = await server.send(strange, asynchronous[what], [naming(correlation.value as Buffer)], { header });
    assert.match(resultsOf(answer)[0]?.message ?? "", /leave the ticket out/, what);
  }
  assert.ok(findItem(await server.done(owner, asynchronous.poll, correlation), tag.KeyMaterial));
});
