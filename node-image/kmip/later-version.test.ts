import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { attributeRules } from "../objects/attribute-rules.ts";
import type { Item } from "../ttlv/types.ts";
import { enumerations } from "./enumerations.ts";
import { tags2 } from "./tags-2.ts";

/**
 * A later version is more rows: a made-up 3.0 with an attribute, an enumeration value and an operation of its own is added to
 * the tables, and to nothing else, before the code that serves is loaded. What follows from a tag's name is made from the tables
 * when that is loaded, so these imports stand here.
 */
const since = 30;
const invented = { tag: 0x42fff0, operation: 0x40, nameType: 3 };
Object.assign(tags2, { ProvisionedBy: invented.tag });
Object.assign(attributeRules, { "Provisioned By": { ...attributeRules.Comment, since } });
addValue(enumerations.nameType, invented.nameType, "Poem");
addValue(enumerations.operation, invented.operation, "Greet");
const { attributeShapes } = await import("./attribute-shapes.ts");
const { text } = await import("./shape.ts");
Object.assign(attributeShapes, { "Provisioned By": text });
const { router, versions } = await import("./router.ts");
const { route } = await import("./route.ts");
const { structure } = await import("./fields.ts");
(versions as unknown as number[]).unshift(since);
const greet = route({
  operation: invented.operation,
  name: "Greet",
  since,
  request: structure({}),
  run: async () => ({}),
  response: structure({}),
});
(router as Map<number, typeof greet>).set(invented.operation, greet);
const { kmipHandler } = await import("../testing/kmip-handler.ts");
const { tag } = await import("./tags.ts");
const { item, payload, template, childrenOf, findItem } = await import("../testing/items.ts");
const { testKeyring } = await import("../testing/keyring.ts");
const { operation, requestMessage, resultsOf } = await import("../testing/kmip-client.ts");
const { memoryStore } = await import("../testing/memory-store.ts");
const { decode } = await import("../ttlv/decode.ts");
const { encode } = await import("../ttlv/encode.ts");

function addValue({ names, since: rows }: typeof enumerations.nameType, value: number, name: string): void {
  (names as Map<number, string>).set(value, name);
  (rows as (readonly [number, number])[]).push([value, since]);
}

function aServer() {
  const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: () => undefined });
  const send = async (version: number, number: number, ...children: Item[]) => {
    const request = requestMessage([{ operation: number, payload: payload(...children) }], { version });
    return decode(await handler(encode(request), { identity: "CN=a", subject: "CN=a" }));
  };
  const call = async (version: number, number: number, ...children: Item[]) => {
    const [result] = resultsOf(await send(version, number, ...children));
    assert.ok(result);
    return result;
  };
  const key = async () => {
    const aes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
    const made = await call(14, operation.create, item.enumeration(tag.ObjectType, 2), template(aes));
    return findItem(made.payload, tag.UniqueIdentifier) as Item;
  };
  const add = (version: number, id: Item, attribute: Item) =>
    call(version, operation.addAttribute, id, item.structure(tag.NewAttribute, attribute));
  /** Which of the new things a client of a version sees. */
  const seen = async (version: number, id: Item) => {
    const { success, payload: attributes } = await call(version, operation.getAttributes, id);
    assert.ok(success);
    return [invented.tag, tag.Name].filter((number) => findItem(attributes, number) !== undefined);
  };
  return { send, call, key, add, seen };
}

const provisioned = item.text(invented.tag, "robot");
const poem = item.structure(
  tag.Name,
  item.text(tag.NameValue, "a rose"),
  item.enumeration(tag.NameType, invented.nameType),
);
const notServed = 5;
const older = [10, 11, 12, 13, 14, 20, 21];

test("a request of the new version is answered in it, and one of a version after it is told what is spoken", async () => {
  const { send } = aServer();
  const major = findItem(await send(30, operation.query), tag.ProtocolVersionMajor);
  assert.equal(major?.value, 3);
  const [refused] = resultsOf(await send(31, operation.query));
  assert.match(refused?.message ?? "", /use 1\.0, .*2\.1, 3\.0$/);
});

test("Discover Versions tells it first", async () => {
  const { call } = aServer();
  const { payload: told } = await call(30, operation.discoverVersions);
  const majors = childrenOf(told, tag.ProtocolVersion).map((each) => findItem(each, tag.ProtocolVersionMajor)?.value);
  assert.deepEqual(majors, [3, 2, 2, 1, 1, 1, 1, 1]);
});

test("its attribute and its enumeration value are taken and told in it", async () => {
  const { key, add, seen } = aServer();
  const id = await key();
  for (const attribute of [provisioned, poem]) {
    const { success, message } = await add(30, id, attribute);
    assert.ok(success, message);
  }
  assert.deepEqual(await seen(30, id), [invented.tag, tag.Name]);
});

for (const version of older) {
  test(`no client of ${(version / 10).toFixed(1)} is told of either`, async () => {
    const { key, add, seen } = aServer();
    const id = await key();
    for (const attribute of [provisioned, poem]) await add(30, id, attribute);
    assert.deepEqual(await seen(version, id), []);
  });

  test(`its operation is served in it, and neither served nor told in ${(version / 10).toFixed(1)}`, async () => {
    const { call } = aServer();
    assert.ok((await call(30, invented.operation)).success);
    assert.equal((await call(version, invented.operation)).reason, notServed);
    const told = async (spoken: number) => {
      const { payload: answer } = await call(spoken, operation.query, item.enumeration(tag.QueryFunction, 1));
      return childrenOf(answer, tag.Operation).some(({ value }) => value === invented.operation);
    };
    assert.deepEqual([await told(30), await told(version)], [true, false]);
  });
}

test("its attribute is unknown to a client of 2.1 that gives it", async () => {
  const { key, add } = aServer();
  const { success, reason } = await add(21, await key(), provisioned);
  assert.deepEqual([success, reason], [false, 0x1f]);
});

test("outside of tables no code asks for a version, but for which of the two forms a message has (2.0)", () => {
  const asking = /\bversion\s*(?:[<>]=?|[!=]==?)\s*(\d+)|\b(\d+)\s*(?:[<>]=?|[!=]==?)\s*(?:\w+\.)?version\b/g;
  const folders = ["kmip", "operations", "objects", "listen", "ttlv", "access"].map((name) =>
    join(import.meta.dirname, "..", name),
  );
  const files = folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
  const asked = files
    .filter((file) => !file.endsWith(".test.ts"))
    .flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(asking)].map(([words, one, other]) => [one ?? other, words]),
    );
  assert.ok(asked.length > 5, "the search finds those of the two forms");
  assert.deepEqual(
    asked.filter(([number]) => number !== "20"),
    [],
  );
});
