import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { linkType } from "../objects/enumerations.ts";
import type { Json, ManagedObject, Store } from "../objects/types.ts";
import { attributeItem, childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { type KmipClient, operation, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";

/** How Locate compares (KMIP 1.4, 4.9). */
const epoch = Date.UTC(2026, 0, 1) / 1000;
let site: KmipSite;
before(async () => {
  site = await kmipSite({ now: () => new Date(epoch * 1000) });
});
after(() => site.close());

let callers = 0;
/** Each test has a caller of its own, so that nobody's objects are another's. */
const caller = (version = 14) => site.connect(`O=bank, CN=caller ${callers++}`, { version });
const name = (nameValue: string): Json => ({ nameValue, nameType: 1 });
const limits = (total: number, unit: number): Json => ({ usageLimitsTotal: total, usageLimitsUnit: unit });

async function located(app: KmipClient, ...fields: Item[]): Promise<string[]> {
  return childrenOf(await app.call(operation.locate, ...fields), tag.UniqueIdentifier).map(({ value }) =>
    String(value),
  );
}

const other = "00000000-0000-4000-8000-00000000dead";

/** Keys, and which of them a part of a structure finds. */
const objects = {
  linked: { Link: { linkType: linkType.replaced, linkedObjectIdentifier: other }, Name: name("a") },
  otherwise: { Link: { linkType: linkType.replacement, linkedObjectIdentifier: other }, Name: name("b") },
  uri: { Name: { nameValue: "a b", nameType: 2 } },
} as const;
const parts: readonly (readonly [string, Json, readonly (keyof typeof objects)[]])[] = [
  ["Link", { linkedObjectIdentifier: other }, ["otherwise", "linked"]],
  ["Link", { linkType: linkType.replacement }, ["otherwise"]],
  ["Link", {}, ["otherwise", "linked"]],
  ["Name", { nameValue: "a" }, ["linked"]],
  ["Name", { nameValue: "nobody's" }, []],
  ["Name", { nameType: 2 }, ["uri"]],
  ["Name", {}, ["uri", "otherwise", "linked"]],
];

for (const [attribute, value, expected] of parts) {
  test(`a ${attribute} of which only ${JSON.stringify(value)} is told finds ${expected.join(", ") || "none"}`, async () => {
    const app = await caller();
    const ids = new Map<string, string>();
    for (const [key, attributes] of Object.entries(objects)) ids.set(await app.create(attributes), key);
    assert.deepEqual(
      (await located(app, attributeItem(attribute, value))).map((id) => ids.get(id)),
      expected,
    );
  });
}

test("a part of a structure finds in 2.1 too, and is refused where it is to be kept", async () => {
  const app = await caller();
  const latest = await site.connect(`O=bank, CN=caller ${callers - 1}`, { version: 21 });
  const key = await app.create({ Name: name("kept") });
  await app.create({ Name: name("other") });
  const wanted = item.structure(tag.Name, item.text(tag.NameValue, "kept"));
  assert.deepEqual(await located(latest, item.structure(tag.Attributes, wanted)), [key]);
  const id = item.text(tag.UniqueIdentifier, key);
  const added = [app.call(operation.addAttribute, id, attributeItem("Name", { nameValue: "x" }))];
  added.push(latest.call(operation.addAttribute, id, item.structure(tag.NewAttribute, wanted)));
  for (const each of added) await assert.rejects(each, /NameType is missing/);
  await assert.rejects(located(app, item.structure(tag.Attribute)), /AttributeName is missing/);
});

const limited: readonly (readonly [string, Json, boolean])[] = [
  ["the same total", limits(10, 2), true],
  ["a smaller total", limits(9, 2), true],
  ["a larger total", limits(11, 2), false],
  ["another unit", limits(10, 1), false],
  ["as many as are left", { usageLimitsTotal: 1, usageLimitsCount: 7, usageLimitsUnit: 2 }, true],
  ["more than are left", { usageLimitsTotal: 1, usageLimitsCount: 8, usageLimitsUnit: 2 }, false],
  ["a count alone", { usageLimitsCount: 7 }, true],
  ["a unit alone", { usageLimitsUnit: 2 }, true],
];
for (const [what, wanted, found] of limited) {
  test(`Usage Limits of 10, of which 7 are left, ${found ? "are" : "are not"} found by ${what}`, async () => {
    const app = await caller();
    await app.create();
    const key = await app.create({ "Usage Limits": limits(10, 2), "Activation Date": epoch - 1 });
    await app.call(0x11, item.text(tag.UniqueIdentifier, key), item.longInteger(tag.UsageLimitsCount, 3n));
    assert.deepEqual(await located(app, attributeItem("Usage Limits", wanted)), found ? [key] : []);
  });
}

const date = (attribute: string, seconds: bigint) =>
  item.structure(tag.Attribute, item.text(tag.AttributeName, attribute), {
    tag: tag.AttributeValue,
    type: itemType.dateTime,
    value: seconds,
  });
const largest = 2n ** 63n - 1n;
const until = (seconds: number) => date("Deactivation Date", BigInt(seconds));
const never = date("Deactivation Date", largest);
const dates: readonly (readonly [string, Item[], readonly string[]])[] = [
  ["the largest date", [never], ["endless"]],
  ["a range up to the largest date", [until(epoch + 11), never], ["endless", "late"]],
  ["a range up to a date", [until(epoch), until(epoch + 100)], ["late", "early"]],
  ["a date", [until(epoch + 10)], ["early"]],
];
for (const [what, wanted, expected] of dates) {
  test(`${what} finds ${expected.join(", ")}: an undefined date is the largest`, async () => {
    const app = await caller();
    const ids = new Map<string, string>();
    for (const [key, seconds] of [
      ["early", 10],
      ["late", 20],
    ] as const)
      ids.set(await app.create({ "Deactivation Date": epoch + seconds }), key);
    ids.set(await app.create(), "endless");
    assert.deepEqual(
      (await located(app, ...wanted)).map((id) => ids.get(id)),
      expected,
    );
  });
}

test("the largest date is nothing that an object could be given", async () => {
  const app = await caller();
  const key = item.text(tag.UniqueIdentifier, await app.create());
  await assert.rejects(app.call(operation.addAttribute, key, never), /out of range/);
  await assert.rejects(located(app, date("Deactivation Date", largest - 1n)), /out of range/);
});

const storage = { onLine: 1, archival: 2, destroyed: 4 } as const;
const masks: readonly (readonly [number, number | undefined, readonly string[]])[] = [
  [21, undefined, ["kept"]],
  [21, storage.onLine, ["kept"]],
  [21, storage.archival, ["filed"]],
  [21, storage.destroyed, ["gone"]],
  [21, storage.onLine | storage.destroyed, ["gone", "kept"]],
  [21, 7, ["gone", "filed", "kept"]],
  [14, storage.destroyed, []],
  [14, 7, ["filed", "kept"]],
];
for (const [version, mask, expected] of masks) {
  test(`Storage Status Mask ${mask ?? "unsaid"} finds ${expected.join(", ") || "none"} in ${version / 10}`, async () => {
    const ids = new Map<string, string>();
    const client = await site.connect(`O=bank, CN=storage ${version} ${mask}`, { version: 14 });
    for (const key of ["kept", "filed", "gone"]) ids.set(await client.create(), key);
    const id = (key: string) => [...ids].find(([, each]) => each === key)?.[0] ?? "";
    await client.call(0x15, item.text(tag.UniqueIdentifier, id("filed")));
    await client.destroy(id("gone"));
    const asking = await site.connect(`O=bank, CN=storage ${version} ${mask}`, { version });
    const fields = mask === undefined ? [] : [item.integer(tag.StorageStatusMask, mask)];
    assert.deepEqual(
      (await located(asking, ...fields)).map((each) => ids.get(each)),
      expected,
    );
  });
}

test("the default member of an Object Group is its newest, and the only one that is found", async () => {
  const app = await caller();
  const group = { "Object Group": "g" };
  await app.create(group);
  const newest = await app.create(group);
  await app.create();
  const member = item.enumeration(tag.ObjectGroupMember, 2);
  const answer = await app.call(operation.locate, member, attributeItem("Object Group", "g"));
  assert.equal(findItem(answer, tag.LocatedItems)?.value, 1);
  assert.equal(findItem(answer, tag.UniqueIdentifier)?.value, newest);
  assert.equal((await located(app, member)).length, 3);
});

/** A store in which an owner has more objects than a search gives, made when they are asked for. */
function crowded(owner: string, count: number) {
  const memory = memoryStore();
  const asked = { objects: 0 };
  const idOf = (at: number) => `00000000-0000-4000-8000-${at.toString(16).padStart(12, "0")}`;
  const object = (id: string): ManagedObject => {
    const even = Number.parseInt(id.slice(-1), 16) % 2 === 0;
    const attributes = new Map<string, Json[]>([["Cryptographic Usage Mask", [even ? 12 : 4]]]);
    return { id, owner, objectType: 2, facts: 0, attributes, sealed: Buffer.alloc(1) };
  };
  const store: Store = {
    ...memory,
    descriptions: async function* (ids) {
      asked.objects += ids.length;
      yield ids.map(object);
    },
    locate: async ({ owner: asking }) => (asking === owner ? Array.from({ length: count }, (_, at) => idOf(at)) : []),
  };
  return { store, asked, idOf };
}

const maximum = (count: number) => item.integer(tag.MaximumItems, count);
const offset = (count: number) => item.integer(tag.OffsetItems, count);

test("of more objects than are searched the newest are told, not how many there are", async () => {
  const crowd = { identity: "CN=crowd", subject: "CN=crowd" };
  const { store, asked, idOf } = crowded(crowd.identity, 100_001);
  const handler = kmipHandler({ store, keyring: testKeyring(), log: () => undefined });
  const ask = async (...fields: Item[]) => {
    const request = { operation: operation.locate, payload: payload(...fields) };
    const [result] = resultsOf(decode(await handler(encode(requestMessage([request], { version: 14 })), crowd)));
    const ids = childrenOf(result?.payload, tag.UniqueIdentifier).map(({ value }) => value);
    return {
      ids,
      count: findItem(result?.payload, tag.LocatedItems),
      reason: result?.reason,
      message: result?.message,
    };
  };
  const some = await ask(maximum(3), offset(2));
  assert.deepEqual([some.ids, some.count], [[2, 3, 4].map(idOf), undefined]);
  assert.ok(asked.objects < 2_000, `${asked.objects} objects were read`);
  const decrypting = await ask(maximum(2), attributeItem("Cryptographic Usage Mask", 8));
  assert.deepEqual(decrypting.ids, [0, 2].map(idOf));
  assert.equal((await ask()).ids.length, 10_000);
  const beyond = await ask(maximum(2), offset(100_000));
  assert.equal(beyond.reason, 2);
  assert.match(beyond.message ?? "", /more attributes/);
});

test("a search has no material read but what is the caller's own record's, however it searches", async () => {
  const memory = memoryStore();
  let read = 0;
  const objects: typeof memory.objects = async (ids) => {
    const found = await memory.objects(ids);
    for (const { sealed } of found) read += sealed?.length ?? 0;
    return found;
  };
  const counted = await kmipSite({ store: { ...memory, objects } });
  try {
    const app = await counted.connect("O=bank, CN=app");
    for (let made = 0; made < 20; made += 1)
      await app.create({ "x-a": { type: 7, value: "b" }, Name: name(`n${made}`) });
    read = 0;
    assert.equal((await app.locate()).length, 20);
    assert.equal((await app.locate({ "x-a": { type: 7, value: "b" } })).length, 20);
    assert.equal((await app.locate({ Name: name("n7") })).length, 1);
    assert.equal((await app.locate({ "Cryptographic Usage Mask": 4 })).length, 20);
    assert.equal(read, 0);
  } finally {
    await counted.close();
  }
});

test("a client's own attribute that is called a date is searched by like its others", async () => {
  const app = await caller();
  const key = await app.create({ "x-Renewal Date": { type: 7, value: "every spring" } });
  await app.create({ "x-Renewal Date": { type: 7, value: "never" } });
  assert.deepEqual(await app.locate({ "x-Renewal Date": { type: 7, value: "every spring" } }), [key]);
});

test("a search by a type of name looks up no name of what it finds", async () => {
  const memory = memoryStore();
  let searches = 0;
  const locate: typeof memory.locate = (filter) => {
    searches += 1;
    return memory.locate(filter);
  };
  const counted = await kmipSite({ store: { ...memory, locate } });
  try {
    const app = await counted.connect("O=bank, CN=app");
    const names = Array.from({ length: 20 }, (_, at) => attributeItem("Name", name(`name ${at}`)));
    const aes = template({ "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 });
    const asked = { ...aes, value: [...(aes.value as Item[]), ...names] } as Item;
    await app.call(operation.create, item.enumeration(tag.ObjectType, 2), asked);
    searches = 0;
    assert.equal((await app.locate({ Name: { nameType: 1 } })).length, 1);
    assert.ok(searches < 5, `${searches} searches`);
  } finally {
    await counted.close();
  }
});

/** A caller with so many keys that have a hundred values of one attribute each, and a search for a hundred of them. */
async function manyValues(keys: number) {
  const store = memoryStore();
  const caller = { identity: "CN=a,issuer(CN=ca)", subject: "CN=a" };
  const values = Array.from({ length: 100 }, (_, at): Json => ({ type: 7, value: `value ${at}` }));
  const key = { kind: "create", owner: caller.identity, objectType: 2, sealed: Buffer.alloc(1), facts: 0 } as const;
  const id = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
  await store.write(Array.from({ length: keys }, (_, at) => ({ ...key, id: id(at), attributes: { "x-a": values } })));
  const handler = kmipHandler({ store, keyring: testKeyring(), log: () => undefined });
  const asked = payload(...values.map((value) => attributeItem("x-a", value)));
  const request = encode(requestMessage([{ operation: operation.locate, payload: asked }], { version: 14 }));
  const search = async () => resultsOf(decode(await handler(request, caller)))[0];
  return { search };
}

test("a long search lets others have their turns", async () => {
  const { search } = await manyValues(100);
  let turns = 0;
  let over = false;
  const count = () => {
    turns += 1;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  const result = await search();
  over = true;
  assert.equal(childrenOf(result?.payload, tag.UniqueIdentifier).length, 100);
  assert.ok(turns > 40, `${turns} turns`);
});

test("a search that compares more than everybody could wait for is refused", async () => {
  const { search } = await manyValues(520);
  const result = await search();
  assert.equal(result?.reason, 2);
  assert.match(result?.message ?? "", /search by fewer/);
});
