import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createSecretKey } from "node:crypto";
import { test } from "node:test";
import { cryptographicAlgorithm as algorithm, blockCipherMode as mode } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { hashStream } from "./hash.ts";
import { type MacRequest, startMac } from "./mac.ts";
import type { CryptographicParameters } from "./parameters.ts";
import { randomSource } from "./random.ts";

const hex = (text: string) => Buffer.from(text, "hex");
const key = (text: string) => createSecretKey(hex(text));

function mac(request: MacRequest, data: Buffer, partBytes = 1024): string {
  const stream = startMac(request);
  for (let at = 0; at < data.length; at += partBytes) stream.update(data.subarray(at, at + partBytes));
  return stream.final().toString("hex");
}

const message =
  "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
const cmac128 = { algorithm: algorithm.aes, key: key("2b7e151628aed2a6abf7158809cf4f3c"), parameters: {} };

const cmacs = [
  [0, "bb1d6929e95937287fa37d129b756746"],
  [16, "070a16b46b4d4144f79bdd9dd04a287c"],
  [40, "dfa66747de9ae63030ca32611497c827"],
  [64, "51f0bebf7e3b9d92fc49741779363cfe"],
] as const;

for (const [bytes, code] of cmacs) {
  for (const partBytes of [1, 15, 16, 17, 64]) {
    test(`AES-CMAC of ${bytes} bytes in parts of ${partBytes} (RFC 4493, 4)`, () => {
      assert.equal(mac(cmac128, hex(message).subarray(0, bytes), partBytes), code);
    });
  }
}

for (const [name, kind, keyHex] of [
  ["DES-EDE3-CBC", algorithm.tripleDes, "0123456789abcdef23456789abcdef01456789abcdef0123"],
  ["AES-256-CBC", algorithm.aes, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"],
] as const) {
  for (const bytes of [0, 7, 8, 20, 64]) {
    test(`CMAC over ${name} of ${bytes} bytes is that of the openssl command`, () => {
      const data = hex(message).subarray(0, bytes);
      const options = ["mac", "-cipher", name, "-macopt", `hexkey:${keyHex}`, "-in", "-", "CMAC"];
      const wanted = execFileSync("openssl", options, { input: data, encoding: "utf8" }).trim().toLowerCase();
      assert.equal(mac({ algorithm: kind, key: key(keyHex), parameters: {} }, data), wanted);
    });
  }
}

const rfc4231 = { key: key("0b".repeat(20)), data: Buffer.from("Hi There") };
const hmacs = [
  ["HMAC-SHA224", algorithm.hmacSha224, "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22"],
  ["HMAC-SHA256", algorithm.hmacSha256, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
  [
    "HMAC-SHA384",
    algorithm.hmacSha384,
    "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
  ],
] as const;
for (const [name, kind, code] of hmacs) {
  test(`${name} (RFC 4231, 4.2)`, () => {
    assert.equal(mac({ algorithm: kind, key: rfc4231.key, parameters: {} }, rfc4231.data, 3), code);
  });
  test(`${name} with an AES key, by the parameters`, () => {
    const request = { algorithm: algorithm.aes, key: rfc4231.key, parameters: { cryptographicAlgorithm: kind } };
    assert.equal(mac(request, rfc4231.data), code);
  });
}

test("GMAC is the tag of GCM without plaintext (GCM specification, case 1)", () => {
  const parameters = { blockCipherMode: mode.gcm };
  const request = { algorithm: algorithm.aes, key: key("00".repeat(16)), parameters, iv: Buffer.alloc(12) };
  assert.equal(mac(request, Buffer.alloc(0)), "58e2fccefa7e3061367f1d57a4e7455a");
});

const refused: readonly (readonly [string, number, CryptographicParameters])[] = [
  ["a key that makes no codes", algorithm.rsa, {}],
  ["an HMAC by another hash than is named", algorithm.hmacSha256, { hashingAlgorithm: 8 }],
  ["CMAC where a hash is named", algorithm.aes, { hashingAlgorithm: 6 }],
  ["CMAC with the key of an HMAC", algorithm.hmacSha256, { cryptographicAlgorithm: algorithm.aes }],
  ["CMAC of AES with a key of 3DES", algorithm.tripleDes, { cryptographicAlgorithm: algorithm.aes }],
];
for (const [what, kind, parameters] of refused) {
  test(`refused: ${what}`, () => {
    const request = { algorithm: kind, key: key("00".repeat(16)), parameters };
    assert.throws(() => startMac(request), Refusal);
  });
}

const digests = [
  [3, "900150983cd24fb0d6963f7d28e17f72"],
  [4, "a9993e364706816aba3e25717850c26c9cd0d89d"],
  [6, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  [9, "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"],
  [13, "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"],
  [15, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"],
] as const;
for (const [kind, digest] of digests) {
  test(`hash ${kind} of "abc"`, () => {
    const stream = hashStream(kind);
    for (const letter of "abc") stream.update(Buffer.from(letter));
    assert.equal(stream.final().toString("hex"), digest);
  });
}

test("a hash that nobody should use is refused", () => assert.throws(() => hashStream(1), Refusal));

test("a seed changes what comes, but without the system's generator's word nobody can tell what", () => {
  const still = () => randomSource((into) => into.fill(1));
  const [one, same, seeded] = [still(), still(), still()];
  seeded.seed(Buffer.from("seed"));
  const first = one.retrieve(40);
  assert.deepEqual(same.retrieve(40), first);
  assert.notDeepEqual(seeded.retrieve(40), first);
  assert.notDeepEqual(one.retrieve(40), first);
  const [real, other] = [randomSource(), randomSource()];
  for (const source of [real, other]) source.seed(Buffer.from("the same seed"));
  assert.notDeepEqual(real.retrieve(32), other.retrieve(32));
});
