import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync, publicEncrypt, verify } from "node:crypto";
import { after, before, test } from "node:test";
import { keyWrappingData } from "../kmip/key-wrapping.ts";
import { tag } from "../kmip/tags.ts";
import {
  cryptographicAlgorithm as algorithm,
  keyFormatType as format,
  blockCipherMode as mode,
  paddingMethod,
  usage,
} from "../objects/enumerations.ts";
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
} from "../testing/cryptography-requests.ts";
import { fails } from "../testing/fails.ts";
import { attributeItem, findItem, item } from "../testing/items.ts";
import type { KmipClient } from "../testing/kmip-client.ts";
import { type KmipSite, kmipSite } from "../testing/kmip-site.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";

const epoch = Date.UTC(2026, 0, 1) / 1000;
let clock = epoch;
let site: KmipSite;
let app: KmipClient;
let other: KmipClient;
before(async () => {
  site = await kmipSite({ now: () => new Date(clock * 1000) });
  app = await site.connect("O=bank, CN=app", { version: 14 });
  other = await site.connect("O=bank, CN=other", { version: 14 });
});
after(() => site.close());

const reason = {
  notFound: 1,
  message: 4,
  field: 7,
  feature: 8,
  crypto: 10,
  illegal: 11,
  denied: 12,
  format: 16,
  encodingOption: 18,
  sensitive: 22,
};

const all = usage.encrypt | usage.decrypt | usage.macGenerate | usage.macVerify | usage.wrapKey | usage.unwrapKey;
const text = Buffer.from("sixteen bytes of data and some more");

async function aes(mask: number = all, more: Readonly<Record<string, Json>> = {}, bits = 256): Promise<string> {
  return app.create({ "Cryptographic Algorithm": 3, "Cryptographic Length": bits, ...active(mask, more) });
}

test("what GCM encrypts with a Random IV it decrypts, and nothing else", async () => {
  const key = await aes();
  const parameters = part.parameters({ blockCipherMode: mode.gcm, randomIv: true, tagLength: 16 });
  const answer = await app.call(operation.encrypt, part.id(key), parameters, part.data(text));
  const [data, iv, code] = [tag.Data, tag.IVCounterNonce, tag.AuthenticatedEncryptionTag].map((each) =>
    bytesOf(answer, each),
  );
  assert.ok(data !== undefined && iv !== undefined && code !== undefined);
  const back = (given: Buffer, authentication: Buffer) =>
    app.call(
      operation.decrypt,
      part.id(key),
      parameters,
      part.data(given),
      part.iv(iv),
      item.bytes(tag.AuthenticatedEncryptionTag, authentication),
    );
  assert.deepEqual(bytesOf(await back(data, code), tag.Data), text);
  await fails(back(Buffer.alloc(data.length), code), reason.crypto);
  await fails(back(data, Buffer.alloc(16)), reason.crypto);
});

const uses: readonly (readonly [string, number, (key: string) => readonly [number, ...Item[]]])[] = [
  ["Encrypt", usage.decrypt, (key) => [operation.encrypt, part.id(key), part.data(text)]],
  ["Decrypt", usage.encrypt, (key) => [operation.decrypt, part.id(key), part.data(text)]],
  ["MAC", usage.macVerify, (key) => [operation.mac, part.id(key), part.data(text)]],
  [
    "MAC Verify",
    usage.macGenerate,
    (key) => [operation.macVerify, part.id(key), part.data(text), item.bytes(tag.MACData, text)],
  ],
];

for (const [name, wrongMask, call] of uses) {
  test(`${name} needs its bit in the Cryptographic Usage Mask`, async () => {
    await fails(app.call(...call(await aes(wrongMask))), reason.denied, /Usage Mask/);
  });
  test(`${name} with another's key is told like a key that is not there`, async () => {
    const key = await aes(all, { "Cryptographic Parameters": { blockCipherMode: mode.ecb } });
    await fails(other.call(...call(key)), reason.notFound);
  });
}

const states: readonly (readonly [string, (key: string) => Promise<void>, boolean, boolean])[] = [
  ["active", async () => undefined, true, true],
  ["deactivated", async (key) => app.revoke(key), false, true],
  ["compromised", async (key) => app.revoke(key, 2), false, false],
];
for (const [name, move, encrypts, decrypts] of states) {
  test(`a key that is ${name} ${encrypts ? "encrypts" : "does not encrypt"} and ${decrypts ? "decrypts" : "does not"}`, async () => {
    const key = await aes(all, { "Cryptographic Parameters": { blockCipherMode: mode.ctr } });
    const iv = part.iv(Buffer.alloc(16));
    await move(key);
    const attempts = [operation.encrypt, operation.decrypt].map((each) =>
      app.call(each, part.id(key), part.data(text), iv),
    );
    const done = await Promise.allSettled(attempts);
    assert.deepEqual(
      done.map(({ status }) => status === "fulfilled"),
      [encrypts, decrypts],
    );
  });
}

test("a key that is not active yet does neither, and one that was destroyed never again", async () => {
  const attributes = { "Cryptographic Usage Mask": all, "Cryptographic Parameters": { blockCipherMode: mode.ecb } };
  const key = await app.create(attributes);
  for (const each of [operation.encrypt, operation.decrypt]) {
    await fails(app.call(each, part.id(key), part.data(Buffer.alloc(16))), reason.denied, /Activate it/);
  }
  await app.activate(key);
  const encrypt = () => app.call(operation.encrypt, part.id(key), part.data(Buffer.alloc(16)));
  await encrypt();
  await app.revoke(key, 2);
  await fails(encrypt(), reason.denied);
  await app.destroy(key);
  await fails(encrypt(), reason.denied, /destroyed/);
});

test("Process Start Date and Protect Stop Date open and close what they name", async () => {
  const dates = { "Process Start Date": epoch + 10, "Protect Stop Date": epoch + 20 };
  const key = await aes(all, { "Cryptographic Parameters": { blockCipherMode: mode.ecb }, ...dates });
  const can = async (each: number) =>
    app.call(each, part.id(key), part.data(Buffer.alloc(16))).then(
      () => true,
      () => false,
    );
  for (const [at, encrypts, decrypts] of [
    [0, true, false],
    [10, true, true],
    [20, false, true],
  ] as const) {
    clock = epoch + at;
    assert.deepEqual(
      [await can(operation.encrypt), await can(operation.decrypt)],
      [encrypts, decrypts],
      `after ${at} s`,
    );
  }
  clock = epoch;
});

const pairs: readonly (readonly [string, Readonly<Record<string, Json>>, Readonly<Record<string, number>>])[] = [
  [
    "RSA-2048 with PSS",
    { "Cryptographic Algorithm": 4, "Cryptographic Length": 2048 },
    { paddingMethod: paddingMethod.pss, hashingAlgorithm: 6 },
  ],
  [
    "RSA-2048 with PKCS#1 v1.5",
    { "Cryptographic Algorithm": 4, "Cryptographic Length": 2048 },
    { digitalSignatureAlgorithm: 5 },
  ],
  [
    "RSA-2048 with PSS and a mask of SHA-1",
    { "Cryptographic Algorithm": 4, "Cryptographic Length": 2048 },
    { paddingMethod: paddingMethod.pss, hashingAlgorithm: 6, maskGeneratorHashingAlgorithm: 4 },
  ],
  ["P-224", { "Cryptographic Algorithm": 6, "Cryptographic Length": 224 }, { hashingAlgorithm: 5 }],
  ["P-256", { "Cryptographic Algorithm": 6, "Cryptographic Length": 256 }, { digitalSignatureAlgorithm: 14 }],
  ["P-384", { "Cryptographic Algorithm": 26, "Cryptographic Length": 384 }, { hashingAlgorithm: 7 }],
  [
    "P-521",
    { "Cryptographic Algorithm": 6, "Cryptographic Domain Parameters": { recommendedCurve: 13 } },
    { hashingAlgorithm: 8 },
  ],
  [
    "secp256k1",
    { "Cryptographic Algorithm": 6, "Cryptographic Domain Parameters": { recommendedCurve: 25 } },
    { hashingAlgorithm: 6 },
  ],
  ["Ed25519", { "Cryptographic Algorithm": 0x37 }, {}],
  ["Ed448", { "Cryptographic Algorithm": 0x38 }, {}],
  ["ML-DSA-44", { "Cryptographic Algorithm": 0x3c }, {}],
  ["ML-DSA-65", { "Cryptographic Algorithm": 0x3d }, {}],
  ["ML-DSA-87", { "Cryptographic Algorithm": 0x3e }, {}],
  ["SLH-DSA-SHA2-128f", { "Cryptographic Algorithm": 0x40 }, {}],
];

for (const [name, common, parameters] of pairs) {
  test(`a pair of ${name} signs, verifies, and is known to OpenSSL`, async () => {
    const latest = await site.connect("O=bank, CN=app", { version: 21 });
    const pair = await createPair(latest, common, [usage.sign, usage.verify], { version: 21 });
    const given = Object.keys(parameters).length === 0 ? [] : [part.parameters(parameters)];
    const signature = bytesOf(
      await app.call(operation.sign, part.id(pair.privateKey), ...given, part.data(text)),
      tag.SignatureData,
    );
    const verdict = async (data: Buffer) =>
      numberOf(
        await app.call(
          operation.signatureVerify,
          part.id(pair.publicKey),
          ...given,
          part.data(data),
          item.bytes(tag.SignatureData, signature),
        ),
        tag.ValidityIndicator,
      );
    assert.deepEqual([await verdict(text), await verdict(text.subarray(1))], [1, 2]);
    const spki = await latest.call(
      operation.get,
      part.id(pair.publicKey),
      item.enumeration(tag.KeyFormatType, format.x509),
    );
    const key = createPublicKey({ key: bytesOf(spki, tag.KeyMaterial), format: "der", type: "spki" });
    if (given.length === 0) assert.ok(verify(null, text, key, signature));
    const ids = [pair.privateKey, pair.publicKey];
    const links = await Promise.all(
      ids.map(async (id) => (await app.attributes(id, "Link")).Link as { linkedObjectIdentifier: string }),
    );
    assert.deepEqual(
      links.map(({ linkedObjectIdentifier }) => linkedObjectIdentifier),
      ids.toReversed(),
    );
  });
}

test("what is asked to be Quantum Safe is so, or is refused", async () => {
  const latest = await site.connect("O=bank, CN=app", { version: 21 });
  const masks = [usage.sign, usage.verify] as const;
  const pair = (kind: Readonly<Record<string, Json>>) =>
    createPair(latest, { ...kind, "Quantum Safe": true }, masks, { version: 21 });
  await fails(pair({ "Cryptographic Algorithm": 6, "Cryptographic Length": 256 }), 0x100, /not Quantum Safe/);
  await pair({ "Cryptographic Algorithm": 0x3c });
});

test("what is derived or made anew is Quantum Safe if that is asked for, or is refused", async () => {
  const latest = await site.connect("O=bank, CN=app", { version: 21 });
  const safe = item.structure(tag.Attributes, item.boolean(tag.QuantumSafe, true));
  const derive = (base: string, bits: number) =>
    latest.call(
      operation.deriveKey,
      item.enumeration(tag.ObjectType, 2),
      part.id(base),
      item.enumeration(tag.DerivationMethod, 2),
      item.structure(tag.DerivationParameters, part.parameters({ hashingAlgorithm: 6 })),
      listOf(
        tag.Attributes,
        { "Cryptographic Algorithm": 3, "Cryptographic Length": bits, ...active(all), "Quantum Safe": true },
        21,
      ),
    );
  const base = await aes(usage.deriveKey);
  await fails(derive(base, 128), 0x100, /not Quantum Safe/);
  await derive(base, 256);
  const reKey = 0x04;
  await fails(latest.call(reKey, part.id(await aes(all, {}, 128)), safe), 0x100, /not Quantum Safe/);
  await latest.call(reKey, part.id(await aes()), safe);
  const pair = await createPair(app, { "Cryptographic Algorithm": 6, "Cryptographic Length": 256 }, [1, 2]);
  const name = item.text(tag.PrivateKeyUniqueIdentifier, pair.privateKey);
  const common = { ...safe, tag: tag.CommonAttributes } as Item;
  await fails(latest.call(0x1d, name, common), 0x100, /not Quantum Safe/);
});

for (const [name, kind] of [
  ["ML-KEM-512", 0x39],
  ["ML-KEM-768", 0x3a],
  ["ML-KEM-1024", 0x3b],
] as const) {
  test(`a pair of ${name} is made and given as OpenSSL knows it`, async () => {
    const latest = await site.connect("O=bank, CN=app", { version: 21 });
    const common = { "Cryptographic Algorithm": kind };
    const pair = await createPair(latest, common, [usage.decrypt, usage.encrypt], { version: 21 });
    const spki = await app.call(
      operation.get,
      part.id(pair.publicKey),
      item.enumeration(tag.KeyFormatType, format.x509),
    );
    const key = createPublicKey({ key: bytesOf(spki, tag.KeyMaterial), format: "der", type: "spki" });
    assert.equal(key.asymmetricKeyType, name.toLowerCase());
  });
}

test("a digest is signed as its data are", async () => {
  const digested = await app.call(operation.hash, part.parameters({ hashingAlgorithm: 6 }), part.data(text));
  const digest = item.bytes(tag.DigestedData, bytesOf(digested, tag.Data));
  for (const [common, parameters] of [
    [{ "Cryptographic Algorithm": 6, "Cryptographic Length": 256 }, { hashingAlgorithm: 6 }],
    [{ "Cryptographic Algorithm": 4, "Cryptographic Length": 2048 }, { digitalSignatureAlgorithm: 5 }],
    [
      { "Cryptographic Algorithm": 4, "Cryptographic Length": 2048 },
      { paddingMethod: paddingMethod.pss, hashingAlgorithm: 6 },
    ],
  ] as const) {
    const pair = await createPair(app, common, [usage.sign, usage.verify]);
    const given = part.parameters(parameters);
    for (const one of [digest, part.data(text)]) {
      const signed = await app.call(operation.sign, part.id(pair.privateKey), given, one);
      const signature = item.bytes(tag.SignatureData, bytesOf(signed, tag.SignatureData));
      for (const back of [digest, part.data(text)]) {
        const verdict = await app.call(operation.signatureVerify, part.id(pair.publicKey), given, back, signature);
        assert.equal(numberOf(verdict, tag.ValidityIndicator), 1);
      }
    }
  }
});

test("RSA-OAEP decrypts what OpenSSL encrypted; wrong data have one answer", async () => {
  const parameters = { paddingMethod: paddingMethod.oaep, hashingAlgorithm: 6 };
  const pair = await createPair(app, { "Cryptographic Algorithm": 4, "Cryptographic Length": 2048 }, [
    usage.decrypt,
    usage.encrypt,
  ]);
  const pkcs1 = bytesOf(await app.call(operation.get, part.id(pair.publicKey)), tag.KeyMaterial);
  const key = createPublicKey({ key: pkcs1, format: "der", type: "pkcs1" });
  const encrypted = publicEncrypt({ key, oaepHash: "sha256" }, text);
  const decrypt = (data: Buffer) =>
    app.call(operation.decrypt, part.id(pair.privateKey), part.parameters(parameters), part.data(data));
  assert.deepEqual(bytesOf(await decrypt(encrypted), tag.Data), text);
  const words = new Set<string>();
  for (const wrong of [
    Buffer.alloc(256, 1),
    Buffer.alloc(255),
    Buffer.alloc(256, 0xff),
    encrypted.map((byte, at) => (at === 9 ? byte ^ 1 : byte)),
  ]) {
    await decrypt(Buffer.from(wrong)).catch((error: Error) => words.add(error.message));
  }
  assert.equal(words.size, 1);
});

const kek = Buffer.alloc(32, 7);
const wrapModes = [
  ["NIST key wrap", { blockCipherMode: mode.nistKeyWrap }],
  ["AES key wrap with padding", { blockCipherMode: mode.aesKeyWrapPadding }],
] as const;
for (const [name, cryptographicParameters] of wrapModes) {
  for (const encodingOption of [1, 2]) {
    test(`a key leaves wrapped by ${name}, encoding option ${encodingOption}, comes back so, and works`, async () => {
      const wrapper = await registerKey(app, 2, block(1, kek, 3, 256), active(all));
      const key = await aes(all, { Sensitive: true, "Cryptographic Parameters": { blockCipherMode: mode.ecb } });
      const encryptionKey = { uniqueIdentifier: wrapper, cryptographicParameters };
      const wrapping = part.wrapping({ wrappingMethod: 1, encryptionKey, attributeNames: [], encodingOption });
      const answer = await app.call(operation.get, part.id(key), wrapping);
      const keyBlock = findItem(answer, tag.KeyBlock);
      assert.ok(keyBlock !== undefined && findItem(keyBlock, tag.KeyMaterial) === undefined);
      const again = await registerKey(
        app,
        2,
        keyBlock,
        active(all, { "Cryptographic Parameters": { blockCipherMode: mode.ecb } }),
      );
      const data = part.data(Buffer.alloc(32, 5));
      const results = await Promise.all(
        [key, again].map(async (id) => bytesOf(await app.call(operation.encrypt, part.id(id), data), tag.Data)),
      );
      assert.deepEqual(results[0], results[1]);
      const asRegistered = await app.call(operation.get, part.id(again));
      assert.deepEqual(bytesOf(asRegistered, tag.KeyValue), bytesOf(answer, tag.KeyValue));
      const opened = await app.call(operation.get, part.id(again), item.enumeration(tag.KeyWrapType, 1));
      assert.equal(bytesOf(opened, tag.KeyMaterial).length, 32);
    });
  }
}

/** RFC 3394, 4.1, as the OASIS case TC-WRAP-1-14 registers it: a Key Value structure whose Key Material alone is wrapped. */
async function wrappedInStructure(encodingOption: number, ...more: readonly Item[]): Promise<Item> {
  const wrapper = await registerKey(
    app,
    2,
    block(1, Buffer.from("000102030405060708090a0b0c0d0e0f", "hex"), 3, 128),
    active(all),
  );
  const material = Buffer.from("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5", "hex");
  const cryptographicParameters = { blockCipherMode: mode.nistKeyWrap };
  const encryptionKey = { uniqueIdentifier: wrapper, cryptographicParameters };
  return item.structure(
    tag.KeyBlock,
    item.enumeration(tag.KeyFormatType, format.raw),
    item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, material), ...more),
    item.enumeration(tag.CryptographicAlgorithm, algorithm.aes),
    item.integer(tag.CryptographicLength, 128),
    keyWrappingData.write(tag.KeyWrappingData, { wrappingMethod: 1, encryptionKey, encodingOption }, 14),
  );
}

test("a wrapped key that came in a Key Value structure is given so again, and unwrapped", async () => {
  const came = await wrappedInStructure(1);
  const key = await registerKey(app, 2, came, active(all));
  const asRegistered = await app.call(operation.get, part.id(key));
  assert.deepEqual(findItem(asRegistered, tag.KeyBlock), came);
  const opened = await app.call(operation.get, part.id(key), item.enumeration(tag.KeyWrapType, 1));
  assert.equal(bytesOf(opened, tag.KeyMaterial).toString("hex"), "00112233445566778899aabbccddeeff");
});

test("a Key Value structure is no wrapped key in TTLV Encoding, nor has it attributes beside wrapped Key Material", async () => {
  const ttlv = await wrappedInStructure(2);
  await fails(registerKey(app, 2, ttlv, active(all)), reason.message, /KeyValue has the wrong type/);
  const attributed = await wrappedInStructure(1, attributeItem("x-team", { type: 7, value: "db" }));
  await fails(registerKey(app, 2, attributed, active(all)), reason.encodingOption, /TTLV Encoding only/);
});

test("what a client leaves out of algorithm and length is read from the key; what is no key is kept all the same", async () => {
  const own = generateKeyPairSync("ec", { namedCurve: "secp384r1" });
  const pkcs8 = own.privateKey.export({ format: "der", type: "pkcs8" });
  const key = await registerKey(app, 4, block(format.pkcs8, pkcs8), active(usage.sign));
  const facts = await app.attributes(key, "Cryptographic Algorithm", "Cryptographic Length");
  assert.deepEqual(facts, { "Cryptographic Algorithm": algorithm.ecdsa, "Cryptographic Length": 384 });
  const other = await registerKey(app, 4, block(format.pkcs8, Buffer.from("no key")), active(usage.sign));
  assert.deepEqual(await app.get(other), Buffer.from("no key"));
  await fails(
    app.call(operation.sign, part.id(other), part.parameters({ hashingAlgorithm: 6 }), part.data(text)),
    reason.crypto,
  );
});

test("transparent numbers are taken, worked with, and given as numbers or as DER", async () => {
  const own = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { n = "", e = "", d = "" } = own.privateKey.export({ format: "jwk" }) as Record<string, string>;
  const big = (number: number, value: string): Item => {
    return { tag: number, type: 4, value: BigInt(`0x${Buffer.from(value, "base64url").toString("hex")}`) };
  };
  const numbers = [big(tag.Modulus, n), big(tag.PrivateExponent, d), big(tag.PublicExponent, e)];
  const key = await registerKey(
    app,
    4,
    block(10, item.structure(tag.KeyMaterial, ...numbers), 4, 2048),
    active(usage.sign),
  );
  const parameters = { digitalSignatureAlgorithm: 5 };
  const signed = await app.call(operation.sign, part.id(key), part.parameters(parameters), part.data(text));
  assert.ok(verify("sha256", text, own.publicKey, bytesOf(signed, tag.SignatureData)));
  const given = await app.call(operation.get, part.id(key));
  assert.equal(findItem(given, tag.PrivateExponent)?.value, numbers[1]?.value);
  assert.ok(findItem(given, tag.CRTCoefficient) !== undefined);
  const der = await app.call(operation.get, part.id(key), item.enumeration(tag.KeyFormatType, format.pkcs8));
  const wanted = own.privateKey.export({ format: "der", type: "pkcs8" });
  assert.deepEqual(bytesOf(der, tag.KeyMaterial), wanted);
  await fails(
    app.call(operation.get, part.id(key), item.enumeration(tag.KeyFormatType, format.ecPrivateKey)),
    reason.format,
  );
});

test("the Digest of a transparent key is that of its Key Material structure in TTLV, as Get gives it (3.17)", async () => {
  const own = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { n = "", e = "" } = own.publicKey.export({ format: "jwk" }) as Record<string, string>;
  const big = (number: number, value: string): Item => {
    return { tag: number, type: 4, value: BigInt(`0x${Buffer.from(value, "base64url").toString("hex")}`) };
  };
  const rsa = item.structure(tag.KeyMaterial, big(tag.Modulus, n), big(tag.PublicExponent, e));
  const aes = (bytes: Buffer) => item.structure(tag.KeyMaterial, item.bytes(tag.Key, bytes));
  const keys: readonly (readonly [number, Item, number, number, number])[] = [
    [3, rsa, format.transparentRsaPublicKey, algorithm.rsa, 2048],
    [2, aes(Buffer.alloc(32, 7)), format.transparentSymmetricKey, algorithm.aes, 256],
  ];
  for (const [type, material, keyFormat, keyAlgorithm, bits] of keys) {
    const key = await registerKey(app, type, block(keyFormat, material, keyAlgorithm, bits), active(usage.encrypt));
    const given = findItem(await app.call(operation.get, part.id(key)), tag.KeyMaterial) as Item;
    const digest = (await app.attributes(key, "Digest")).Digest as Record<string, Json>;
    assert.deepEqual(digest, {
      hashingAlgorithm: 6,
      digestValue: createHash("sha256").update(encode(given)).digest("hex"),
      keyFormatType: keyFormat,
    });
    assert.deepEqual(given, material);
  }
});

test("RSA-OAEP wraps a key for its owner alone", async () => {
  const own = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const spki = own.publicKey.export({ format: "der", type: "spki" });
  const wrapper = await registerKey(app, 3, block(format.x509, spki, 4, 2048), active(usage.wrapKey));
  const cryptographicParameters = { paddingMethod: paddingMethod.oaep, hashingAlgorithm: 6 };
  const encryptionKey = { uniqueIdentifier: wrapper, cryptographicParameters };
  const wrapping = part.wrapping({ wrappingMethod: 1, encryptionKey, attributeNames: [], encodingOption: 1 });
  const answer = await app.call(operation.get, part.id(await aes()), wrapping);
  const { privateDecrypt } = await import("node:crypto");
  assert.equal(privateDecrypt({ key: own.privateKey, oaepHash: "sha256" }, bytesOf(answer, tag.KeyValue)).length, 32);
});

test("wrapping is refused with a key that may not wrap, that is another's, or by a cipher that guards nothing", async () => {
  const key = await aes();
  const by = (uniqueIdentifier: string, cryptographicParameters: Readonly<Record<string, number>> = {}) =>
    app.call(
      operation.get,
      part.id(key),
      part.wrapping({
        wrappingMethod: 1,
        encryptionKey: { uniqueIdentifier, cryptographicParameters },
        attributeNames: [],
      }),
    );
  await fails(by(await aes(usage.encrypt)), reason.denied, /Usage Mask/);
  await fails(by(await other.create(active(all))), reason.notFound);
  await fails(by(await aes(), { blockCipherMode: mode.ecb }), reason.feature);
  await fails(by("00000000-0000-4000-8000-000000000000"), reason.notFound);
  const both = part.wrapping({
    wrappingMethod: 1,
    encryptionKey: { uniqueIdentifier: await aes() },
    attributeNames: ["State"],
    encodingOption: 1,
  });
  await fails(app.call(operation.get, part.id(key), both), 0x12);
});

test("3DES is off, and works where the fleet's owner has switched it on", async (context) => {
  const wanted = { "Cryptographic Algorithm": 2, "Cryptographic Length": 168, ...active(all) };
  await fails(app.create(wanted), reason.field);
  const bytes = Buffer.from("0123456789abcdef23456789abcdef01456789abcdef0123", "hex");
  const registered = await registerKey(app, 2, block(1, bytes, 2, 168), active(all));
  const encrypt = (client: KmipClient, id: string) =>
    client.call(
      operation.encrypt,
      part.id(id),
      part.parameters({ blockCipherMode: mode.ecb }),
      part.data(Buffer.alloc(8)),
    );
  await fails(encrypt(app, registered), reason.feature, /3DES is switched off/);
  const old = await kmipSite({ cryptography: { legacyCiphers: true } });
  context.after(() => old.close());
  const client = await old.connect("O=bank, CN=old", { version: 12 });
  const id = await client.create(wanted);
  assert.equal(
    (await client.get(id)).every((byte) => (byte.toString(2).match(/1/g)?.length ?? 0) % 2 === 1),
    true,
    "odd parity",
  );
  await encrypt(client, id);
});

test("IDEA keys are made, not used, where the fleet's owner allows old ciphers [PyKMIP]", async (context) => {
  const wanted = { "Cryptographic Algorithm": 0x13, "Cryptographic Length": 128 };
  await fails(app.create(wanted), reason.field);
  const old = await kmipSite({ cryptography: { legacyCiphers: true } });
  context.after(() => old.close());
  const client = await old.connect("O=bank, CN=old", { version: 12 });
  const id = await client.create(wanted);
  assert.equal((await client.get(id)).length, 16);
  await client.activate(id);
  await fails(
    client.call(operation.encrypt, part.id(id), part.data(Buffer.alloc(8))),
    reason.denied,
    /does not encrypt data/,
  );
  await fails(client.create({ ...wanted, "Cryptographic Length": 256 }), reason.field, /IDEA keys have 128 bits/);
});
