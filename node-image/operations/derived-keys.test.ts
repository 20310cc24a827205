import assert from "node:assert/strict";
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { after, before, test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { cryptographicAlgorithm as algorithm, linkType, objectType, usage } from "../objects/enumerations.ts";
import type { Json } from "../objects/types.ts";
import {
  active,
  block,
  bytesOf,
  createPair,
  listOf,
  numberOf,
  cryptographicOperation as operation,
  part,
  registerKey,
  textOf,
} from "../testing/cryptography-requests.ts";
import { fails } from "../testing/fails.ts";
import { attributeItem, item, template } from "../testing/items.ts";
import type { KmipClient } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import type { Item } from "../ttlv/types.ts";

const epoch = Date.UTC(2026, 0, 1) / 1000;
let site: KmipSite;
let app: KmipClient;
before(async () => {
  site = await kmipSite({ now: () => new Date(epoch * 1000) });
  app = await site.connect("O=bank, CN=app", { version: 14 });
});
after(() => site.close());

const reason = { field: 7, crypto: 10, illegal: 11, denied: 12, sensitive: 22, notExtractable: 23 };

const all = usage.encrypt | usage.decrypt | usage.macGenerate | usage.macVerify | usage.wrapKey | usage.unwrapKey;
const text = Buffer.from("sixteen bytes of data and some more");

function aes(mask: number, more: Readonly<Record<string, Json>>): Promise<string> {
  return app.create({ "Cryptographic Algorithm": 3, "Cryptographic Length": 256, ...active(mask, more) });
}

const derivations: readonly (readonly [string, Buffer, number, readonly Item[], string])[] = [
  [
    "PBKDF2 (RFC 6070, 2)",
    Buffer.from("password"),
    1,
    [item.bytes(tag.Salt, Buffer.from("salt")), item.integer(tag.IterationCount, 2)],
    "ea6c014dc72d6f8ccd1ed92ace1d41f0",
  ],
  [
    "HASH with SHA-256",
    Buffer.from("abc"),
    2,
    [part.parameters({ hashingAlgorithm: 6 })],
    "ba7816bf8f01cfea414140de5dae2223",
  ],
  [
    "HMAC (RFC 4231, 4.3)",
    Buffer.from("Jefe"),
    3,
    [
      part.parameters({ hashingAlgorithm: 6 }),
      item.bytes(tag.DerivationData, Buffer.from("what do ya want for nothing?")),
    ],
    "5bdcc146bf60754e6a042426089575c7",
  ],
  [
    "HKDF (RFC 5869, A.1)",
    Buffer.alloc(22, 0x0b),
    10,
    [
      part.parameters({ hashingAlgorithm: 6 }),
      item.bytes(tag.DerivationData, Buffer.from("f0f1f2f3f4f5f6f7f8f9", "hex")),
      item.bytes(tag.Salt, Buffer.from("000102030405060708090a0b0c", "hex")),
    ],
    "3cb25f25faacd57a90434f64d0362f2a",
  ],
];
for (const [name, secret, method, given, wanted] of derivations) {
  test(`Derive Key by ${name}`, async () => {
    const version = method > 8 ? 21 : 14;
    const latest = await site.connect("O=bank, CN=app", { version });
    const base = await registerKey(app, 7, block(1, secret), active(usage.deriveKey));
    const attributes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 128, ...active(all) };
    const answer = await derive(latest, { bases: [base], method, given, attributes }, version);
    const id = textOf(answer, tag.UniqueIdentifier);
    assert.equal((await app.get(id)).toString("hex"), wanted);
    const link = (await app.attributes(base, "Link")).Link as { linkType: number; linkedObjectIdentifier: string };
    assert.deepEqual(link, { linkType: linkType.derivedKey, linkedObjectIdentifier: id });
  });
}

test("Secret Data that was registered as Opaque is bytes like any other", async () => {
  const base = await registerKey(app, 7, block(2, Buffer.from("Jefe")), active(usage.deriveKey));
  const data = item.bytes(tag.DerivationData, Buffer.from("what do ya want for nothing?"));
  const attributes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 128, ...active(all) };
  const given = [part.parameters({ hashingAlgorithm: 6 }), data];
  const answer = await derive(app, { bases: [base], method: 3, given, attributes });
  assert.equal(
    (await app.get(textOf(answer, tag.UniqueIdentifier))).toString("hex"),
    "5bdcc146bf60754e6a042426089575c7",
  );
});

interface Wanted {
  readonly bases: readonly string[];
  readonly method: number;
  readonly given?: readonly Item[];
  readonly attributes: Readonly<Record<string, Json>>;
}

function derive(client: KmipClient, wanted: Wanted, version: 14 | 21 = 14): Promise<Item> {
  const { bases, method, given = [], attributes } = wanted;
  return client.call(
    operation.deriveKey,
    item.enumeration(tag.ObjectType, objectType.symmetricKey),
    ...bases.map(part.id),
    item.enumeration(tag.DerivationMethod, method),
    item.structure(tag.DerivationParameters, ...given),
    version === 21 ? listOf(tag.Attributes, attributes, 21) : template(attributes),
  );
}

test("two pairs agree on one key, on a curve, on X25519 and by DH", async () => {
  for (const common of [
    { "Cryptographic Algorithm": algorithm.ecdh, "Cryptographic Length": 256 },
    { "Cryptographic Algorithm": algorithm.ecdh, "Cryptographic Domain Parameters": { recommendedCurve: 0x45 } },
    { "Cryptographic Algorithm": algorithm.dh, "Cryptographic Length": 2048 },
  ]) {
    const masks = [usage.deriveKey, usage.deriveKey] as const;
    const [mine, theirs] = [await createPair(app, common, masks), await createPair(app, common, masks)];
    const attributes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, ...active(all) };
    const keys = await Promise.all(
      [
        [mine.privateKey, theirs.publicKey],
        [theirs.privateKey, mine.publicKey],
      ].map(async (ids) =>
        app.get(textOf(await derive(app, { bases: ids, method: 8, attributes }), tag.UniqueIdentifier)),
      ),
    );
    assert.deepEqual(keys[0], keys[1]);
  }
});

test("Derive Key refuses a key that may not derive, a length beyond the derivation, and a length that no key has", async () => {
  const base = await registerKey(app, 7, block(1, Buffer.from("secret")), active(usage.deriveKey));
  const wrong = await registerKey(app, 7, block(1, Buffer.from("secret")), active(usage.encrypt));
  const given = [part.parameters({ hashingAlgorithm: 4 })];
  const wanted = (bits: number) => ({ "Cryptographic Algorithm": 3, "Cryptographic Length": bits, ...active(all) });
  await fails(derive(app, { bases: [wrong], method: 2, given, attributes: wanted(128) }), reason.field);
  await fails(derive(app, { bases: [base], method: 2, given, attributes: wanted(256) }), reason.crypto, /fewer/);
  await fails(derive(app, { bases: [base], method: 2, given, attributes: wanted(100) }), reason.field);
  await fails(
    derive(app, {
      bases: [base],
      method: 1,
      given: [item.bytes(tag.Salt, text), item.integer(tag.IterationCount, 2_000_000_000)],
      attributes: wanted(128),
    }),
    reason.field,
    /rounds/,
  );
});

const cbc = [part.parameters({ blockCipherMode: 1 }), item.bytes(tag.InitializationVector, Buffer.alloc(16))];
const another = "x-keyfleet-grant-user:CN=friend,O=bank,issuer(CN=clients,O=bank)";
/** What keeps the key that is encrypted from who derives, and what he is told. */
const keepers: readonly (readonly [string, Readonly<Record<string, Json>>, number, RegExp])[] = [
  ["whose key he may not Get", {}, reason.denied, /right Get/],
  ["that is Sensitive, of his own", { Sensitive: true }, reason.sensitive, /wrapped only/],
  ["that is not Extractable, of his own", { Extractable: false }, reason.notExtractable, /not Extractable/],
];
for (const [what, attributes, expected, message] of keepers) {
  test(`nobody has a key encrypted under one that he knows, and calls it derived: one ${what}`, async () => {
    const own = expected !== reason.denied;
    const thief = own ? app : await site.connect("O=bank, CN=friend");
    const secret = Buffer.from("32 bytes that nobody may carry..");
    const victim = await registerKey(app, 7, block(1, secret), active(usage.deriveKey, attributes));
    if (!own) await app.call(0x0d, part.id(victim), attributeItem(another, { type: 7, value: "DeriveKey" }));
    const known = await registerKey(thief, 2, block(1, Buffer.alloc(32, 7), 3, 256), active(usage.deriveKey));
    const wanted = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, ...active(all) };
    const encrypted = { bases: [known, victim], method: 4, given: cbc, attributes: wanted };
    await fails(derive(thief, encrypted), expected, message);
    // What cannot be turned back is derived.
    const digested = { ...encrypted, method: 3, given: [part.parameters({ hashingAlgorithm: 6 })] };
    await derive(thief, digested);
  });
}

test("derivations that take seconds take turns: no more than two threads have them, and quick ones pass by", async (t) => {
  const held: (() => void)[] = [];
  t.mock.method(crypto, "pbkdf2", (...given: unknown[]) => {
    const [, , iterations, length] = given as [unknown, unknown, number, number];
    const done = given.at(-1) as (error: null, bytes: Buffer) => void;
    const end = () => done(null, Buffer.alloc(length, 9));
    if (iterations === quick) end();
    else held.push(end);
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const quick = 1_000;
  const attributes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 128, ...active(all) };
  /** Each by a connection and from a key of its own: else they would go one after another anyhow. */
  const asked = async (iterations: number) => {
    const client = await site.connect("O=bank, CN=app");
    const key = await registerKey(client, 7, block(1, Buffer.from(`password ${iterations}`)), active(usage.deriveKey));
    const given = [item.bytes(tag.Salt, text), item.integer(tag.IterationCount, iterations)];
    return { key, answer: derive(client, { bases: [key], method: 1, given, attributes }) };
  };
  const slow = await Promise.all([9_000_000, 9_000_001, 9_000_002, 9_000_003].map(asked));
  await (await asked(quick)).answer;
  for (let times = 0; times < 20; times += 1) await app.call(operation.getAttributes, part.id(slow[0]?.key ?? ""));
  const begun = () => held.length;
  assert.equal(begun(), 2);
  // The base's owner does not wait for it, and what was derived meanwhile is not kept.
  const [first, ...others] = slow;
  await app.revoke(first?.key ?? "", 2);
  const refused = fails(first?.answer ?? Promise.resolve(), reason.field, /compromised/);
  for (const _ of slow) {
    while (begun() === 0) await new Promise((turn) => setImmediate(turn));
    held.shift()?.();
  }
  await Promise.all([refused, ...others.map(({ answer }) => answer)]);
});

test("Re-key makes a successor with the names and the ways of the old key, once", async () => {
  const name = { nameValue: "rotated", nameType: 1 };
  const old = await aes(usage.encrypt, {
    Name: name,
    "x-team": { type: 7, value: "db" },
    Sensitive: true,
    "Protect Stop Date": epoch + 100,
  });
  const answer = await app.call(operation.reKey, part.id(old), { tag: tag.Offset, type: 10, value: 50 });
  const id = textOf(answer, tag.UniqueIdentifier);
  assert.deepEqual(await app.locate({ Name: name }), [id]);
  const attributes = await app.attributes(id, "x-team", "Sensitive", "Activation Date", "Protect Stop Date", "Link");
  assert.deepEqual(attributes, {
    "x-team": { type: 7, value: "db" },
    Sensitive: true,
    "Activation Date": epoch + 50,
    "Protect Stop Date": epoch + 100 + epoch + 50 - 1,
    Link: { linkType: linkType.replaced, linkedObjectIdentifier: old },
  });
  assert.deepEqual(await app.attributes(old, "Link", "Name"), {
    Link: { linkType: linkType.replacement, linkedObjectIdentifier: id },
  });
  await fails(app.call(operation.reKey, part.id(old)), reason.denied, /replacement already/);
});

test("Re-key Key Pair makes two successors that are linked with each other and with the old ones", async () => {
  const names = [
    { Name: { nameValue: "pair private", nameType: 1 } },
    { Name: { nameValue: "pair public", nameType: 1 } },
  ] as const;
  const old = await createPair(
    app,
    { "Cryptographic Algorithm": 6, "Cryptographic Length": 256 },
    [usage.sign, usage.verify],
    { own: names },
  );
  const answer = await app.call(operation.reKeyKeyPair, item.text(tag.PrivateKeyUniqueIdentifier, old.privateKey));
  const made = [textOf(answer, tag.PrivateKeyUniqueIdentifier), textOf(answer, tag.PublicKeyUniqueIdentifier)];
  assert.deepEqual(
    [await app.locate(names[0]), await app.locate(names[1])],
    made.map((id) => [id]),
  );
  const signed = await app.call(
    operation.sign,
    part.id(made[0] ?? ""),
    part.parameters({ hashingAlgorithm: 6 }),
    part.data(text),
  );
  const signature = item.bytes(tag.SignatureData, bytesOf(signed, tag.SignatureData));
  const verdicts = await Promise.all(
    [made[1] ?? "", old.publicKey].map(async (id) =>
      numberOf(
        await app.call(
          operation.signatureVerify,
          part.id(id),
          part.parameters({ hashingAlgorithm: 6 }),
          part.data(text),
          signature,
        ),
        tag.ValidityIndicator,
      ),
    ),
  );
  assert.deepEqual(verdicts, [1, 2]);
});
