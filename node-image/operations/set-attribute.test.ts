import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { attributes as attributeList } from "../kmip/attributes.ts";
import { tag } from "../kmip/tags.ts";
import type { Json } from "../objects/types.ts";
import { findItem, item } from "../testing/items.ts";
import { type KmipClient, KmipFailure } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import { type Item, itemType } from "../ttlv/types.ts";

/** Set Attribute, Adjust Attribute (KMIP 2.1, 6.1.3, 6.1.54), and what changed dates do to the state (1.4, 3.22). */
const code = { add: 0x0d, modify: 0x0e, getAttributes: 0x0b, adjust: 0x30, set: 0x31, role: 0x32 };
const adjustment = { increment: 1, decrement: 2, negate: 3 } as const;
const outside = /would leave its range/;
const noNumber = /cannot be adjusted so/;
const reason = { multiValued: 0x1e } as const;
const state = { preActive: 1, active: 2, deactivated: 3 } as const;
const now = Date.UTC(2026, 0, 1) / 1000;

let site: KmipSite;
let app: KmipClient;
let old: KmipClient;
before(async () => {
  site = await kmipSite({ now: () => new Date(now * 1000) });
  app = await site.connect("O=bank, CN=app", { version: 21 });
  old = await site.connect("O=bank, CN=app");
});
after(() => site.close());

const id = (value: string) => item.text(tag.UniqueIdentifier, value);
const list = (number: number, name: string, value: Json) => attributeList.write(number, [{ name, value }], 21);
const set = (key: string, name: string, value: Json) =>
  app.call(code.set, id(key), list(tag.NewAttribute, name, value));
const add = (key: string, name: string, value: Json) =>
  app.call(code.add, id(key), list(tag.NewAttribute, name, value));

/** "x-…" is the attribute of vendor "x". */
function reference(name: string): Item {
  if (!name.startsWith("x-"))
    return item.enumeration(tag.AttributeReference, tag[name.replaceAll(" ", "") as keyof typeof tag]);
  const parts = [item.text(tag.VendorIdentification, "x"), item.text(tag.AttributeName, name.slice(2))];
  return item.structure(tag.AttributeReference, ...parts);
}

function adjust(key: string, name: string, how: number, by?: Item): Promise<Item> {
  return app.call(code.adjust, id(key), reference(name), item.enumeration(tag.AdjustmentType, how), by);
}

async function present(key: string, name: string): Promise<unknown> {
  const answer = await app.call(code.getAttributes, id(key), reference(name));
  const found = findItem(answer, tag.Attributes)?.value as readonly Item[] | undefined;
  const [attribute] = found ?? [];
  return name.startsWith("x-") ? findItem(attribute, tag.AttributeValue)?.value : attribute?.value;
}

async function fails(promise: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => error instanceof KmipFailure && message.test(error.message));
}

const integer = (value: number) => item.integer(tag.AdjustmentValue, value);
const long = (value: bigint) => item.longInteger(tag.AdjustmentValue, value);
const own = (type: number, value: Json): Json => ({ type, value });
const { increment, decrement, negate } = adjustment;

/** Attribute, its value, how it is adjusted, and what comes of it: a value, or what a refusal says. */
const adjustments: readonly (readonly [string, Json, number, Item | undefined, unknown])[] = [
  ["Rotate Interval", 10, increment, undefined, 11],
  ["Rotate Interval", 10, increment, integer(5), 15],
  ["Rotate Interval", 10, decrement, undefined, 9],
  ["Rotate Interval", 10, decrement, integer(10), 0],
  ["Rotate Interval", 10, decrement, integer(11), outside],
  ["Protection Level", 2, increment, undefined, noNumber],
  ["Description", "text", increment, undefined, noNumber],
  ["x-count", own(itemType.integer, 41), increment, undefined, 42],
  ["x-count", own(itemType.integer, 41), decrement, integer(50), -9],
  ["x-count", own(itemType.integer, 41), negate, undefined, -41],
  ["x-count", own(itemType.integer, 0x7fff_ffff), increment, undefined, outside],
  ["x-count", own(itemType.integer, -0x8000_0000), negate, undefined, outside],
  ["x-count", own(itemType.longInteger, "9007199254740993"), increment, long(9007199254740993n), 18014398509481986n],
  ["x-count", own(itemType.longInteger, "9223372036854775807"), increment, undefined, outside],
  ["x-count", own(itemType.bigInteger, "9223372036854775807"), increment, undefined, 9223372036854775808n],
  ["x-count", own(itemType.interval, 1), decrement, integer(2), outside],
  ["x-count", own(itemType.interval, 0xffff_fffe), increment, undefined, 0xffff_ffff],
  ["x-count", own(itemType.dateTime, String(now)), decrement, integer(1), BigInt(now - 1)],
  ["x-count", own(itemType.boolean, false), negate, undefined, true],
  ["x-count", own(itemType.boolean, false), increment, undefined, noNumber],
  ["x-count", own(itemType.textString, "1"), increment, undefined, noNumber],
];

const word = { [increment]: "incremented", [decrement]: "decremented", [negate]: "negated" };
for (const [name, value, how, by, expected] of adjustments) {
  const told = typeof value === "object" ? JSON.stringify(value) : String(value);
  const end = expected instanceof RegExp ? "is refused and stays" : `is ${expected}`;
  test(`${name} of ${told} ${word[how as 1]} by ${by?.value ?? "nothing said"} ${end}`, async () => {
    const key = await old.create();
    await add(key, name, value);
    const first = await present(key, name);
    if (expected instanceof RegExp) await fails(adjust(key, name, how, by), expected);
    else await adjust(key, name, how, by);
    assert.deepEqual(await present(key, name), expected instanceof RegExp ? first : expected);
  });
}

test("what has several instances, or none, is not adjusted", async () => {
  const key = await old.create();
  await fails(adjust(key, "x-count", increment), /has no attribute/);
  await add(key, "x-count", own(itemType.integer, 1));
  await add(key, "x-count", own(itemType.integer, 2));
  await fails(adjust(key, "x-count", increment), /several instances/);
});

test("increments at the same time all count", async () => {
  const key = await old.create();
  await add(key, "x-count", own(itemType.integer, 0));
  await Promise.all(Array.from({ length: 10 }, () => adjust(key, "x-count", increment)));
  assert.equal(await present(key, "x-count"), 10);
});

test("Set Attribute gives an attribute its value whether it had one or not, also at the same time", async () => {
  const key = await old.create();
  await set(key, "Description", "first");
  await set(key, "Description", "second");
  assert.equal(await present(key, "Description"), "second");
  await Promise.all(["a", "b", "c"].map((text) => set(key, "Comment", text)));
  assert.ok(["a", "b", "c"].includes(String(await present(key, "Comment"))));
});

const several: readonly (readonly [string, Json, Json, Json])[] = [
  ["Name", { nameValue: "a", nameType: 1 }, { nameValue: "b", nameType: 1 }, { nameValue: "c", nameType: 1 }],
  ["Object Group", "a", "b", "c"],
  ["x-own", own(itemType.textString, "a"), own(itemType.textString, "b"), own(itemType.textString, "c")],
];
for (const [name, first, second, third] of several) {
  test(`${name}, which may have several instances, is set while it has one at most`, async () => {
    const key = await old.create();
    await set(key, name, first);
    await set(key, name, second);
    assert.deepEqual((await old.attributes(key, name))[name], second);
    await add(key, name, third);
    await assert.rejects(set(key, name, first), (error) => {
      assert.ok(error instanceof KmipFailure);
      assert.match(error.message, /several instances: use Modify/);
      return error.reason === reason.multiValued;
    });
  });
}

test("grants are not set: they are added, so that none is lost unseen", async () => {
  const key = await old.create();
  await fails(set(key, "x-keyfleet-grant-user:CN=audit", own(itemType.textString, "Get")), /Grants are changed by Add/);
});

test("this end stays the server: the role of a client is refused", async () => {
  await app.call(code.role, item.enumeration(tag.EndpointRole, 2));
  await fails(app.call(code.role, item.enumeration(tag.EndpointRole, 1)), /stays the server/);
});

/** Transition 6 leads from Active only. */
const deactivations: readonly (readonly [string, Readonly<Record<string, Json>>, number, number])[] = [
  ["a past date deactivates what is active", { "Activation Date": now - 10 }, now - 5, state.deactivated],
  ["this very second does too", { "Activation Date": now - 10 }, now, state.deactivated],
  ["a date to come does not yet", { "Activation Date": now - 10 }, now + 5, state.active],
  ["a past date leaves what is not active yet as it is", {}, now - 5, state.preActive],
];
for (const [what, attributes, date, expected] of deactivations) {
  for (const how of ["Add Attribute", "Modify Attribute"]) {
    test(`${how} of Deactivation Date: ${what}`, async () => {
      const given = how === "Add Attribute" ? {} : { "Deactivation Date": now + 100 };
      const key = await old.create({ ...attributes, ...given });
      const operation = how === "Add Attribute" ? code.add : code.modify;
      await app.call(operation, id(key), list(tag.NewAttribute, "Deactivation Date", date));
      assert.equal((await old.attributes(key, "State")).State, expected);
    });
  }
}

test("what was not active when its Deactivation Date was set to the past can still be given another, and be active", async () => {
  const key = await old.create();
  await app.call(code.add, id(key), list(tag.NewAttribute, "Deactivation Date", now - 5));
  await app.call(code.modify, id(key), list(tag.NewAttribute, "Deactivation Date", now + 5));
  await old.activate(key);
  assert.equal((await old.attributes(key, "State")).State, state.active);
});
