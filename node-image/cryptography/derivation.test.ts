import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  getDiffieHellman,
  hkdfSync,
  pbkdf2Sync,
} from "node:crypto";
import { test } from "node:test";
import { cryptographicAlgorithm as algorithm, keyFormatType as format } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { allocatedBy } from "../testing/allocated.ts";
import { toNumber, unsigned } from "./bytes.ts";
import * as derive from "./derivation.ts";
import type { CryptographicParameters } from "./parameters.ts";
import { transparentToDer } from "./transparent.ts";

const keyHex = "000102030405060708090a0b0c0d0e0f";
const key = createSecretKey(Buffer.from(keyHex, "hex"));
const [label, context] = [Buffer.from("label"), Buffer.from("context")];
const fixed = Buffer.concat([label, Buffer.alloc(1), context]);
const empty = Buffer.alloc(0);
const base: derive.Derivation = {
  algorithm: algorithm.hmacSha256,
  key,
  parameters: {},
  data: fixed,
  iv: empty,
  salt: empty,
  iterations: 0,
  length: 40,
};

/** The derivation of the openssl command, without the length at the end that KMIP does not have. */
function openssl(...options: string[]): string {
  const all = [
    ...options,
    `hexkey:${keyHex}`,
    `hexsalt:${label.toString("hex")}`,
    `hexinfo:${context.toString("hex")}`,
    "use-l:0",
  ];
  const given = all.flatMap((option) => ["-kdfopt", option]);
  return execFileSync("openssl", ["kdf", "-keylen", "40", ...given, "KBKDF"], { encoding: "utf8" })
    .replaceAll(/[:\s]/g, "")
    .toLowerCase();
}

const seed = "ab".repeat(32);
const kdfs: readonly (readonly [string, () => Buffer, readonly string[]])[] = [
  [
    "counter mode with HMAC",
    () => derive.sp800108Bytes("counter", base),
    ["mac:HMAC", "digest:SHA256", "mode:COUNTER"],
  ],
  [
    "counter mode with HMAC by the parameters",
    () => derive.sp800108Bytes("counter", { ...base, algorithm: algorithm.aes, parameters: { hashingAlgorithm: 7 } }),
    ["mac:HMAC", "digest:SHA384", "mode:COUNTER"],
  ],
  [
    "counter mode with CMAC",
    () => derive.sp800108Bytes("counter", { ...base, algorithm: algorithm.aes }),
    ["mac:CMAC", "cipher:AES-128-CBC", "mode:COUNTER"],
  ],
  [
    "feedback mode with HMAC",
    () => derive.sp800108Bytes("feedback", { ...base, iv: Buffer.from(seed, "hex") }),
    ["mac:HMAC", "digest:SHA256", "mode:FEEDBACK", `hexseed:${seed}`],
  ],
];
for (const [name, ours, options] of kdfs) {
  test(`SP 800-108 ${name} is that of the openssl command`, () =>
    assert.equal(ours().toString("hex"), openssl(...options)));
}

test("SP 800-108 double-pipeline mode follows its definition (5.3)", () => {
  const hmac = (...parts: Buffer[]) => createHmac("sha256", key).update(Buffer.concat(parts)).digest();
  const a1 = hmac(fixed);
  const a2 = hmac(a1);
  const wanted = Buffer.concat([
    hmac(a1, Buffer.from([0, 0, 0, 1]), fixed),
    hmac(a2, Buffer.from([0, 0, 0, 2]), fixed),
  ]);
  assert.deepEqual(derive.sp800108Bytes("doublePipeline", base), wanted.subarray(0, 40));
});

test("of what is derived in feedback mode, whose blocks are the key itself, nothing is left but the result", () => {
  const request = { ...base, iv: Buffer.from(seed, "hex") };
  const blocks = derive.sp800108Bytes("feedback", request);
  const kept = allocatedBy(() => derive.sp800108Bytes("feedback", request));
  assert.equal(kept.filter((each) => each.includes(blocks.subarray(0, 16))).length, 1);
});

test("two X25519 pairs agree; the wrong kinds of keys do not", () => {
  const [one, other] = [generateKeyPairSync("x25519"), generateKeyPairSync("x25519")];
  assert.deepEqual(
    derive.agreedBytes(one.privateKey, other.publicKey, 32),
    derive.agreedBytes(other.privateKey, one.publicKey, 32),
  );
  const curve = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  for (const attempt of [
    () => derive.agreedBytes(one.privateKey, curve.publicKey, 32),
    () => derive.agreedBytes(one.publicKey, other.publicKey, 32),
    () => derive.agreedBytes(one.privateKey, other.publicKey, 33),
  ]) {
    assert.throws(attempt, Refusal);
  }
});

test("HKDF gives at most 255 blocks, PBKDF2 works for a bounded time", async () => {
  await assert.rejects(derive.hkdfBytes({ ...base, length: 255 * 32 + 1 }), Refusal);
  assert.equal((await derive.hkdfBytes({ ...base, length: 255 * 32 })).length, 255 * 32);
  await assert.rejects(derive.pbkdf2Bytes({ ...base, iterations: derive.pbkdf2MaxWork, length: 64 }), Refusal);
  await assert.rejects(derive.pbkdf2Bytes({ ...base, iterations: 0 }), Refusal);
});

test("SP 800-108 looks at a long derivation data a few times only: everybody waits for it", () => {
  const wanted = { ...base, data: Buffer.alloc(1_000_000), length: derive.derivedMaxBytes };
  for (const mode of ["counter", "feedback", "doublePipeline"] as const)
    assert.throws(() => derive.sp800108Bytes(mode, wanted), { code: "InvalidField", message: /67108864/ });
  assert.equal(derive.sp800108Bytes("counter", { ...wanted, length: 1_024 }).length, 1_024);
  assert.equal(derive.sp800108Bytes("counter", { ...wanted, data: fixed }).length, derive.derivedMaxBytes);
});

const sha3 = { cryptographicAlgorithm: algorithm.hmacSha3_256 };
const byHash = (hash: string) => ({
  pbkdf2: pbkdf2Sync(key.export(), "salt", 2, 40, hash).toString("hex"),
  hkdf: Buffer.from(hkdfSync(hash, key, "salt", fixed, 40)).toString("hex"),
});
const salted = { ...base, salt: Buffer.from("salt"), iterations: 2 };
const named: readonly (readonly [string, string, CryptographicParameters])[] = [
  ["SHA3-256 by the name of its HMAC", "sha3-256", sha3],
  ["SHA-512 by the name of its HMAC", "sha512", { cryptographicAlgorithm: algorithm.hmacSha512 }],
  ["SHA-384 by its own name", "sha384", { hashingAlgorithm: 7 }],
];
for (const [what, hash, parameters] of named) {
  test(`PBKDF2 and HKDF take ${what}`, async () => {
    const request = { ...salted, parameters };
    assert.equal((await derive.pbkdf2Bytes(request)).toString("hex"), byHash(hash).pbkdf2);
    assert.equal((await derive.hkdfBytes(request)).toString("hex"), byHash(hash).hkdf);
  });
}

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const refused: readonly (readonly [string, Partial<derive.Derivation>])[] = [
  ["two hashes at once", { algorithm: algorithm.aes, parameters: { ...sha3, hashingAlgorithm: 6 } }],
  ["a private key as the secret", { algorithm: algorithm.ec, key: privateKey, parameters: { hashingAlgorithm: 6 } }],
];
for (const [what, of] of refused) {
  test(`no derivation that takes a secret key and a hash takes ${what}`, async () => {
    const request = { ...salted, ...of };
    for (const attempt of [derive.pbkdf2Bytes, derive.hkdfBytes])
      await assert.rejects(async () => attempt(request), Refusal);
    for (const attempt of [
      () => derive.hmacBytes({ ...request, length: 8 }),
      () => derive.sp800108Bytes("counter", request),
    ])
      assert.throws(attempt, Refusal);
  });
}

test("an HMAC key derives by its own hash, and by no other", () => {
  for (const parameters of [{ hashingAlgorithm: 8 }, { cryptographicAlgorithm: algorithm.hmacSha512 }])
    assert.throws(() => derive.hmacBytes({ ...base, parameters, length: 8 }), Refusal);
  assert.throws(() => derive.sp800108Bytes("counter", { ...base, parameters: { hashingAlgorithm: 8 } }), Refusal);
});

test("HKDF says how much Derivation Data it takes", async () => {
  await assert.rejects(derive.hkdfBytes({ ...base, data: Buffer.alloc(1_025) }), {
    code: "InvalidField",
    message: /1024/,
  });
  assert.equal((await derive.hkdfBytes({ ...base, data: Buffer.alloc(1_024) })).length, 40);
});

/** SubjectPublicKeyInfo of a point on X25519 (RFC 8410). */
const x25519 = (point: Buffer) =>
  createPublicKey({
    key: Buffer.concat([Buffer.from("302a300506032b656e032100", "hex"), point]),
    format: "der",
    type: "spki",
  });
for (const [what, point] of [
  ["zero", "00".repeat(32)],
  ["one", `01${"00".repeat(31)}`],
  ["a point of order eight", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"],
] as const) {
  test(`X25519 agrees on nothing with ${what}, by which everybody would know the secret (RFC 7748, 6.1)`, () => {
    const own = generateKeyPairSync("x25519");
    assert.throws(() => derive.agreedBytes(own.privateKey, x25519(Buffer.from(point, "hex")), 32), Refusal);
  });
}

const prime = getDiffieHellman("modp14").getPrime();
const group = { p: prime, g: Buffer.from([2]) };
const exponent = createPrivateKey({
  key: transparentToDer(format.transparentDhPrivateKey, { ...group, x: Buffer.from([3]) }),
  format: "der",
  type: "pkcs8",
});
const power = (y: Buffer) =>
  createPublicKey({
    key: transparentToDer(format.transparentDhPublicKey, { ...group, y }),
    format: "der",
    type: "spki",
  });

test("DH agrees on a secret as long as the prime, with the zeros that it begins with (SP 800-56A, 5.7.1.1)", () => {
  const secret = Buffer.alloc(256);
  secret[255] = 8;
  assert.deepEqual(derive.agreedBytes(exponent, power(Buffer.from([2])), 256), secret);
});

for (const [what, y] of [
  ["1", Buffer.from([1])],
  ["the prime less 1", unsigned(toNumber(prime) - 1n)],
  ["the prime", prime],
] as const) {
  test(`DH agrees on nothing with ${what} (SP 800-56A, 5.6.2.3)`, () => {
    assert.throws(() => derive.agreedBytes(exponent, power(y), 256), Refusal);
  });
}
