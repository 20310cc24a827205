import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import type { Json } from "../objects/types.ts";
import { fails } from "../testing/fails.ts";
import { attributeItem, findItem, item, payload } from "../testing/items.ts";
import { type KmipClient, operation } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";

const code = { check: 0x09, lease: 0x10, allocate: 0x11, archive: 0x15, recover: 0x16, encrypt: 0x1f, decrypt: 0x20 };
const reason = { notFound: 1, invalidMessage: 4, invalidField: 7, illegal: 11, denied: 12, archived: 13, mask: 0x29 };
const epoch = Date.UTC(2026, 0, 1) / 1000;

let site: KmipSite;
let app: KmipClient;
let clock = epoch;
before(async () => {
  site = await kmipSite({ now: () => new Date(clock * 1000) });
  app = await site.connect("O=bank, CN=app");
});
after(() => site.close());

const id = (value: string) => item.text(tag.UniqueIdentifier, value);
const ecb = item.structure(tag.CryptographicParameters, item.enumeration(tag.BlockCipherMode, 2));
const block = item.bytes(tag.Data, Buffer.alloc(16, 1));
const lease = (seconds: number) => ({ tag: tag.LeaseTime, type: 10, value: seconds }) as Item;
const count = (units: number) => item.longInteger(tag.UsageLimitsCount, BigInt(units));
const limits = (total: number, unit: number): Json => ({ usageLimitsTotal: total, usageLimitsUnit: unit });

async function active(attributes: Readonly<Record<string, Json>> = {}): Promise<string> {
  return app.create({ "Activation Date": clock - 1, ...attributes });
}

test("an archived object is found in the archive only, and nothing is done with it until it is recovered", async () => {
  const key = await app.create({ Name: { nameValue: "filed", nameType: 1 } });
  await app.call(code.archive, id(key));
  const byName = attributeItem("Name", { nameValue: "filed", nameType: 1 });
  const found = async (mask: number) => {
    const answer = await app.call(operation.locate, item.integer(tag.StorageStatusMask, mask), byName);
    return findItem(answer, tag.UniqueIdentifier)?.value;
  };
  assert.deepEqual([await found(1), await found(2), await found(3)], [undefined, key, key]);
  assert.deepEqual(await app.locate({ Name: { nameValue: "filed", nameType: 1 } }), []);
  for (const number of [operation.get, operation.activate, operation.destroy, code.check, code.lease, code.archive]) {
    await fails(app.call(number, id(key)), reason.archived, /use Recover first/);
  }
  await app.call(code.recover, id(key));
  await app.get(key);
  await app.call(code.recover, id(key));
});

test("a lease lasts an hour, never longer than the object, and is given while the object is to be used", async () => {
  const key = await active();
  const first = await app.call(code.lease, id(key));
  assert.equal(findItem(first, tag.LeaseTime)?.value, 3_600);
  assert.equal(findItem(first, tag.LastChangeDate)?.value, BigInt(clock));
  const ending = await active({ "Deactivation Date": clock + 100 });
  assert.equal(findItem(await app.call(code.lease, id(ending)), tag.LeaseTime)?.value, 100);
  assert.equal((await app.attributes(ending, "Lease Time"))["Lease Time"], 3_600);
  clock += 100;
  await fails(app.call(code.lease, id(ending)), reason.denied, /no longer/);
  await app.revoke(key, 2);
  await fails(app.call(code.lease, id(key)), reason.denied);
});

const checks: readonly (readonly [string, Item[], number | undefined])[] = [
  ["nothing in particular", [], undefined],
  ["a use that the mask allows", [item.integer(tag.CryptographicUsageMask, 4)], undefined],
  ["a use that it does not", [item.integer(tag.CryptographicUsageMask, 1)], reason.denied],
  ["units that are left", [count(10)], undefined],
  ["more units than are left", [count(11)], reason.denied],
  ["a lease", [lease(3_600)], undefined],
  ["a longer lease than is given", [lease(3_601)], reason.denied],
];
for (const [what, fields, expected] of checks) {
  test(`Check of ${what}: ${expected === undefined ? "yes" : "no"}, and nothing is taken by it`, async () => {
    const key = await active({ "Usage Limits": limits(10, 2) });
    const checked = app.call(code.check, id(key), ...fields);
    if (expected === undefined) assert.equal(findItem(await checked, tag.UniqueIdentifier)?.value, key);
    else await fails(checked, expected, /Check failed/);
    const left = (await app.attributes(key, "Usage Limits"))["Usage Limits"] as { usageLimitsCount: number };
    assert.equal(left.usageLimitsCount, 10);
  });
}

test("after a Check that failed the batch does not go on with the object", async () => {
  const key = await active();
  const proceed = [item.enumeration(tag.BatchErrorContinuationOption, 1)];
  const request = (number: number, ...children: Item[]) => ({ operation: number, payload: payload(...children) });
  const results = await app.batch(
    [
      request(operation.locate, attributeItem("Unique Identifier", key)),
      request(code.check, item.integer(tag.CryptographicUsageMask, 1)),
      request(operation.get),
    ],
    proceed,
  );
  assert.deepEqual(
    results.map(({ reason: why }) => why),
    [undefined, reason.denied, reason.invalidMessage],
  );
});

test("Encrypt counts against Usage Limits, by objects or by bytes; Decrypt does not", async () => {
  const byObject = await active({ "Usage Limits": limits(2, 2) });
  const byByte = await active({ "Usage Limits": limits(40, 1) });
  for (const key of [byObject, byByte]) {
    for (let use = 0; use < 2; use += 1) await app.call(code.encrypt, id(key), ecb, block);
    for (let use = 0; use < 3; use += 1) await app.call(code.decrypt, id(key), ecb, block);
    await fails(app.call(code.encrypt, id(key), ecb, block), reason.denied, /Usage Limits do not allow/);
  }
  await app.call(code.allocate, id(byByte), count(8));
  await fails(app.call(code.allocate, id(byByte), count(1)), reason.denied);
});

const allocations: readonly (readonly [string, Readonly<Record<string, Json>>, number, number])[] = [
  ["an object without limits", {}, 1, reason.illegal],
  [
    "an object that protects nothing",
    { "Usage Limits": limits(5, 2), "Cryptographic Usage Mask": 8 },
    1,
    reason.illegal,
  ],
  ["no units", { "Usage Limits": limits(5, 2) }, 0, reason.invalidField],
  ["more than there are", { "Usage Limits": limits(5, 2) }, 6, reason.denied],
  [
    "an object past its Protect Stop Date",
    { "Usage Limits": limits(5, 2), "Protect Stop Date": epoch - 1, "Activation Date": epoch - 2 },
    1,
    reason.denied,
  ],
  [
    "an object that is not active",
    { "Usage Limits": limits(5, 2), "Activation Date": epoch + 1_000_000 },
    1,
    reason.denied,
  ],
];
for (const [what, attributes, units, expected] of allocations) {
  test(`no allocation: ${what}`, async () => {
    await fails(app.call(code.allocate, id(await active(attributes)), count(units)), expected);
  });
}

test("dates act at use: no protection before activation, after Protect Stop or deactivation; no processing before Process Start", async () => {
  const key = await app.create({
    "Activation Date": clock + 10,
    "Process Start Date": clock + 20,
    "Protect Stop Date": clock + 30,
    "Deactivation Date": clock + 40,
  });
  const encrypt = () => app.call(code.encrypt, id(key), ecb, block);
  const decrypt = () => app.call(code.decrypt, id(key), ecb, block);
  const start = clock;
  for (const [after, protects, processes] of [
    [0, false, false],
    [10, true, false],
    [20, true, true],
    [30, false, true],
    [40, false, true],
  ] as const) {
    clock = start + after;
    await (protects ? encrypt() : fails(encrypt(), reason.denied));
    await (processes ? decrypt() : fails(decrypt(), reason.denied));
  }
});

test("attributes of the server's own take none of the client's room", async () => {
  const key = await app.create();
  for (let friend = 0; friend < 210; friend += 1) {
    const grant = attributeItem(`x-keyfleet-grant-user:CN=friend${friend}`, { type: 7, value: "Get" });
    await app.call(operation.addAttribute, id(key), grant);
  }
  await app.call(operation.addAttribute, id(key), attributeItem("x-a", { type: 7, value: "a" }));
});

test("a successor has the whole limit of the key that it replaces, and none of its grants", async () => {
  const key = await active({ "Usage Limits": limits(3, 2) });
  await app.call(
    operation.addAttribute,
    id(key),
    attributeItem("x-keyfleet-grant-user:CN=friend", { type: 7, value: "Get" }),
  );
  await app.call(code.allocate, id(key), count(3));
  const next = String(findItem(await app.call(0x04, id(key)), tag.UniqueIdentifier)?.value);
  await app.call(code.allocate, id(next), count(3));
  await fails(app.call(code.allocate, id(next), count(1)), reason.denied);
  assert.equal("x-keyfleet-grant-user:CN=friend" in (await app.attributes(next)), false);
});

test("a Revocation Message is a few words: one of a megabyte would stay with the object for ever", async () => {
  const key = await active();
  const revoke = (length: number) => {
    const message = item.text(tag.RevocationMessage, "a".repeat(length));
    const code = item.enumeration(tag.RevocationReasonCode, 1);
    return app.call(operation.revoke, id(key), item.structure(tag.RevocationReason, code, message));
  };
  await fails(revoke(4_097), reason.invalidField, /at most 4096 characters/);
  await revoke(4_096);
});
