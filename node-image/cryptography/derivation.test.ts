import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac, createSecretKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { cryptographicAlgorithm as algorithm } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import * as derive from "./derivation.ts";

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
