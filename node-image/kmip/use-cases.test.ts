import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import type { Json } from "../objects/types.ts";
import { attributeItem, childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { attribute } from "./attributes.ts";
import { tag } from "./tags.ts";

/** What the KMIP Use Cases 1.0 to 1.4 ask beyond the profiles. */
function aClient(store = memoryStore()) {
  const handler = kmipHandler({ store, keyring: testKeyring(), log: () => undefined });
  const caller = { identity: "CN=a", subject: "CN=a" };
  const call = async (number: number, children: readonly (Item | undefined)[], version = 12): Promise<Item> => {
    const request = requestMessage([{ operation: number, payload: payload(...children) }], { version });
    const [result] = resultsOf(decode(await handler(encode(request), caller)));
    assert.ok(result?.success, result?.message);
    return result.payload as Item;
  };
  const attributesOf = async (id: string, names: readonly string[], version = 12): Promise<readonly unknown[]> => {
    const asked = names.map((name) => item.text(tag.AttributeName, name));
    return attributesIn(await call(operation.getAttributes, [identifier(id), ...asked], version), version);
  };
  const create = async (attributes: Readonly<Record<string, Json>>, version = 12): Promise<string> =>
    idOf(await call(operation.create, [symmetric, template({ ...key, ...attributes })], version));
  return { call, attributesOf, create };
}

const key = { "Cryptographic Algorithm": 3, "Cryptographic Length": 128, "Cryptographic Usage Mask": 12 };
const symmetric = item.enumeration(tag.ObjectType, 2);
const identifier = (id: string) => item.text(tag.UniqueIdentifier, id);
const idOf = (answer: Item) => String(findItem(answer, tag.UniqueIdentifier)?.value);
const named = (name: string) => ({ nameValue: name, nameType: 1 });
const own = (value: string): Json => ({ type: 7, value });

function attributesIn(answer: Item, version = 12): readonly unknown[] {
  return childrenOf(answer, tag.Attribute).map((each) => {
    const { index = 0, name, value } = attribute.read(each, { version, placeholders: { last: undefined } });
    return [name, index, value];
  });
}

test("of attributes with several values a Template's and the request's are all taken, of others the request's win", async () => {
  const { call, attributesOf } = aClient();
  const inside = template({ "x-ID": own("template"), "Contact Information": "Joe", "Object Group": "one" });
  const object = item.structure(tag.Template, ...childrenOf(inside, tag.Attribute));
  await call(operation.register, [item.enumeration(tag.ObjectType, 6), template({ Name: named("t") }), object]);
  const name = item.structure(tag.Name, item.text(tag.NameValue, "t"), item.enumeration(tag.NameType, 1));
  const asked = template({ ...key, "x-ID": own("request"), "Contact Information": "Ann" });
  const id = idOf(
    await call(operation.create, [symmetric, item.structure(tag.TemplateAttribute, name, ...(asked.value as Item[]))]),
  );
  assert.deepEqual(await attributesOf(id, ["x-ID", "Contact Information", "Object Group"]), [
    ["x-ID", 0, own("template")],
    ["x-ID", 1, own("request")],
    ["Contact Information", 0, "Ann"],
    ["Object Group", 0, "one"],
  ]);
});

test("a Template that is not there is not looked for among those of its name that were destroyed", async () => {
  const memory = memoryStore();
  let reads = 0;
  const objects: typeof memory.objects = (ids) => {
    reads += 1;
    return memory.objects(ids);
  };
  const { call } = aClient({ ...memory, objects });
  const name = item.structure(tag.Name, item.text(tag.NameValue, "t"), item.enumeration(tag.NameType, 1));
  const asked = item.structure(tag.TemplateAttribute, name, ...(template(key).value as Item[]));
  const readsOfCreate = async () => {
    const before = reads;
    await assert.rejects(call(operation.create, [symmetric, asked]), /no Template of that Name/);
    return reads - before;
  };
  const without = await readsOfCreate();
  const object = item.structure(tag.Template, ...childrenOf(template({ "Object Group": "one" }), tag.Attribute));
  for (let made = 0; made < 5; made += 1) {
    const request = [item.enumeration(tag.ObjectType, 6), template({ Name: named("t") }), object];
    await call(operation.destroy, [identifier(idOf(await call(operation.register, request)))]);
  }
  assert.equal(await readsOfCreate(), without);
});

test("a Template whose name stands among its own attributes is found by it, and keeps it to itself", async () => {
  const { call, attributesOf } = aClient();
  const inside = template({ Name: named("t"), "Object Group": "one" });
  const object = item.structure(tag.Template, ...childrenOf(inside, tag.Attribute));
  const registered = await call(operation.register, [item.enumeration(tag.ObjectType, 6), template({}), object], 10);
  const name = item.structure(tag.Name, item.text(tag.NameValue, "t"), item.enumeration(tag.NameType, 1));
  const asked = item.structure(tag.TemplateAttribute, name, ...(template(key).value as Item[]));
  const id = idOf(await call(operation.create, [symmetric, asked], 10));
  assert.deepEqual(await attributesOf(id, ["Object Group", "Name"], 10), [["Object Group", 0, "one"]]);
  const found = await call(operation.locate, [attributeItem("Name", named("t"))], 10);
  assert.equal(idOf(found), idOf(registered));
});

test("a key that is made anew has the names of the old one and those of the request", async () => {
  const { call, attributesOf, create } = aClient();
  const old = await create({ Name: named("first") });
  const successor = idOf(await call(0x04, [identifier(old), template({ Name: named("second") })]));
  assert.deepEqual(await attributesOf(successor, ["Name"]), [
    ["Name", 0, named("first")],
    ["Name", 1, named("second")],
  ]);
  assert.deepEqual(await attributesOf(old, ["Name"]), []);
});

test("Usage Limits that are set, changed and deleted are told with what is left", async () => {
  const { call, create } = aClient();
  const id = await create({});
  const limits = (total: string, count?: string): Json => ({
    usageLimitsTotal: total,
    ...(count === undefined ? {} : { usageLimitsCount: count }),
    usageLimitsUnit: 1,
  });
  const change = async (number: number, ...more: Item[]) => attributesIn(await call(number, [identifier(id), ...more]));
  const told = (total: string) => [["Usage Limits", 0, limits(total, total)]];
  const stored = (total: number): Json => ({ usageLimitsTotal: total, usageLimitsUnit: 1 });
  const [added, modified] = [1000, 500].map((total) => attributeItem("Usage Limits", stored(total)));
  const text = (given: readonly unknown[]) =>
    JSON.parse(
      JSON.stringify(given, (_, value) =>
        typeof value === "bigint" || typeof value === "number" ? String(value) : value,
      ),
    );
  const same = (given: readonly unknown[], total: string) => assert.deepEqual(text(given), text(told(total)));
  same(await change(operation.addAttribute, added as Item), "1000");
  same(await change(operation.modifyAttribute, modified as Item), "500");
  same(await change(operation.deleteAttribute, item.text(tag.AttributeName, "Usage Limits")), "500");
});

test("a certificate has the attributes that KMIP 1.0 knew, and 2.x no longer has", async () => {
  const { call, attributesOf } = aClient();
  const openssl = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha1", "-keyout", "/dev/null", "-outform", "DER"];
  const more = ["-subj", "/C=US/O=TEST/OU=OASIS/CN=KMIP", "-set_serial", "0x9BBA23D1B6A48F97", "-days", "9"];
  const der = execFileSync("openssl", [...openssl, ...more], { stdio: ["ignore", "pipe", "ignore"] });
  const certificate = item.structure(
    tag.Certificate,
    item.enumeration(tag.CertificateType, 1),
    item.bytes(tag.CertificateValue, der),
  );
  const id = idOf(
    await call(operation.register, [
      item.enumeration(tag.ObjectType, 1),
      template({ "Cryptographic Usage Mask": 2 }),
      certificate,
    ]),
  );
  const names = ["Certificate Identifier", "Certificate Subject", "Certificate Issuer", "Digital Signature Algorithm"];
  const name = "CN=KMIP,OU=OASIS,O=TEST,C=US";
  const texts = [
    ["Certificate Identifier", 0, { issuer: name, serialNumber: "9BBA23D1B6A48F97" }],
    ["Certificate Subject", 0, { certificateSubjectDistinguishedName: name, certificateSubjectAlternativeName: [] }],
    ["Certificate Issuer", 0, { certificateIssuerDistinguishedName: name, certificateIssuerAlternativeName: [] }],
  ];
  assert.deepEqual(await attributesOf(id, names, 10), texts);
  assert.deepEqual(await attributesOf(id, names, 14), [...texts, ["Digital Signature Algorithm", 0, 3]]);
  const modern = await call(operation.getAttributes, [identifier(id)], 21);
  for (const number of [tag.CertificateIdentifier, tag.CertificateSubject, tag.CertificateIssuer])
    assert.equal(findItem(modern, number), undefined);
});

test("a client's own extended date is told in 2.x, and neither taken nor told in 1.x", async () => {
  const { call, attributesOf } = aClient();
  const date: Item = { tag: tag.AttributeValue, type: itemType.dateTimeExtended, value: 1_800_000_000_123_456n };
  const vendor = item.structure(
    tag.Attribute,
    item.text(tag.VendorIdentification, "x"),
    item.text(tag.AttributeName, "seen"),
    date,
  );
  const numbers = [
    [tag.CryptographicLength, 128],
    [tag.CryptographicUsageMask, 12],
  ] as const;
  const attributes = [
    item.enumeration(tag.CryptographicAlgorithm, 3),
    ...numbers.map(([number, value]) => item.integer(number, value)),
  ];
  const id = idOf(await call(operation.create, [symmetric, item.structure(tag.Attributes, ...attributes, vendor)], 20));
  const modern = await call(operation.getAttributes, [identifier(id)], 21);
  assert.deepEqual(findItem(modern, tag.AttributeValue), date);
  assert.deepEqual(await attributesOf(id, ["x-seen"], 14), []);
  const old = item.structure(tag.Attribute, item.text(tag.AttributeName, "x-mine"), date);
  await assert.rejects(call(operation.addAttribute, [identifier(id), old], 14), /exists since KMIP 2.0/);
});

test("a part of a stream that completes no block is answered without Data", async () => {
  const { call, create } = aClient();
  const id = await create({ "Cryptographic Parameters": { blockCipherMode: 2 }, "Activation Date": 1 }, 13);
  const encrypt = async (...children: Item[]) => {
    const answer = await call(0x1f, [identifier(id), ...children], 13);
    const correlation = findItem(answer, tag.CorrelationValue);
    return { data: findItem(answer, tag.Data)?.value as Buffer | undefined, correlation };
  };
  const data = (hex: string) => item.bytes(tag.Data, Buffer.from(hex, "hex"));
  const whole = await encrypt(data("01020304050607080910111213141516"));
  const first = await encrypt(data("0102030405060708"), item.boolean(tag.InitIndicator, true));
  assert.equal(first.data, undefined);
  const second = await encrypt(data("0910111213141516"), first.correlation as Item);
  assert.deepEqual(second.data, whole.data);
  const last = await encrypt(second.correlation as Item, item.boolean(tag.FinalIndicator, true));
  assert.deepEqual(last, { data: undefined, correlation: undefined });
});
