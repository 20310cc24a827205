import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, generatePrimeSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import { cryptographicAlgorithm as algorithm, keyFormatType as format, objectType } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { allocatedBy } from "../testing/allocated.ts";
import { keyTypes } from "./algorithms.ts";
import { toNumber, unsigned } from "./bytes.ts";
import { curves } from "./curves.ts";
import { derBits, derChildren, readDer } from "./der.ts";
import { keyBytes } from "./key-format.ts";
import { keyObjectOf } from "./key-object.ts";
import { ImpossibleKey } from "./rsa-key.ts";
import { derToTransparent, type TransparentKey, transparentFormats, transparentToDer } from "./transparent.ts";
import { inverse } from "./weierstrass.ts";

/** node:crypto knows more types than its declarations. */
const generate = generateKeyPairSync as unknown as (
  type: string,
  options?: object,
) => { publicKey: KeyObject; privateKey: KeyObject };

interface Pair {
  readonly name: string;
  readonly algorithm: number;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly curve?: (typeof curves)[number];
  readonly formats: readonly number[];
}

const { raw, pkcs1, pkcs8, x509, ecPrivateKey } = format;
const transparent = (family: string) =>
  Object.entries(transparentFormats).flatMap(([value, row]) => (row.family === family ? [Number(value)] : []));

const pairs: readonly Pair[] = [
  {
    name: "RSA",
    algorithm: algorithm.rsa,
    ...generate("rsa", { modulusLength: 2048 }),
    formats: [pkcs1, pkcs8, x509, ...transparent("rsa")],
  },
  {
    name: "DSA",
    algorithm: algorithm.dsa,
    ...generate("dsa", { modulusLength: 2048, divisorLength: 256 }),
    formats: [pkcs8, x509, ...transparent("dsa")],
  },
  {
    name: "DH",
    algorithm: algorithm.dh,
    ...generate("dh", { group: "modp14" }),
    formats: [pkcs8, x509, ...transparent("dh")],
  },
  ...curves.map((curve) => ({
    name: curve.name,
    algorithm: algorithm.ec,
    ...(curve.weierstrass ? generate("ec", { namedCurve: curve.name }) : generate(curve.name)),
    curve,
    formats: [raw, pkcs8, x509, ...(curve.weierstrass ? [ecPrivateKey] : []), ...transparent("ec")],
  })),
  ...Object.entries(keyTypes)
    .filter(([, type]) => !/slh-dsa.*s$/.test(type))
    .map(([value, type]) => ({ name: type, algorithm: Number(value), ...generate(type), formats: [raw, pkcs8, x509] })),
];

for (const pair of pairs) {
  for (const wanted of pair.formats) {
    const row = transparentFormats[wanted];
    const onlyPrivate = wanted === pkcs8 || wanted === ecPrivateKey || row?.type === "private";
    const onlyPublic = wanted === x509 || row?.type === "public";
    for (const [type, key] of [
      ["private", pair.privateKey],
      ["public", pair.publicKey],
    ] as const) {
      if ((type === "private" && onlyPublic) || (type === "public" && onlyPrivate)) continue;
      test(`${pair.name}: a ${type} key goes to Key Format Type ${wanted} and back`, () => {
        const kept = keyBytes(key, wanted);
        const bytes = row === undefined ? kept : transparentToDer(wanted, derToTransparent(wanted, kept));
        const back = keyObjectOf({
          objectType: type === "private" ? objectType.privateKey : objectType.publicKey,
          material: { format: wanted, subtype: 0, algorithm: pair.algorithm, lengthBits: 0, bytes },
          algorithm: pair.algorithm,
          ...(pair.curve === undefined ? {} : { curve: pair.curve }),
        });
        const same = type === "public" ? back : createPublicKey(back);
        assert.ok(same.equals(pair.publicKey));
      });
    }
  }
}

const rsa = pairs[0] as Pair;
const numbers = derToTransparent(
  format.transparentRsaPrivateKey,
  keyBytes(rsa.privateKey, format.transparentRsaPrivateKey),
);
const given: readonly (readonly [string, readonly (keyof TransparentKey)[]])[] = [
  ["n, e and d", ["modulus", "publicExponent", "privateExponent"]],
  ["n, e and p", ["modulus", "publicExponent", "p"]],
  ["n, d and q", ["modulus", "privateExponent", "q"]],
];
for (const [what, names] of given) {
  test(`an RSA key is made whole from ${what}`, () => {
    const some = Object.fromEntries(names.map((name) => [name, numbers[name]])) as TransparentKey;
    const bytes = transparentToDer(format.transparentRsaPrivateKey, some);
    assert.deepEqual(derToTransparent(format.transparentRsaPrivateKey, bytes), numbers);
  });
}

/** A private exponent is one for the product of p - 1 and q - 1 (RFC 2313), or for their least common multiple (RFC 8017). */
const orders = {
  product: (p: bigint, q: bigint) => (p - 1n) * (q - 1n),
  "least common multiple": (p: bigint, q: bigint) => ((p - 1n) * (q - 1n)) / greatestCommonDivisor(p - 1n, q - 1n),
};
/** The last is as long as FIPS 186-5 allows; all are primes. */
const exponents = [3n, 65_537n, 2n ** 255n - 19n];
for (const [of, order] of Object.entries(orders)) {
  for (const exponent of exponents) {
    test(`an RSA key is made whole from n, the exponent ${exponent} and its inverse by the ${of}`, () => {
      const publicExponent = exponent === 3n ? 3 : 65_537;
      const { privateKey } = generate("rsa", { modulusLength: 2048, publicExponent });
      const made = derToTransparent(
        format.transparentRsaPrivateKey,
        keyBytes(privateKey, format.transparentRsaPrivateKey),
      );
      const [p, q] = [toNumber(made.p as Buffer), toNumber(made.q as Buffer)];
      const key = {
        modulus: made.modulus as Buffer,
        publicExponent: unsigned(exponent),
        privateExponent: unsigned(inverse(exponent, order(p, q))),
      };
      const bytes = transparentToDer(format.transparentRsaPrivateKey, key);
      const whole = derToTransparent(format.transparentRsaPrivateKey, bytes);
      assert.deepEqual({ ...whole, ...key, p: made.p, q: made.q }, whole);
    });
  }
}

function greatestCommonDivisor(one: bigint, other: bigint): bigint {
  return other === 0n ? one : greatestCommonDivisor(other, one % other);
}

const prime = generatePrimeSync(1024, { bigint: true });
const wrong: readonly (readonly [string, TransparentKey])[] = [
  ["too few numbers", { modulus: numbers.modulus as Buffer }],
  ["a factor that is none", { ...numbers, p: Buffer.from([3]), q: Buffer.from([5]) }],
  ["a modulus that is a prime", rsaOf(prime, prime - 1n)],
  ["a modulus that is the square of a prime", rsaOf(prime * prime, prime * (prime - 1n))],
  ["exponents of another key", { ...numbers, p: numbers.p as Buffer, privateExponent: Buffer.from([17]) }],
];
function rsaOf(modulus: bigint, order: bigint): TransparentKey {
  const privateExponent = unsigned(inverse(65_537n, order));
  return { modulus: unsigned(modulus), publicExponent: unsigned(65_537n), privateExponent };
}
for (const [what, key] of wrong) {
  test(`an RSA key of ${what} is refused`, () => {
    assert.throws(() => transparentToDer(format.transparentRsaPrivateKey, key), Refusal);
  });
}

test("a point is given compressed where that is asked for, and taken so", () => {
  const p256 = pairs.find(({ name }) => name === "prime256v1") as Pair;
  const compressed = keyBytes(p256.publicKey, raw, 2);
  assert.equal(compressed.length, 33);
  assert.equal(keyBytes(p256.publicKey, raw, 1).length, 65);
  const material = { format: raw, subtype: 0, algorithm: algorithm.ec, lengthBits: 256, bytes: compressed };
  assert.ok(
    keyObjectOf({ objectType: objectType.publicKey, material, algorithm: algorithm.ec }).equals(p256.publicKey),
  );
  assert.throws(() => keyBytes(rsa.publicKey, raw, 2), Refusal);
  assert.throws(() => keyBytes(p256.publicKey, x509, 2), Refusal);
});

test("bytes that are no key are refused without a word of them", () => {
  const secret = Buffer.from("these bytes must not be told");
  const material = { format: pkcs8, subtype: 0, algorithm: algorithm.rsa, lengthBits: 0, bytes: secret };
  assert.throws(
    () => keyObjectOf({ objectType: objectType.privateKey, material, algorithm: algorithm.rsa }),
    (error) => error instanceof Refusal && !error.message.includes("these bytes"),
  );
});

const numbersOf = (modulus: bigint, publicExponent = 65_537n): TransparentKey => ({
  modulus: unsigned(modulus),
  publicExponent: unsigned(publicExponent),
});
const odd = (bits: bigint) => 2n ** (bits - 1n) + 1n;
const impossible: readonly (readonly [what: string, key: TransparentKey, said: RegExp])[] = [
  ["an even modulus", numbersOf(2n ** 2047n), /modulus is even/],
  ["an even public exponent", numbersOf(odd(2048n), 65_536n), /exponent is even or 1/],
  ["a public exponent of 1", numbersOf(odd(2048n), 1n), /exponent is even or 1/],
  ["a public exponent that is the modulus", numbersOf(odd(1024n), odd(1024n)), /not smaller than its modulus/],
  ["a longer public exponent than modulus", numbersOf(odd(1024n), odd(1040n)), /not smaller than its modulus/],
  ["a modulus of 511 bits", numbersOf(odd(511n)), /511 bits/],
  ["a modulus of 16,385 bits", numbersOf(odd(16_385n)), /16385 bits/],
];
const stored = (type: number, wanted: number, bytes: Buffer) => ({
  objectType: type,
  material: { format: wanted, subtype: 0, algorithm: algorithm.rsa, lengthBits: 0, bytes },
  algorithm: algorithm.rsa,
});
const storedPublic = (wanted: number, bytes: Buffer) => stored(objectType.publicKey, wanted, bytes);
const storedPrivate = (bytes: Buffer) => stored(objectType.privateKey, pkcs8, bytes);
const spkiOf = (key: TransparentKey) => transparentToDer(format.transparentRsaPublicKey, key);

for (const [what, key, said] of impossible) {
  test(`an RSA key with ${what} is none, in PKCS#1, X.509 and transparent, and spoils no other's key`, () => {
    const spki = spkiOf(key);
    const bits = derBits(derChildren(readDer(spki))[1]);
    for (const each of [storedPublic(x509, spki), storedPublic(pkcs1, bits)])
      assert.throws(
        () => keyObjectOf(each),
        (error) => error instanceof ImpossibleKey && said.test(error.message),
      );
    const { privateKey } = rsa;
    assert.ok(keyObjectOf(storedPrivate(keyBytes(privateKey, pkcs8))).equals(privateKey));
  });
}

const long = unsigned(odd(16_384n));
const short = unsigned(odd(1024n));
const groupsOf: readonly (readonly [what: string, format: number, numbers: TransparentKey])[] = [
  ["DSA", format.transparentDsaPrivateKey, { p: long, q: short, g: short, x: Buffer.from([3]) }],
  ["DSA, in its private number alone", format.transparentDsaPrivateKey, { p: short, q: short, g: short, x: long }],
  ["Diffie-Hellman", format.transparentDhPrivateKey, { p: unsigned(odd(9_000n)), g: short, x: Buffer.from([3]) }],
  ["Diffie-Hellman, in its private number alone", format.transparentDhPrivateKey, { p: short, g: short, x: long }],
  ["Diffie-Hellman by X9.42", format.transparentDhPrivateKey, { p: short, g: short, q: short, x: long }],
];
for (const [what, wanted, key] of groupsOf) {
  test(`numbers so long that OpenSSL would reckon for weeks to read them are not read: ${what}`, () => {
    assert.throws(
      () => keyObjectOf(storedPrivate(transparentToDer(wanted, key))),
      (error) => error instanceof Refusal && /more than 8192 bits/.test(error.message),
    );
  });
}

const secrets: readonly (readonly [string, number, keyof TransparentKey])[] = [
  ["RSA", format.transparentRsaPrivateKey, "p"],
  ["DSA", format.transparentDsaPrivateKey, "x"],
  ["DH", format.transparentDhPrivateKey, "x"],
  ["prime256v1", format.transparentEcPrivateKey, "d"],
  ["x25519", format.transparentEcPrivateKey, "d"],
];
for (const [name, wanted, secret] of secrets) {
  test(`of the numbers of a private key that is read nothing is left but the key: ${name}`, () => {
    const { privateKey } = pairs.find((each) => each.name === name) as Pair;
    const key = derToTransparent(wanted, keyBytes(privateKey, wanted));
    const kept = allocatedBy(() => transparentToDer(wanted, key));
    assert.equal(kept.filter((each) => each.includes(key[secret] as Buffer)).length, 1);
  });
}

test("a private key with bytes after its end is none", () => {
  const bytes = Buffer.concat([keyBytes(rsa.privateKey, pkcs8), Buffer.from("more")]);
  assert.throws(() => keyObjectOf(storedPrivate(bytes)), Refusal);
});

test("a private RSA key with an even modulus is none", () => {
  const modulus = derToTransparent(format.transparentRsaPublicKey, keyBytes(rsa.publicKey, x509)).modulus as Buffer;
  const bytes = keyBytes(rsa.privateKey, pkcs8);
  bytes[bytes.indexOf(modulus) + modulus.length - 1] = (modulus.at(-1) ?? 0) & 0xfe;
  assert.throws(() => keyObjectOf(storedPrivate(bytes)), ImpossibleKey);
});

const possible: readonly (readonly [what: string, key: TransparentKey])[] = [
  ["the smallest modulus", numbersOf(odd(512n))],
  ["a public exponent of 3", numbersOf(odd(2048n), 3n)],
  ["a public exponent of 256 bits", numbersOf(odd(3072n), odd(256n))],
  ["the largest modulus that is used", numbersOf(odd(8192n))],
];
for (const [what, key] of possible) {
  test(`an RSA key with ${what} is read`, () => {
    assert.equal(keyObjectOf(storedPublic(x509, spkiOf(key))).asymmetricKeyType, "rsa");
  });
}

const unused: readonly (readonly [what: string, key: TransparentKey])[] = [
  ["a modulus of 8,200 bits", numbersOf(odd(8200n))],
  ["a public exponent of 65 bits beside a modulus of 4,096", numbersOf(odd(4096n), odd(65n))],
];
for (const [what, key] of unused) {
  test(`an RSA key with ${what} is one, and is not used`, () => {
    const use = () => keyObjectOf(storedPublic(x509, spkiOf(key)));
    assert.throws(use, (error) => error instanceof Refusal && !(error instanceof ImpossibleKey));
  });
}
