import assert from "node:assert/strict";
import { test } from "node:test";
import { callerOf } from "../access/identity.ts";
import { listOf } from "../testing/cryptography-requests.ts";
import { attributeItem, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { DecodeError, type Item, itemType } from "../ttlv/types.ts";
import { tag } from "./tags.ts";
import { json, xml } from "./vocabulary.ts";

/** Requests of a size that is allowed, and of a kind that costs more than its size: while one is looked at nobody else is served. */
const secondsMax = 3;
const caller = callerOf("CN=app", "CN=clients");

function aServer() {
  const parts = { store: memoryStore(), keyring: testKeyring(), log: () => undefined };
  const handler = kmipHandler(parts);
  const ask = async (message: Item) => handler(encode(message), caller);
  const call = async (number: number, children: readonly Item[], header: Item[] = [], version = 14) => {
    const request = [{ operation: number, payload: payload(...children) }];
    const answer = await ask(requestMessage(request, { version, header }));
    const [result] = resultsOf(decode(answer));
    assert.ok(result);
    return { ...result, bytes: answer.length };
  };
  return { handler, call };
}

/** What a work gives, if it takes no longer than it may of the processor. */
async function quickly<Result>(work: () => Result | Promise<Result>): Promise<Result> {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  const seconds = (user + system) / 1e6;
  assert.ok(seconds < secondsMax, `${seconds} s`);
  return result;
}

const values = 8_000;
/** A name that is one of an attribute but for the spaces behind it, and what follows it as words. */
const named = (name: string) => ({
  JSON: [
    json,
    `{"tag":"Attribute","value":[{"tag":"AttributeName","type":"TextString","value":"${name}"}${`,{"tag":"AttributeValue","type":"Enumeration","value":"Active"}`.repeat(values)}]}`,
  ] as const,
  XML: [
    xml,
    `<Attribute><AttributeName type="TextString" value="${name}"/>${`<AttributeValue type="Enumeration" value="Active"/>`.repeat(values)}</Attribute>`,
  ] as const,
});
for (const kind of ["JSON", "XML"] as const) {
  test(`${kind}: a long attribute name is not looked at anew for each of many values`, async () => {
    const [encoding, text] = named("State")[kind];
    assert.equal(findItem(await quickly(() => encoding.decode(Buffer.from(text))), tag.AttributeValue)?.value, 2);
    const [, long] = named(`State${" ".repeat(400_000)}`)[kind];
    await quickly(() => assert.throws(() => encoding.decode(Buffer.from(long)), DecodeError));
  });
}

test("an attribute that is called like what every object of JavaScript has is one that nobody knows", () => {
  const text = `{"tag":"Attribute","value":[{"tag":"AttributeName","type":"TextString","value":"__proto__"},{"tag":"AttributeValue","type":"Integer","value":"Sign"}]}`;
  assert.throws(() => json.decode(Buffer.from(text)), DecodeError);
});

test("a big integer of half a megabyte is measured at once, also where its request waits", async () => {
  const value = 2n ** 4_000_000n;
  const asked = [{ tag: tag.Modulus, type: itemType.bigInteger, value } as Item];
  const mandatory = [item.enumeration(tag.AsynchronousIndicator, 1)];
  const { call } = aServer();
  const { payload: told } = await quickly(() => call(operation.create, asked, mandatory, 21));
  assert.equal(told, undefined, "it is pending");
});

test("a search has no more attributes than an object", async () => {
  const { call } = aServer();
  const asked = (count: number) => Array.from({ length: count }, () => attributeItem("x-a", { type: 2, value: 9 }));
  assert.ok((await call(operation.locate, asked(200))).success);
  const refused = await call(operation.locate, asked(201));
  assert.deepEqual([refused.reason, refused.message], [7, "A search has at most 200 attributes"]);
});

test("attributes whose long names an answer would have again with each instance are too large", async () => {
  const { call } = aServer();
  const aes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
  const made = await call(operation.create, [item.enumeration(tag.ObjectType, 2), template(aes)]);
  const id = item.text(tag.UniqueIdentifier, String(findItem(made.payload, tag.UniqueIdentifier)?.value));
  const add = (value: number) =>
    call(operation.addAttribute, [id, attributeItem(`x-${"n".repeat(25_000)}`, { type: 2, value })]);
  const added = [await add(1), await add(2), await add(3), await add(4)].map(({ success }) => success);
  assert.deepEqual(added, [true, true, false, false]);
  const { bytes } = await call(operation.getAttributes, [id]);
  assert.ok(bytes < 2 * 2 ** 20, `${bytes} bytes`);
  const asked = { ...aes, "x-short": { type: 2, value: 1 } };
  const attributes = listOf(tag.Attributes, asked, 21);
  assert.ok((await call(operation.create, [item.enumeration(tag.ObjectType, 2), attributes], [], 21)).success);
});
