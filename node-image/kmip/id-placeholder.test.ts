import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { Json } from "../objects/types.ts";
import { attributeItem, findItem, item, payload } from "../testing/items.ts";
import { type KmipClient, operation, type Request } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";
import { router } from "./router.ts";
import { tag } from "./tags.ts";

/** Which object an item of a batch means that names none (KMIP 1.4, section 4, "ID Placeholder"; 4.9). */
const state = { preActive: 1, active: 2 } as const;
const invalidMessage = 4;
const goOn = [item.enumeration(tag.BatchErrorContinuationOption, 1)];

let site: KmipSite;
let app: KmipClient;
let later: KmipClient;
/** Two keys of one group; only `a` has the name. */
let keys: { readonly a: string; readonly b: string };
let group = 0;

before(async () => {
  site = await kmipSite();
  app = await site.connect("O=bank, CN=app");
  later = await site.connect("O=bank, CN=app", { version: 21 });
});
after(() => site.close());
beforeEach(async () => {
  group += 1;
  const attributes = { "Object Group": `group ${group}` };
  keys = { a: await app.create({ ...attributes, Name: named() }), b: await app.create(attributes) };
});

const named = () => ({ nameValue: `a ${group}`, nameType: 1 });
const id = (value: string) => item.text(tag.UniqueIdentifier, value);
const request = (number: number, ...children: Item[]): Request => ({
  operation: number,
  payload: payload(...children),
});
const located = (name: string, value: Json, ...fields: Item[]) =>
  request(operation.locate, ...fields, attributeItem(name, value));
const most = (count: number) => item.integer(tag.MaximumItems, count);
const from = (count: number) => item.integer(tag.OffsetItems, count);
const locateA = () => located("Name", named());
const both = (...fields: Item[]) => located("Object Group", `group ${group}`, ...fields);
const none = () => located("Object Group", "no such group");
const activate = request(operation.activate);
const recover = (key: string) => request(0x16, id(key));
const exportOf = (key: string) => request(0x2b, id(key));

/** What the last item, an Activate that names nothing, is done with. */
const batches: readonly (readonly [string, () => Request[], "a" | "b" | undefined])[] = [
  ["a Locate of one object", () => [locateA()], "a"],
  ["a Locate of one object, then one of two", () => [locateA(), both()], undefined],
  ["a Locate of one object, then one of none", () => [locateA(), none()], undefined],
  ["a Locate of two objects that may tell one of them", () => [locateA(), both(most(1))], "b"],
  ["a Locate of two objects that tells the rest", () => [locateA(), both(most(2), from(1))], undefined],
  ["a Locate that is refused", () => [locateA(), located("no attribute", "")], undefined],
  ["a Create that is refused", () => [locateA(), request(operation.create)], undefined],
  ["Get Attribute List of another", () => [locateA(), request(operation.getAttributeList, id(keys.b))], "a"],
  ["Get Attributes of another", () => [locateA(), request(operation.getAttributes, id(keys.b))], "a"],
  ["Get of another", () => [locateA(), request(operation.get, id(keys.b))], "a"],
  ["Check of another", () => [locateA(), request(0x09, id(keys.b))], "a"],
  ["Add Attribute to another", () => [locateA(), request(0x0d, id(keys.b), attributeItem("x-note", note))], "a"],
  ["Get Attributes alone", () => [request(operation.getAttributes, id(keys.b))], undefined],
  ["Recover", () => [locateA(), recover(keys.b)], "b"],
  ["Export", () => [locateA(), exportOf(keys.b)], "b"],
];
const note = { type: 7, value: "note" };

for (const [what, items, meant] of batches) {
  test(`after ${what}, an item that names no object means ${meant ?? "none"}`, async () => {
    const results = await app.batch([...items(), activate], goOn);
    assert.equal(results.at(-1)?.reason, meant === undefined ? invalidMessage : undefined);
    for (const key of ["a", "b"] as const) {
      const { State: now } = await app.attributes(keys[key], "State");
      assert.equal(now, key === meant ? state.active : state.preActive, key);
    }
  });
}

test("these operations set it and no others (section 4; 4.38 to 4.41)", () => {
  const those = [...router.values()].filter(({ setsPlaceholder }) => setsPlaceholder === true).map(({ name }) => name);
  const making = ["Create", "Create Key Pair", "Register", "Import", "Derive Key", "Certify"];
  const renewing = ["Re-key", "Re-key Key Pair", "Re-certify", "Create Split Key", "Join Split Key"];
  assert.deepEqual(those.sort(), [...making, ...renewing, "Locate", "Recover", "Export"].sort());
});

test("what waits to be done names nothing yet, nor what was named before it", async () => {
  const uses = (which: number, mask: number) => item.structure(which, item.integer(tag.CryptographicUsageMask, mask));
  const pair = request(
    0x02,
    item.structure(
      tag.CommonAttributes,
      item.enumeration(tag.CryptographicAlgorithm, 4),
      item.integer(tag.CryptographicLength, 2048),
    ),
    uses(tag.PrivateKeyAttributes, 1),
    uses(tag.PublicKeyAttributes, 2),
  );
  const locate = request(operation.locate, item.structure(tag.Attributes, item.text(tag.UniqueIdentifier, keys.a)));
  const results = await later.batch(
    [locate, pair, activate],
    [item.enumeration(tag.AsynchronousIndicator, 2), ...goOn],
  );
  assert.equal(findItem(results[0]?.payload, tag.UniqueIdentifier)?.value, keys.a);
  assert.equal(results[2]?.reason, invalidMessage);
});

test("by the word of its operation, too, a Locate of none takes the place of one before it (2.1, 11.58)", async () => {
  const byId = (key: string) =>
    request(operation.locate, item.structure(tag.Attributes, item.text(tag.UniqueIdentifier, key)));
  const theLocated = request(operation.get, item.enumeration(tag.UniqueIdentifier, 11));
  const [, found, , refused] = await later.batch(
    [byId(keys.a), theLocated, byId("00000000-0000-4000-8000-00000000dead"), theLocated],
    goOn,
  );
  assert.equal(findItem(found?.payload, tag.UniqueIdentifier)?.value, keys.a);
  assert.equal(refused?.success, false);
});
