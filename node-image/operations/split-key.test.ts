import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { keyWrappingData } from "../kmip/key-wrapping.ts";
import { tag } from "../kmip/tags.ts";
import type { Json, ManagedObject, Store } from "../objects/types.ts";
import { fails } from "../testing/fails.ts";
import { attributeItem, childrenOf, findItem, item, template } from "../testing/items.ts";
import { type KmipClient, operation } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { generationLimits } from "./turns.ts";

const createSplitKey = 0x28;
const joinSplitKey = 0x29;
const reason = {
  notFound: 1,
  invalidField: 7,
  cryptographic: 10,
  illegal: 11,
  denied: 12,
  sensitive: 22,
  notExtractable: 23,
};
const methods = { xor: 1, polynomial16: 2, polynomialPrime: 3, polynomial8: 4 };
const aes: Readonly<Record<string, Json>> = {
  "Cryptographic Algorithm": 3,
  "Cryptographic Length": 256,
  "Cryptographic Usage Mask": 12,
};

const store = memoryStore();
let site: KmipSite;
let app: KmipClient;
before(async () => {
  site = await kmipSite({ store });
  app = await site.connect("O=bank, CN=app");
});
after(() => site.close());

interface Wanted {
  readonly id?: string;
  readonly method?: number;
  readonly parts?: number;
  readonly threshold?: number;
  readonly attributes?: Readonly<Record<string, Json>>;
}

async function splitOf(wanted: Wanted, client = app): Promise<string[]> {
  const { id, method = methods.polynomial8, parts = 5, threshold = 3, attributes = {} } = wanted;
  const response = await client.call(
    createSplitKey,
    item.enumeration(tag.ObjectType, 5),
    id === undefined ? undefined : item.text(tag.UniqueIdentifier, id),
    item.integer(tag.SplitKeyParts, parts),
    item.integer(tag.SplitKeyThreshold, threshold),
    item.enumeration(tag.SplitKeyMethod, method),
    template(attributes),
  );
  return childrenOf(response, tag.UniqueIdentifier).map(({ value }) => String(value));
}

async function joined(parts: readonly string[], type = 2, client = app, more: Item[] = []): Promise<string> {
  const ids = parts.map((each) => item.text(tag.UniqueIdentifier, each));
  const response = await client.call(joinSplitKey, item.enumeration(tag.ObjectType, type), ...ids, ...more);
  return String(findItem(response, tag.UniqueIdentifier)?.value);
}

for (const [name, method] of Object.entries(methods)) {
  test(`${name}: a key is split, and enough of its parts join to it`, async () => {
    const id = await app.create({ "Cryptographic Usage Mask": 4 });
    const key = await app.get(id);
    const threshold = method === methods.xor ? 5 : 3;
    const parts = await splitOf({ id, method, threshold });
    assert.equal(parts.length, 5);
    const again = await joined(parts.slice(5 - threshold));
    assert.deepEqual(await app.get(again), key);
    const attributes = await app.attributes(
      again,
      "Cryptographic Algorithm",
      "Cryptographic Length",
      "Cryptographic Usage Mask",
    );
    assert.deepEqual(attributes, { ...aes, "Cryptographic Usage Mask": 4 });
    if (method !== methods.xor) await fails(joined(parts.slice(0, 2)), reason.cryptographic, /3 parts are needed/);
  });
}

/** A part that some other product made, 2 of 3, usually over GF(2^8); it says nothing of the key. */
async function partFromElsewhere(
  index: number,
  bytes: string,
  method: number = methods.polynomial8,
  prime?: bigint,
): Promise<string> {
  const part = item.structure(
    tag.SplitKey,
    item.integer(tag.SplitKeyParts, 3),
    item.integer(tag.KeyPartIdentifier, index),
    item.integer(tag.SplitKeyThreshold, 2),
    item.enumeration(tag.SplitKeyMethod, method),
    ...(prime === undefined ? [] : [{ tag: tag.PrimeFieldSize, type: itemType.bigInteger, value: prime } as const]),
    item.structure(
      tag.KeyBlock,
      item.enumeration(tag.KeyFormatType, 1),
      item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, Buffer.from(bytes, "hex"))),
    ),
  );
  const made = await app.call(operation.register, item.enumeration(tag.ObjectType, 5), template({}), part);
  return String(findItem(made, tag.UniqueIdentifier)?.value);
}

const secret = "sixteen bytes..!";
const ofAes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 128, "Cryptographic Usage Mask": 12 };

test("parts from elsewhere over GF(2^8) are by x^8+x^4+x^3+x^2+1, and their key has the algorithm that the request tells", async () => {
  const one = await partFromElsewhere(1, "ba876b4c38e7c9ec936f4f05f684e1d5");
  const three = await partFromElsewhere(3, "35464d3c82fe9a696c4339c5e1cd6220");
  const id = await joined([three, one], 2, app, [template(ofAes)]);
  assert.equal((await app.get(id)).toString(), secret);
  const given = await app.call(operation.get, item.text(tag.UniqueIdentifier, id));
  assert.equal(findItem(given, tag.CryptographicAlgorithm)?.value, 3);
  assert.equal(findItem(given, tag.CryptographicLength)?.value, 128);
  assert.deepEqual(await app.attributes(id, ...Object.keys(ofAes)), ofAes);
  const longer = template({ ...ofAes, "Cryptographic Length": 256 });
  await fails(joined([one, three], 2, app, [longer]), reason.invalidField, /128 bits/);
});

for (const [what, method, third, prime, said] of [
  [
    "a part that was changed, if there are more than needed",
    methods.polynomial8,
    "00".repeat(16),
    undefined,
    /changed/,
  ],
  ["a part of another secret in a prime field", methods.polynomialPrime, "07", 2n ** 127n - 1n, /changed/],
  ["parts modulo what is no prime", methods.polynomialPrime, "03", 2n ** 129n, /no prime/],
] as const) {
  test(`not joined, since another key would come of it: ${what}`, async () => {
    const parts = [
      await partFromElsewhere(1, "01".repeat(16), method, prime),
      await partFromElsewhere(2, "02".repeat(16), method, prime),
      await partFromElsewhere(3, third, method, prime),
    ];
    await fails(joined(parts, 2, app, [template(ofAes)]), reason.cryptographic, said);
  });
}

test("by XOR all parts are needed, whatever threshold they tell", async () => {
  const parts = [];
  for (const index of [1, 2, 3]) parts.push(await partFromElsewhere(index, "01".repeat(16), methods.xor));
  await fails(joined(parts.slice(1), 2, app, [template(ofAes)]), reason.cryptographic, /3 parts are needed/);
  assert.deepEqual(await app.get(await joined(parts, 2, app, [template(ofAes)])), Buffer.alloc(16, 1));
});

test("parts that were made here before that, by x^8+x^4+x^3+x+1, join as they were made", async () => {
  const parts = [
    await partFromElsewhere(1, "ba876b4c38e7c9ec936f4f05f684e1d5"),
    await partFromElsewhere(2, "faae5e04df7a3ba39b5502a56261abd2"),
  ];
  for (const id of parts) {
    const [split] = (await store.object(id))?.attributes.get(".split") ?? [];
    const made = { ...(split as Record<string, Json>), set: "00000000-0000-4000-8000-000000000009" };
    await store.write([{ kind: "change", id, facts: 0, attributes: { ".split": [made] } }]);
  }
  assert.equal((await app.get(await joined(parts))).toString(), secret);
});

test("without a key a new one is made, of which only the parts are kept", async () => {
  const before = (await app.locate()).length;
  const parts = await splitOf({ attributes: aes });
  assert.equal((await app.locate()).length, before + 5);
  const [one, other] = [await joined(parts.slice(0, 3)), await joined(parts.slice(2))];
  assert.deepEqual(await app.get(one), await app.get(other));
});

test("a part says what it is a part of, and can be given away and come back", async () => {
  const parts = await splitOf({ attributes: aes });
  const response = await app.call(operation.get, item.text(tag.UniqueIdentifier, parts[1] as string));
  const part = findItem(response, tag.SplitKey) as Item;
  assert.equal(findItem(part, tag.KeyPartIdentifier)?.value, 2);
  assert.equal(findItem(part, tag.SplitKeyThreshold)?.value, 3);
  const back = await app.call(operation.register, item.enumeration(tag.ObjectType, 5), template({}), part);
  const copy = String(findItem(back, tag.UniqueIdentifier)?.value);
  const again = await app.call(operation.get, item.text(tag.UniqueIdentifier, copy));
  assert.deepEqual(findItem(again, tag.SplitKey), part);
});

test("secret data of any length is shared, too", async () => {
  const secret = item.structure(
    tag.SecretData,
    item.enumeration(tag.SecretDataType, 1),
    item.structure(
      tag.KeyBlock,
      item.enumeration(tag.KeyFormatType, 2),
      item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, Buffer.from("seven.."))),
    ),
  );
  const made = await app.call(operation.register, item.enumeration(tag.ObjectType, 7), template({}), secret);
  const parts = await splitOf({ id: String(findItem(made, tag.UniqueIdentifier)?.value) });
  assert.equal((await app.get(await joined(parts.slice(1, 4), 7))).toString(), "seven..");
  await fails(
    splitOf({ id: String(findItem(made, tag.UniqueIdentifier)?.value), method: methods.polynomial16 }),
    reason.invalidField,
    /even/,
  );
});

test("parts of different keys are not joined, nor one part twice", async () => {
  const [one, other] = [await splitOf({ attributes: aes }), await splitOf({ attributes: aes })];
  await fails(joined([one[0], one[1], other[2]] as string[]), reason.cryptographic, /different split keys/);
  await fails(joined([one[0], one[1], one[1]] as string[]), reason.invalidField, /given twice/);
  await fails(joined([await app.create()]), reason.invalidField, /Only Split Keys/);
});

test("nothing of a split stays when it fails", async () => {
  const before = (await app.locate()).length;
  const wrong: readonly [Wanted, number][] = [
    [{ attributes: { ...aes, Name: { nameValue: "n", nameType: 1 } } }, reason.invalidField],
    [{ attributes: aes, parts: 2, threshold: 3 }, reason.invalidField],
    [{ attributes: aes, parts: 1_000 }, reason.invalidField],
    [{ attributes: aes, method: methods.xor, threshold: 2 }, reason.invalidField],
    [{ attributes: { ...aes, State: 2 } }, reason.invalidField],
  ];
  for (const [wanted, expected] of wrong) await fails(splitOf(wanted), expected);
  assert.equal((await app.locate()).length, before);
});

test("a key that may not leave is not split, and the parts of a sensitive one are sensitive, as is what they join to", async () => {
  await fails(splitOf({ id: await app.create({ Extractable: false }) }), reason.notExtractable);
  const parts = await splitOf({ id: await app.create({ Sensitive: true }), attributes: { Sensitive: false } });
  await fails(app.get(parts[0] as string), reason.sensitive);
  await fails(app.get(await joined(parts.slice(0, 3))), reason.sensitive);
});

test("whoever may split but not Get a key gets it by no detour; nor by joining others' parts", async () => {
  const id = await app.create();
  const parts = await splitOf({ attributes: aes });
  const friend = await site.connect("O=bank, CN=friend");
  const grant = "x-keyfleet-grant-user:CN=friend,O=bank,issuer(CN=clients,O=bank)";
  const add = (to: string, right: string) =>
    app.call(
      operation.addAttribute,
      item.text(tag.UniqueIdentifier, to),
      attributeItem(grant, { type: 7, value: right }),
    );
  await fails(splitOf({ id }, friend), reason.notFound);
  await add(id, "CreateSplitKey");
  await fails(splitOf({ id }, friend), reason.denied, /right Get/);
  for (const part of parts) await add(part, "JoinSplitKey");
  await fails(joined(parts, 2, friend), reason.denied, /right Get/);
});

test("what one part keeps secret its key keeps, whatever the others say", async () => {
  const parts = await splitOf({ id: await app.create({ Sensitive: true }) });
  const open = item.text(tag.UniqueIdentifier, parts[0] as string);
  await app.call(operation.modifyAttribute, open, attributeItem("Sensitive", false));
  await fails(app.get(await joined(parts.slice(0, 3))), reason.sensitive);
  await fails(app.get(await joined(parts.slice(0, 3).toReversed())), reason.sensitive);
});

/** Secret Data of so many bytes. */
async function secretOf(bytes: number): Promise<string> {
  const material = item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, Buffer.alloc(bytes, 7)));
  const block = item.structure(tag.KeyBlock, item.enumeration(tag.KeyFormatType, 2), material);
  const secret = item.structure(tag.SecretData, item.enumeration(tag.SecretDataType, 1), block);
  const made = await app.call(operation.register, item.enumeration(tag.ObjectType, 7), template({}), secret);
  return String(findItem(made, tag.UniqueIdentifier)?.value);
}

test("nobody waits for long for another's split: its work and its bytes are bounded", async () => {
  const many = { parts: 100, threshold: 100 };
  const longKey = await secretOf(2_400);
  await fails(splitOf({ id: longKey, ...many }), reason.invalidField, /fewer of them/);
  assert.equal((await splitOf({ id: longKey, parts: 60, threshold: 40 })).length, 60);
  await fails(splitOf({ id: await secretOf(20_000), method: methods.xor, ...many }), reason.invalidField, /together/);
});

test("parts that are kept wrapped are not joined: what they hold is no part of the key", async () => {
  const wrapper = await app.create({ "Cryptographic Usage Mask": 0x30 });
  const wrapping = { wrappingMethod: 1, encryptionKey: { uniqueIdentifier: wrapper }, encodingOption: 1 };
  const wrappedPart = async (identifier: number) => {
    const block = item.structure(
      tag.KeyBlock,
      item.enumeration(tag.KeyFormatType, 1),
      item.bytes(tag.KeyValue, Buffer.alloc(40, identifier)),
      item.enumeration(tag.CryptographicAlgorithm, 3),
      item.integer(tag.CryptographicLength, 256),
      keyWrappingData.write(tag.KeyWrappingData, wrapping, 14),
    );
    const counts = [tag.SplitKeyParts, tag.KeyPartIdentifier, tag.SplitKeyThreshold].map((number) =>
      item.integer(number, number === tag.KeyPartIdentifier ? identifier : 2),
    );
    const part = item.structure(tag.SplitKey, ...counts, item.enumeration(tag.SplitKeyMethod, methods.xor), block);
    const made = await app.call(operation.register, item.enumeration(tag.ObjectType, 5), template({}), part);
    return String(findItem(made, tag.UniqueIdentifier)?.value);
  };
  await fails(joined([await wrappedPart(1), await wrappedPart(2)]), reason.illegal, /kept wrapped/);
});

test("however many keys are joined at once, the parts of no more than a few are in memory", async (t) => {
  const memory = memoryStore();
  const gate = Promise.withResolvers<void>();
  const asked = new Set<string>();
  let gated = false;
  const objects: Store["objects"] = async (ids) => {
    if (gated) {
      for (const id of ids) asked.add(id);
      await gate.promise;
    }
    return memory.objects(ids);
  };
  const own = await kmipSite({ store: { ...memory, objects } });
  t.after(() => own.close());
  const clients = await Promise.all(Array.from({ length: 6 }, (_, at) => own.connect(`O=bank, CN=joins ${at}`)));
  const keys = await Promise.all(clients.map((client) => splitOf({ attributes: aes }, client)));
  gated = true;
  const joins = keys.map((parts, at) => joined(parts, 2, clients[at]));
  const other = await own.connect("O=bank, CN=other");
  for (let times = 0; times < 20; times++) await other.call(operation.query);
  assert.equal(keys.flat().filter((part) => asked.has(part)).length, generationLimits.atOnce);
  gate.resolve();
  assert.equal(new Set(await Promise.all(joins)).size, keys.length);
});

test("parts that are too large together are told so before all of them are read", async (t) => {
  const parts = await splitOf({ attributes: aes });
  const large = { ...store, objects: async (ids: readonly string[]) => (await store.objects(ids)).map(inflated) };
  const own = await kmipSite({ store: large });
  t.after(() => own.close());
  const client = await own.connect("O=bank, CN=app");
  await fails(joined(parts, 2, client), reason.cryptographic, /So many parts/);
});

const inflated = (object: ManagedObject) =>
  object.attributes.has(".split") ? { ...object, sealed: Buffer.alloc(6_000_000) } : object;
