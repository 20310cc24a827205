import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import type { Json } from "../objects/types.ts";
import { fails } from "../testing/fails.ts";
import { attributeItem, childrenOf, findItem, item, payload, template } from "../testing/items.ts";
import { type KmipClient, KmipFailure, operation } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";

const versions = [10, 11, 12, 13, 14];
const epoch = Date.UTC(2026, 0, 1) / 1000;
const reason = {
  notFound: 1,
  tooLarge: 2,
  invalidMessage: 4,
  notSupported: 5,
  invalidField: 7,
  feature: 8,
  illegal: 11,
  denied: 12,
  outOfBounds: 14,
  format: 16,
  sensitive: 22,
  notExtractable: 23,
} as const;

let site: KmipSite;
let clock = epoch;
const clients = new Map<string, KmipClient>();
before(async () => {
  site = await kmipSite({ now: () => new Date(clock * 1000) });
});
after(() => site.close());

/** One connection for each caller and version. */
async function client(version = 14, name = "app"): Promise<KmipClient> {
  const key = `${name} ${version}`;
  const found = clients.get(key) ?? (await site.connect(`O=bank, OU=apps, CN=${name}`, { version }));
  clients.set(key, found);
  return found;
}

const id = (value: string) => item.text(tag.UniqueIdentifier, value);
const name = (value: string): Json => ({ nameValue: value, nameType: 1 });
const aesAttributes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 };
const createPayload = (attributes: Readonly<Record<string, Json>>, type = 2) => [
  item.enumeration(tag.ObjectType, type),
  template(attributes),
];

function keyBlock(bytes: Buffer, options: { readonly format?: number; readonly algorithm?: number } = {}): Item {
  const { format = 1, algorithm } = options;
  const material = item.bytes(tag.KeyMaterial, bytes);
  const transparent = item.structure(tag.KeyMaterial, item.bytes(tag.Key, bytes));
  return item.structure(
    tag.KeyBlock,
    item.enumeration(tag.KeyFormatType, format),
    item.structure(tag.KeyValue, format === 7 ? transparent : material),
    ...(algorithm === undefined
      ? []
      : [
          item.enumeration(tag.CryptographicAlgorithm, algorithm),
          item.integer(tag.CryptographicLength, bytes.length * 8),
        ]),
  );
}

for (const version of versions) {
  const spoken = `KMIP 1.${version - 10}`;

  test(`${spoken}: a key lives from Create to Destroy`, async () => {
    const app = await client(version);
    const key = await app.create({ Name: name(`life ${version}`) });
    const bytes = await app.get(key);
    assert.equal(bytes.length, 32);
    assert.deepEqual(await app.get(key), bytes);
    assert.deepEqual(await app.locate({ Name: name(`life ${version}`) }), [key]);
    assert.equal((await app.attributes(key, "State")).State, 1);
    await app.activate(key);
    assert.deepEqual(await app.attributes(key, "State", "Activation Date"), { State: 2, "Activation Date": clock });
    await fails(app.destroy(key), reason.denied, /revoke an active object first/);
    await app.revoke(key);
    assert.equal((await app.attributes(key, "State")).State, 3);
    await app.destroy(key);
    assert.deepEqual(await app.attributes(key, "State", "Destroy Date"), { State: 5, "Destroy Date": clock });
    await fails(app.get(key), reason.illegal, /destroyed/);
    await fails(app.destroy(key), reason.denied);
  });

  test(`${spoken}: nothing newer than the version is answered`, async () => {
    const app = await client(version);
    const key = await (await client(14)).create({ Description: "newer", "x-own": { type: 7, value: "mine" } });
    const names = Object.keys(await app.attributes(key));
    const since: Readonly<Record<string, number>> = {
      Fresh: 11,
      "Original Creation Date": 12,
      "Random Number Generator": 13,
      Sensitive: 14,
      Extractable: 14,
      "Always Sensitive": 14,
      "Never Extractable": 14,
      Description: 14,
      "x-own": 10,
    };
    for (const [attribute, first] of Object.entries(since)) {
      assert.equal(names.includes(attribute), version >= first, attribute);
    }
    const list = await app.call(operation.getAttributeList, id(key));
    assert.deepEqual(
      childrenOf(list, tag.AttributeName)
        .map(({ value }) => value)
        .sort(),
      names.sort(),
    );
    const digest = await app.call(operation.getAttributes, id(key), item.text(tag.AttributeName, "Digest"));
    assert.ok(findItem(digest, tag.DigestValue));
    assert.equal(findItem(digest, tag.KeyFormatType) !== undefined, version >= 11);
  });

  test(`${spoken}: attributes are added, modified and deleted`, async () => {
    const app = await client(version);
    const key = await app.create();
    await app.call(operation.addAttribute, id(key), attributeItem("Contact Information", "ops"));
    await fails(
      app.call(operation.addAttribute, id(key), attributeItem("Contact Information", "ops2")),
      reason.illegal,
    );
    await app.call(operation.modifyAttribute, id(key), attributeItem("Contact Information", "ops3"));
    assert.equal((await app.attributes(key, "Contact Information"))["Contact Information"], "ops3");
    await app.call(operation.deleteAttribute, id(key), item.text(tag.AttributeName, "Contact Information"));
    assert.deepEqual(await app.attributes(key, "Contact Information"), {});
    await fails(app.call(operation.addAttribute, id(key), attributeItem("State", 2)), reason.denied, /read-only/);
  });
}

test("who says Attribute Index 0 is told it again; who leaves it out is not, as in the OASIS test cases [PyKMIP]", async () => {
  const app = await client();
  const key = await app.create({ "Contact Information": "ops" });
  for (const index of [0, undefined]) {
    const changed = attributeItem("Contact Information", `ops ${index}`, index);
    const said = index === undefined ? [] : [item.integer(tag.AttributeIndex, index)];
    const name = item.text(tag.AttributeName, "Contact Information");
    const modified = await app.call(operation.modifyAttribute, id(key), changed);
    const deleted = await app.call(operation.deleteAttribute, id(key), name, ...said);
    for (const answer of [modified, deleted]) assert.equal(findItem(answer, tag.AttributeIndex)?.value, index);
    await app.call(operation.addAttribute, id(key), attributeItem("Contact Information", "ops"));
  }
});

test("indexes of the other instances stay when one is deleted", async () => {
  const app = await client();
  const key = await app.create();
  for (const group of ["a", "b", "c"])
    await app.call(operation.addAttribute, id(key), attributeItem("Object Group", group));
  await app.call(
    operation.deleteAttribute,
    id(key),
    item.text(tag.AttributeName, "Object Group"),
    item.integer(tag.AttributeIndex, 1),
  );
  const read = await app.call(operation.getAttributes, id(key), item.text(tag.AttributeName, "Object Group"));
  const instances = childrenOf(read, tag.Attribute).map((each) => [
    findItem(each, tag.AttributeIndex)?.value ?? 0,
    findItem(each, tag.AttributeValue)?.value,
  ]);
  assert.deepEqual(instances, [
    [0, "a"],
    [2, "c"],
  ]);
});

const creations: readonly (readonly [string, Readonly<Record<string, Json>>, number | undefined])[] = [
  ["AES 128", { ...aesAttributes, "Cryptographic Length": 128 }, 16],
  ["AES 192", { ...aesAttributes, "Cryptographic Length": 192 }, 24],
  ["HMAC-SHA256 of 256 bits", { ...aesAttributes, "Cryptographic Algorithm": 9 }, 32],
  ["HMAC-SHA512 of 512 bits", { ...aesAttributes, "Cryptographic Algorithm": 11, "Cryptographic Length": 512 }, 64],
  ["AES 512", { ...aesAttributes, "Cryptographic Length": 512 }, undefined],
  ["AES of minus 8 bits", { ...aesAttributes, "Cryptographic Length": -8 }, undefined],
  [
    "an HMAC key of 2 gigabits",
    { ...aesAttributes, "Cryptographic Algorithm": 9, "Cryptographic Length": 2 ** 31 - 8 },
    undefined,
  ],
  ["DES", { ...aesAttributes, "Cryptographic Algorithm": 1, "Cryptographic Length": 64 }, undefined],
  ["a key without an algorithm", { "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 }, undefined],
  ["a key without a usage mask", { "Cryptographic Algorithm": 3, "Cryptographic Length": 256 }, undefined],
  ["a key with a state of its own", { ...aesAttributes, State: 2 }, undefined],
  [
    "a key that ends before it begins",
    { ...aesAttributes, "Activation Date": epoch + 9, "Deactivation Date": epoch },
    undefined,
  ],
];

for (const [what, attributes, length] of creations) {
  test(length === undefined ? `Create refuses ${what}` : `Create makes ${what}`, async () => {
    const app = await client();
    const created = app.call(operation.create, ...createPayload(attributes));
    if (length === undefined) return fails(created, reason.invalidField);
    assert.equal((await app.get(String(findItem(await created, tag.UniqueIdentifier)?.value))).length, length);
  });
}

const secret = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
const der = Buffer.from("3003020101", "hex");
const mask = template({ "Cryptographic Usage Mask": 12 });
const typed = (type: number, ...rest: Item[]) => [item.enumeration(tag.ObjectType, type), ...rest];

const registrations: readonly (readonly [string, readonly Item[], Buffer])[] = [
  ["a symmetric key", typed(2, mask, item.structure(tag.SymmetricKey, keyBlock(secret, { algorithm: 3 }))), secret],
  [
    "a transparent symmetric key",
    typed(2, mask, item.structure(tag.SymmetricKey, keyBlock(secret, { format: 7, algorithm: 3 }))),
    secret,
  ],
  [
    "a password",
    typed(
      7,
      mask,
      item.structure(tag.SecretData, item.enumeration(tag.SecretDataType, 1), keyBlock(secret, { format: 2 })),
    ),
    secret,
  ],
  [
    "a PKCS#8 private key",
    typed(4, mask, item.structure(tag.PrivateKey, keyBlock(der, { format: 4, algorithm: 4 }))),
    der,
  ],
  [
    "an X.509 public key",
    typed(3, mask, item.structure(tag.PublicKey, keyBlock(der, { format: 5, algorithm: 4 }))),
    der,
  ],
  [
    "a PGP key",
    typed(9, mask, item.structure(tag.PGPKey, item.integer(tag.PGPKeyVersion, 4), keyBlock(secret))),
    secret,
  ],
  [
    "an opaque object",
    typed(
      8,
      template({}),
      item.structure(
        tag.OpaqueObject,
        item.enumeration(tag.OpaqueDataType, 0x80000000),
        item.bytes(tag.OpaqueDataValue, der),
      ),
    ),
    der,
  ],
];

for (const [what, children, bytes] of registrations) {
  test(`Register takes ${what} and Get gives it back`, async () => {
    const app = await client();
    const key = String(findItem(await app.call(operation.register, ...children), tag.UniqueIdentifier)?.value);
    const given = await app.call(operation.get, id(key));
    const field = [tag.Key, tag.KeyMaterial, tag.CertificateValue, tag.OpaqueDataValue].map((each) =>
      findItem(given, each),
    );
    assert.deepEqual(field.find((found) => found !== undefined)?.value, bytes);
    const { Digest: digest } = await app.attributes(key, "Digest");
    assert.equal((digest as { digestValue: string }).digestValue.length, 64);
  });
}

test("Register takes a certificate and tells its names", async () => {
  const app = await client();
  const { raw } = new X509Certificate(site.clients.certificate);
  const block = (bytes: Buffer) =>
    item.structure(tag.Certificate, item.enumeration(tag.CertificateType, 1), item.bytes(tag.CertificateValue, bytes));
  const registered = await app.call(operation.register, ...typed(1, block(raw)));
  const key = String(findItem(registered, tag.UniqueIdentifier)?.value);
  assert.deepEqual(findItem(await app.call(operation.get, id(key)), tag.CertificateValue)?.value, raw);
  const attributes = await app.attributes(key);
  assert.equal(attributes["Certificate Length"], raw.length);
  const subject = attributes["X.509 Certificate Subject"] as { subjectDistinguishedName: string };
  assert.ok(subject.subjectDistinguishedName.includes(Buffer.from("clients").toString("hex")));
  for (const cut of [0, 1, 4, 60, raw.length - 1]) {
    await fails(app.call(operation.register, ...typed(1, block(raw.subarray(0, cut)))), reason.invalidField);
  }
});

const refusedRegistrations: readonly (readonly [string, readonly Item[], number])[] = [
  [
    "an object of another type than said",
    typed(7, mask, item.structure(tag.SymmetricKey, keyBlock(secret))),
    reason.invalidField,
  ],
  ["no object", typed(2, mask), reason.invalidField],
  [
    "two objects",
    typed(
      2,
      mask,
      item.structure(tag.SymmetricKey, keyBlock(secret)),
      item.structure(tag.SymmetricKey, keyBlock(secret)),
    ),
    reason.invalidField,
  ],
  ["an empty key", typed(2, mask, item.structure(tag.SymmetricKey, keyBlock(Buffer.alloc(0)))), reason.invalidField],
  [
    "a symmetric key in PKCS#8",
    typed(2, mask, item.structure(tag.SymmetricKey, keyBlock(secret, { format: 4 }))),
    reason.format,
  ],
  [
    "an algorithm that differs from the attributes",
    typed(
      2,
      template({ "Cryptographic Usage Mask": 12, "Cryptographic Algorithm": 2 }),
      item.structure(tag.SymmetricKey, keyBlock(secret, { algorithm: 3 })),
    ),
    reason.invalidField,
  ],
];

for (const [what, children, expected] of refusedRegistrations) {
  test(`Register refuses ${what}`, async () => fails((await client()).call(operation.register, ...children), expected));
}

test("Get gives a raw key as transparent symmetric key, and refuses other formats", async () => {
  const app = await client();
  const key = await app.create();
  const given = await app.call(operation.get, id(key), item.enumeration(tag.KeyFormatType, 7));
  assert.deepEqual(findItem(given, tag.Key)?.value, await app.get(key));
  await fails(app.call(operation.get, id(key), item.enumeration(tag.KeyFormatType, 4)), reason.format);
});

test("a Sensitive or not Extractable key does not leave the server, and each version hears it in its own words", async () => {
  const app = await client();
  const [sensitive, bound] = [await app.create({ Sensitive: true }), await app.create({ Extractable: false })];
  await fails(app.get(sensitive), reason.sensitive);
  await fails(app.get(bound), reason.notExtractable);
  await fails((await client(12)).get(sensitive), reason.denied);
});

test("another's object is like none at all, in every operation", async () => {
  const [app, other] = [await client(), await client(14, "other")];
  const key = await app.create({ Name: name("mine") });
  const calls: readonly (readonly [number, ...Item[]])[] = [
    [operation.get],
    [operation.getAttributes],
    [operation.getAttributeList],
    [operation.addAttribute, attributeItem("Comment", "x")],
    [operation.modifyAttribute, attributeItem("Comment", "x")],
    [operation.deleteAttribute, item.text(tag.AttributeName, "Comment")],
    [operation.activate],
    [operation.revoke, item.structure(tag.RevocationReason, item.enumeration(tag.RevocationReasonCode, 2))],
    [operation.destroy],
  ];
  for (const [number, ...rest] of calls) {
    const messages = await Promise.all(
      [key, "00000000-0000-0000-0000-000000000000"].map(async (target) => {
        const error = await other.call(number, id(target), ...rest).catch((failure: KmipFailure) => failure);
        assert.ok(error instanceof KmipFailure);
        return [error.reason, error.message.replace(target, "")];
      }),
    );
    assert.deepEqual(messages[0], messages[1]);
    assert.equal(messages[0]?.[0], reason.notFound);
  }
  assert.deepEqual(await other.locate({ Name: name("mine") }), []);
  assert.ok(await other.create({ Name: name("mine") }), "names are each owner's own");
});

test("the same subject certified by two authorities is two callers", async () => {
  const { testAuthority } = await import("../testing/certificates.ts");
  const second = await testAuthority("O=bank, CN=more clients");
  const both = `${site.clients.certificate}\n${second.certificate}`;
  site.server.updateTls({ ...site.serverIdentity, clientAuthorities: both });
  const key = await (await client()).create();
  const twin = await site.connect("", { identity: await second.issue("O=bank, OU=apps, CN=app") });
  await fails(twin.get(key), reason.notFound);
});

test("a Name is used once, and free again when its object is destroyed", async () => {
  const app = await client();
  const first = await app.create({ Name: name("unique") });
  await fails(app.create({ Name: name("unique") }), reason.invalidField, /Another object has this Name/);
  const second = await app.create();
  await fails(app.call(operation.addAttribute, id(second), attributeItem("Name", name("unique"))), reason.illegal);
  await app.destroy(first);
  await app.call(operation.addAttribute, id(second), attributeItem("Name", name("unique")));
});

test("of twenty Creates with one Name at the same time exactly one succeeds", async () => {
  const app = await client();
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => app.create({ Name: name("race") })));
  assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
});

test("dates move an object on by themselves", async () => {
  const app = await client();
  const key = await app.create({ "Activation Date": clock + 100, "Deactivation Date": clock + 200 });
  const states: Json[] = [];
  for (const wait of [0, 100, 100]) {
    clock += wait;
    states.push((await app.attributes(key, "State")).State ?? null);
  }
  assert.deepEqual(states, [1, 2, 3]);
  await app.destroy(key);
});

test("Revoke with Key Compromise marks any object compromised, also a destroyed one", async () => {
  const app = await client();
  const key = await app.create();
  await fails(app.revoke(key), reason.illegal, /preActive/);
  await app.destroy(key);
  await app.revoke(key, 2);
  const { State, "Compromise Date": date, "Revocation Reason": why } = await app.attributes(key);
  assert.deepEqual([State, date, why], [6, clock, { revocationReasonCode: 2 }]);
});

const searches: readonly (readonly [string, Readonly<Record<string, Json>>, readonly string[]])[] = [
  ["by group", { "Object Group": "search" }, ["c", "b", "a"]],
  ["by group and state", { "Object Group": "search", State: 2 }, ["b"]],
  ["by algorithm", { "Object Group": "search", "Cryptographic Algorithm": 9 }, ["c"]],
  ["by usage mask bits", { "Object Group": "search", "Cryptographic Usage Mask": 4 }, ["c", "b", "a"]],
  ["by own attribute", { "x-search": { type: 7, value: "a" } }, ["a"]],
  ["by object type", { "Object Group": "search", "Object Type": 7 }, []],
  ["by date", { "Object Group": "search", "Initial Date": epoch - 1 }, []],
];

for (const [how, attributes, expected] of searches) {
  test(`Locate finds ${how}`, async () => {
    const app = await client(14, `searcher ${how}`);
    const group = { "Object Group": "search" };
    const keys = {
      [await app.create({ ...group, "x-search": { type: 7, value: "a" } })]: "a",
      [await app.create({ ...group, "Activation Date": epoch })]: "b",
      [await app.create({ ...group, "Cryptographic Algorithm": 9 })]: "c",
    };
    assert.deepEqual(
      (await app.locate(attributes)).map((key) => keys[key]),
      expected,
    );
  });
}

test("Locate leaves out what was destroyed, unless its state or date is asked for", async () => {
  const app = await client(14, "historian");
  const [kept, gone] = [await app.create(), await app.create()];
  await app.destroy(gone);
  assert.deepEqual(await app.locate(), [kept]);
  assert.deepEqual(await app.locate({ State: 5 }), [gone]);
  assert.deepEqual(await app.locate({ "Destroy Date": clock }), [gone]);
});

test("Locate pages with Maximum Items and Offset Items, and says how many there are since 1.3", async () => {
  const app = await client(14, "pager");
  const keys = [await app.create(), await app.create(), await app.create()].toReversed();
  const page = await app.call(operation.locate, item.integer(tag.MaximumItems, 1), item.integer(tag.OffsetItems, 1));
  assert.deepEqual(
    childrenOf(page, tag.UniqueIdentifier).map(({ value }) => value),
    [keys[1]],
  );
  assert.equal(findItem(page, tag.LocatedItems)?.value, 3);
  const old = await (await client(12, "pager")).call(operation.locate, item.integer(tag.MaximumItems, 1));
  assert.equal(findItem(old, tag.LocatedItems), undefined);
});

test("a batch passes the identifier on, stops at the first failure or continues as asked", async () => {
  const app = await client();
  const bad = { operation: operation.get, payload: payload(id("nothing")) };
  const requests = [
    { operation: operation.create, payload: payload(...createPayload(aesAttributes)) },
    { operation: operation.get, payload: payload() },
    bad,
    { operation: operation.activate, payload: payload() },
  ];
  const outcome = async (...header: Item[]) => (await app.batch(requests, header)).map(({ success }) => success);
  assert.deepEqual(await outcome(), [true, true, false]);
  assert.deepEqual(await outcome(item.enumeration(tag.BatchErrorContinuationOption, 1)), [true, true, false, true]);
  const [tooLong] = await app.batch(Array.from({ length: 101 }, () => bad));
  assert.equal(tooLong?.reason, reason.invalidMessage);
});

test("an answer over the client's Maximum Response Size is not sent", async () => {
  const app = await client();
  const requests = [{ operation: operation.query, payload: payload(item.enumeration(tag.QueryFunction, 1)) }];
  const [result] = await app.batch(requests, [item.integer(tag.MaximumResponseSize, 200)]);
  assert.equal(result?.reason, reason.tooLarge);
});

test("Discover Versions and Query tell what each version has", async () => {
  const app = await client(14);
  const versionsItem = await app.call(operation.discoverVersions);
  assert.equal(childrenOf(versionsItem, tag.ProtocolVersion).length, 7);
  const operations = async (version: number) => {
    const answer = await (await client(version)).call(operation.query, item.enumeration(tag.QueryFunction, 1));
    return childrenOf(answer, tag.Operation).map(({ value }) => value);
  };
  assert.ok(!(await operations(10)).includes(operation.discoverVersions));
  assert.ok((await operations(11)).includes(operation.discoverVersions));
  await fails((await client(10)).call(operation.discoverVersions), reason.notSupported);
});

test("an object takes a bounded amount of attributes, in whatever portions they come", async () => {
  const app = await client();
  const key = await app.create();
  const large = (letter: string): Json => ({ type: 7, value: letter.repeat(25_000) });
  const add = (attribute: string, value: Json) =>
    app.call(operation.addAttribute, id(key), attributeItem(attribute, value));
  await add("x-a", large("a"));
  await add("x-a", large("b"));
  await fails(add("x-b", large("c")), reason.invalidField, /at most 65536 characters/);
  await fails(app.create({ "x-a": { type: 7, value: "a".repeat(75_000) } }), reason.invalidField);
  for (let at = 0; at < 100; at++) await add("x-many", { type: 2, value: at });
  await fails(add("x-many", { type: 2, value: 100 }), reason.outOfBounds);
});

test("what is not served is refused by name of the operation that tells what is", async () => {
  await fails((await client()).call(0x1b), reason.notSupported, /Query lists those that are/);
});

test("a protocol version of another age is refused with the versions that are spoken", async () => {
  const future = await site.connect("O=bank, OU=apps, CN=app", { version: 30 });
  await fails(
    future.call(operation.query),
    0x3f,
    /KMIP 3.0 is not spoken here: use 1\.0, 1\.1, 1\.2, 1\.3, 1\.4, 2\.0, 2\.1$/,
  );
});

test("an unforeseen failure is told by a number only, which the log explains", async (context) => {
  const { memoryStore } = await import("../testing/memory-store.ts");
  const store = { ...memoryStore(), objects: () => Promise.reject(new Error("relation kms.objects does not exist")) };
  const own = await kmipSite({ store });
  context.after(() => own.close());
  const app = await own.connect("O=bank, CN=app");
  const error = await app.get("00000000-0000-0000-0000-000000000000").catch((failure: KmipFailure) => failure);
  assert.ok(error instanceof KmipFailure);
  assert.equal(error.reason, 0x100);
  assert.doesNotMatch(error.message, /relation/);
  const line = own.log.find(({ event }) => event === "request-failed");
  assert.ok(error.message.includes(String(line?.correlation)));
  assert.match(String(line?.message), /relation kms.objects/);
});

test("no key byte is ever in the log", async () => {
  const app = await client();
  const key = await app.create();
  const bytes = await app.get(key);
  const text = JSON.stringify(site.log);
  for (const form of ["hex", "base64", "latin1"] as const) assert.ok(!text.includes(bytes.toString(form)));
});
