import assert from "node:assert/strict";
import { before, beforeEach, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { findItem, item, payload } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";

const code = { login: 0x2d, logout: 0x2e, delegated: 0x2f, encrypt: 0x1f } as const;
const reason = { badTicket: 0x19, denied: 0x0c, notFound: 0x37, feature: 0x08 } as const;
const subjects = { owner: "CN=owner", friend: "CN=friend", admin: "CN=admin" } as const;

let clock = 1_000_000;
const store = memoryStore();
const handler = kmipHandler({
  store,
  keyring: testKeyring(),
  log: () => undefined,
  now: () => new Date(clock * 1000),
  firstAdministrators: () => ["CN=admin"],
});
let key: string;
let other: string;

type Who = keyof typeof subjects;

/** One request, with a ticket if one is given. */
async function call(who: Who, number: number, children: readonly Item[], ticket?: Item): Promise<Item> {
  const credential = (value: Item) =>
    item.structure(tag.Authentication, item.structure(tag.Credential, item.enumeration(tag.CredentialType, 6), value));
  const header = ticket === undefined ? [] : [credential({ ...ticket, tag: tag.CredentialValue } as Item)];
  const message = requestMessage([{ operation: number, payload: payload(...children) }], { version: 21, header });
  const caller = { identity: `${subjects[who]},issuer(CN=ca)`, subject: subjects[who] };
  const [result] = resultsOf(decode(await handler(encode(message), caller)));
  if (result?.success === true && result.payload !== undefined) return result.payload;
  throw Object.assign(new Error(result?.message), { reason: result?.reason });
}

const id = (value: string) => item.text(tag.UniqueIdentifier, value);
const get = (who: Who, object: string, ticket?: Item) => call(who, operation.get, [id(object)], ticket);
const ticketOf = (answer: Item) => findItem(answer, tag.Ticket) as Item;
const right = (operations: readonly number[], ...objects: string[]) =>
  item.structure(
    tag.Right,
    item.structure(tag.Operations, ...operations.map((each) => item.enumeration(tag.Operation, each))),
    ...(objects.length === 0 ? [] : [item.structure(tag.Objects, ...objects.map(id))]),
  );
const lease = (seconds: number): Item => ({ tag: tag.LeaseTime, type: 10, value: seconds }) as Item;

async function delegated(rights: readonly Item[], ...more: Item[]): Promise<Item> {
  return ticketOf(await call("owner", code.delegated, [...more, item.structure(tag.Rights, ...rights)]));
}

async function refused(promise: Promise<unknown>, expected: number): Promise<void> {
  await assert.rejects(promise, (error: Error & { reason?: number }) => {
    assert.equal(error.reason, expected, error.message);
    return true;
  });
}

async function create(): Promise<string> {
  const attributes = item.structure(
    tag.Attributes,
    item.enumeration(tag.CryptographicAlgorithm, 3),
    item.integer(tag.CryptographicLength, 256),
    item.integer(tag.CryptographicUsageMask, 12),
  );
  const answer = await call("owner", operation.create, [item.enumeration(tag.ObjectType, 2), attributes]);
  return String(findItem(answer, tag.UniqueIdentifier)?.value);
}

before(async () => {
  other = await create();
});
beforeEach(async () => {
  key = await create();
});

test("a login ticket is the caller's own: in other hands it is worth nothing", async () => {
  const ticket = ticketOf(await call("owner", code.login, []));
  await get("owner", key, ticket);
  await refused(get("friend", key, ticket), reason.badTicket);
});

test("a delegated ticket lets its bearer do what it names, with the objects that it names", async () => {
  const ticket = await delegated([right([operation.get], key)]);
  await refused(get("friend", key), reason.notFound);
  await get("friend", key, ticket);
  await refused(get("friend", other, ticket), reason.notFound);
  await refused(call("friend", operation.destroy, [id(key)], ticket), reason.denied);
  const all = await delegated([right([operation.get])]);
  await get("friend", other, all);
});

test("rights of a ticket are not mixed: each operation with its own objects", async () => {
  const ticket = await delegated([right([operation.get], key), right([operation.getAttributes], other)]);
  await get("friend", key, ticket);
  await refused(get("friend", other, ticket), reason.notFound);
  await call("friend", operation.getAttributes, [id(other)], ticket);
});

test("Locate by a ticket finds what the ticket covers", async () => {
  const found = await call("friend", operation.locate, [], await delegated([right([operation.locate], key)]));
  const ids = found.type === 1 ? found.value.filter((each) => each.tag === tag.UniqueIdentifier) : [];
  assert.deepEqual(
    ids.map(({ value }) => value),
    [key],
  );
});

test("a ticket ends when it says, or with Logout", async () => {
  const short = await delegated([right([operation.get])], lease(60));
  const ended = await delegated([right([operation.get])]);
  await get("friend", key, short);
  clock += 60;
  await refused(get("friend", key, short), reason.badTicket);
  await get("friend", key, ended);
  await call("owner", code.logout, [ended]);
  await refused(get("friend", key, ended), reason.badTicket);
});

/** A New Attribute that lets somebody Get. */
function grantOfGet(name: string): Item {
  return item.structure(
    tag.NewAttribute,
    item.structure(
      tag.Attribute,
      item.text(tag.VendorIdentification, "x"),
      item.text(tag.AttributeName, name),
      item.text(tag.AttributeValue, "Get"),
    ),
  );
}

test("a ticket makes no ticket, gives no rights, and carries no role of its bearer", async () => {
  const everything = [operation.get, operation.locate, operation.addAttribute, code.login, code.delegated];
  const ticket = await delegated([right(everything)]);
  await refused(
    call("friend", code.delegated, [item.structure(tag.Rights, right([operation.get]))], ticket),
    reason.denied,
  );
  const grant = grantOfGet("keyfleet-grant-user:CN=friend,issuer(CN=ca)");
  await refused(call("friend", operation.addAttribute, [id(key), grant], ticket), reason.denied);
  await call("admin", operation.getAttributes, [id(key)]);
  await refused(call("admin", operation.getAttributes, [id(key)], ticket), reason.denied);
});

test("a ticket that was changed in any byte is none", async () => {
  const ticket = await delegated([right([operation.get])]);
  const value = (findItem(ticket, tag.TicketValue) as Item).value as Buffer;
  for (let at = 0; at < value.length; at += 1) {
    const forged = Buffer.from(value);
    forged[at] = (forged[at] as number) ^ 1;
    const changed = item.structure(
      tag.Ticket,
      item.enumeration(tag.TicketType, 1),
      item.bytes(tag.TicketValue, forged),
    );
    await refused(get("friend", key, changed), reason.badTicket);
  }
});

test("limits that a ticket cannot keep are refused, not ignored", async () => {
  await refused(call("owner", code.login, [item.integer(tag.RequestCount, 5)]), reason.feature);
});

test("by a ticket nobody reads whose groups the giver is in, nor what the giver grants", async () => {
  const record = [id("keyfleet:user:CN=owner,issuer(CN=ca)")];
  const grant = grantOfGet("keyfleet-grant-user:CN=backup,issuer(CN=ca)");
  await call("owner", operation.addAttribute, [...record, grant]);
  await call("owner", operation.getAttributes, record);
  for (const number of [operation.getAttributes, operation.getAttributeList])
    await refused(call("friend", number, record, await delegated([right([number])])), reason.notFound);
});

test("by a ticket that does not give a password nobody gets its digest, by which it could be guessed", async () => {
  const block = item.structure(
    tag.KeyBlock,
    item.enumeration(tag.KeyFormatType, 2),
    item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, Buffer.from("geheim"))),
  );
  const secret = item.structure(tag.SecretData, item.enumeration(tag.SecretDataType, 1), block);
  const asked = [item.enumeration(tag.ObjectType, 7), item.structure(tag.Attributes), secret];
  const password = String(findItem(await call("owner", operation.register, asked), tag.UniqueIdentifier)?.value);
  const own = await call("owner", operation.getAttributes, [id(password)]);
  assert.ok(findItem(own, tag.Digest), "the owner is shown it");
  const ticket = await delegated([right([operation.getAttributes], password)]);
  const shown = await call("friend", operation.getAttributes, [id(password)], ticket);
  assert.equal(findItem(shown, tag.Digest), undefined);
});

test("by no ticket a key is made one that leaves the server in clear", async () => {
  const sensitive = (value: boolean) => [id(key), item.structure(tag.NewAttribute, item.boolean(tag.Sensitive, value))];
  const ticket = await delegated([right([operation.get, operation.modifyAttribute], key)]);
  await call("friend", operation.modifyAttribute, sensitive(true), ticket);
  await refused(call("friend", operation.modifyAttribute, sensitive(false), ticket), reason.denied);
  await call("owner", operation.modifyAttribute, sensitive(false));
});
