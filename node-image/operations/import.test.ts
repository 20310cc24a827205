import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import type { Store } from "../objects/types.ts";
import { attributeItem, childrenOf, findItem, item } from "../testing/items.ts";
import { type KmipClient, KmipFailure, operation } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import { memoryStore } from "../testing/memory-store.ts";
import type { Item } from "../ttlv/types.ts";

const [importOperation, exportOperation] = [0x2a, 0x2b];

let site: KmipSite;
let app: KmipClient;
before(async () => {
  site = await kmipSite();
  app = await site.connect("O=bank, CN=app");
});
after(() => site.close());

const id = (text: string) => item.text(tag.UniqueIdentifier, text);

/** What Export gave, as Import takes it. */
function importable(exported: Item): Item[] {
  const attributes = childrenOf(exported, tag.Attribute);
  const object = childrenOf(exported, tag.SymmetricKey);
  return [
    ...childrenOf(exported, tag.UniqueIdentifier),
    ...childrenOf(exported, tag.ObjectType),
    ...attributes,
    ...object,
  ];
}

test("an exported key is imported by another owner with its past and its bytes", async () => {
  const key = await app.create({ Name: { nameValue: "moves", nameType: 1 } });
  await app.activate(key);
  const exported = await app.call(exportOperation, id(key));
  const other = await site.connect("O=bank, CN=other");
  const imported = await other.call(importOperation, ...importable(exported));
  const copy = String(findItem(imported, tag.UniqueIdentifier)?.value);
  assert.notEqual(copy, key);
  assert.deepEqual(await other.get(copy), findItem(exported, tag.KeyMaterial)?.value);
  const names = ["Initial Date", "Activation Date", "State", "Name", "Cryptographic Length"];
  assert.deepEqual(await other.attributes(copy, ...names), await app.attributes(key, ...names));
});

test("an export reads its object once: many at once would hold it while they wait to read it again", async (t) => {
  const memory = memoryStore();
  const read: string[] = [];
  const objects: Store["objects"] = (ids) => {
    read.push(...ids);
    return memory.objects(ids);
  };
  const own = await kmipSite({ store: { ...memory, objects } });
  t.after(() => own.close());
  const client = await own.connect("O=bank, CN=app");
  const key = await client.create();
  read.length = 0;
  await client.call(exportOperation, id(key));
  assert.equal(read.filter((each) => each === key).length, 1);
});

test("an object that its owner has already is not imported again", async () => {
  const key = await app.create();
  const exported = await app.call(exportOperation, id(key));
  const again = app.call(importOperation, ...importable(exported));
  await assert.rejects(again, (error) => error instanceof KmipFailure && error.reason === 0x18);
});

test("a sensitive key is exported no more than it is got", async () => {
  const key = await app.create({ Sensitive: true });
  await assert.rejects(
    app.call(exportOperation, id(key)),
    (error) => error instanceof KmipFailure && error.reason === 0x16,
  );
});

test("a destroyed object is not imported", async () => {
  const key = await app.create();
  const exported = await app.call(exportOperation, id(key));
  await app.call(operation.destroy, id(key));
  const other = await site.connect("O=bank, CN=third");
  const parts = importable(exported).filter((part) => findItem(part, tag.AttributeName)?.value !== "State");
  const dead = [...parts.slice(0, 2), attributeItem("State", 5), ...parts.slice(2)];
  await assert.rejects(other.call(importOperation, ...dead), /destroyed cannot be imported/);
});

test("what an object has once comes once with its past, too", async () => {
  const exported = await app.call(exportOperation, id(await app.create()));
  const other = await site.connect("O=bank, CN=fourth");
  const parts = importable(exported);
  const twice = [...parts.slice(0, 2), attributeItem("Initial Date", 5), ...parts.slice(2)];
  await assert.rejects(other.call(importOperation, ...twice), /"Initial Date" is given too often/);
});

test("what was used up of a key's Usage Limits stays used up where it is imported", async () => {
  const limits = (count: number) => ({ usageLimitsTotal: 5, usageLimitsCount: count, usageLimitsUnit: 2 });
  const key = await app.create({ "Usage Limits": limits(5), "Activation Date": 1 });
  const allocate = (client: KmipClient, object: string, units: bigint) =>
    client.call(0x11, id(object), item.longInteger(tag.UsageLimitsCount, units));
  await allocate(app, key, 3n);
  const exported = await app.call(exportOperation, id(key));
  const other = await site.connect("O=bank, CN=fifth");
  const copy = String(
    findItem(await other.call(importOperation, ...importable(exported)), tag.UniqueIdentifier)?.value,
  );
  assert.deepEqual(await other.attributes(copy, "Usage Limits"), { "Usage Limits": limits(2) });
  await assert.rejects(allocate(other, copy, 3n), /do not allow this any more/);
  await allocate(other, copy, 2n);
});

/** Attributes that an object cannot have been exported with. */
const impossible: readonly (readonly [string, Item, RegExp])[] = [
  [
    "more left of its Usage Limits than there was",
    attributeItem("Usage Limits", { usageLimitsTotal: 5, usageLimitsCount: 6, usageLimitsUnit: 2 }),
    /Count is larger/,
  ],
  [
    "a past that is larger than all attributes of an object may be",
    attributeItem("Revocation Reason", { revocationReasonCode: 1, revocationMessage: "a".repeat(65_536) }),
    /at most 65536 characters/,
  ],
];
for (const [what, attribute, message] of impossible) {
  test(`refused: the import of an object with ${what}`, async () => {
    const parts = importable(await app.call(exportOperation, id(await app.create())));
    const other = await site.connect("O=bank, CN=sixth");
    await assert.rejects(other.call(importOperation, ...parts.slice(0, 2), attribute, ...parts.slice(2)), message);
  });
}
