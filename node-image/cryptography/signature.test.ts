import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  cryptographicAlgorithm,
  digitalSignatureAlgorithm,
  keyFormatType,
  paddingMethod,
} from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { keyBytes } from "./key-format.ts";
import type { CryptographicParameters } from "./parameters.ts";
import { rsaDecrypt, rsaEncrypt } from "./rsa.ts";
import { signData, signDigested, startSign, startVerify, verifyData, verifyDigested } from "./signature.ts";
import { curveNumbers } from "./weierstrass.ts";

const folder = mkdtempSync(join(tmpdir(), "keyfleet-signatures-"));
after(() => rmSync(folder, { recursive: true }));

const data = Buffer.from("what is signed");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const onCurve = (namedCurve: string) => generateKeyPairSync("ec", { namedCurve });

const curves = [
  ["secp224r1", 5, "sha224"],
  ["prime256v1", 6, "sha256"],
  ["prime256v1", 8, "sha512"],
  ["secp384r1", 7, "sha384"],
  ["secp521r1", 8, "sha512"],
  ["secp521r1", 6, "sha256"],
  ["secp256k1", 6, "sha256"],
] as const;

for (const [curve, hashingAlgorithm, hash] of curves) {
  test(`ECDSA on ${curve} with ${hash}: digests are signed and verified as OpenSSL does it with data`, () => {
    const { privateKey, publicKey } = onCurve(curve);
    const digest = createHash(hash).update(data).digest();
    for (let round = 0; round < 5; round++) {
      const ours = signDigested(privateKey, digest, { hashingAlgorithm });
      assert.ok(verify(hash, data, publicKey, ours));
      const theirs = sign(hash, data, privateKey);
      assert.ok(verifyDigested(publicKey, { digest, signature: theirs }, { hashingAlgorithm }));
      theirs[theirs.length - 1] = (theirs.at(-1) ?? 0) ^ 1;
      assert.equal(verifyDigested(publicKey, { digest, signature: theirs }, { hashingAlgorithm }), false);
    }
    for (const forged of [
      Buffer.alloc(0),
      Buffer.from("3006020100020100", "hex"),
      Buffer.from("3006020101020101", "hex"),
    ]) {
      assert.equal(verifyDigested(publicKey, { digest, signature: forged }, { hashingAlgorithm }), false);
    }
  });
  test(`the numbers of ${curve} are those of OpenSSL (${hash}): n − 1 times G is G mirrored`, async () => {
    const { createECDH } = await import("node:crypto");
    const numbers = curveNumbers(curve);
    assert.ok(numbers !== undefined);
    const exchange = createECDH(curve);
    exchange.setPrivateKey(Buffer.from((numbers.n - 1n).toString(16).padStart(numbers.bytes * 2, "0"), "hex"));
    const point = exchange.getPublicKey("hex").slice(2);
    const [x, y] = [point.slice(0, numbers.bytes * 2), point.slice(numbers.bytes * 2)].map((part) =>
      BigInt(`0x${part}`),
    );
    assert.deepEqual([x, y], [numbers.g.x, numbers.p - numbers.g.y]);
    assert.throws(() =>
      exchange.setPrivateKey(Buffer.from(numbers.n.toString(16).padStart(numbers.bytes * 2, "0"), "hex")),
    );
  });
}

for (const [curve, hash] of [
  ["secp224r1", "sha256"],
  ["prime256v1", "sha256"],
  ["secp256k1", "sha256"],
  ["secp384r1", "sha384"],
  ["secp521r1", "sha512"],
] as const) {
  test(`ECDSA on ${curve}, named without a hash, is with ${hash}`, async () => {
    const { privateKey, publicKey } = onCurve(curve);
    const ours = await signData(privateKey, data, { cryptographicAlgorithm: cryptographicAlgorithm.ecdsa });
    assert.ok(verify(hash, data, publicKey, ours));
  });
}

const rsaSchemes: readonly (readonly [string, CryptographicParameters])[] = [
  ["PKCS#1 v1.5", { paddingMethod: paddingMethod.pkcs1, hashingAlgorithm: 6 }],
  ["PSS", { paddingMethod: paddingMethod.pss, hashingAlgorithm: 6 }],
  ["PSS with a salt of 20 bytes", { paddingMethod: paddingMethod.pss, hashingAlgorithm: 6, saltLength: 20 }],
  [
    "PSS with a mask of SHA-1",
    { paddingMethod: paddingMethod.pss, hashingAlgorithm: 7, maskGeneratorHashingAlgorithm: 4 },
  ],
];

for (const [name, parameters] of rsaSchemes) {
  test(`RSA ${name}: data and digest have signatures of each other`, async () => {
    const digest = createHash(parameters.hashingAlgorithm === 7 ? "sha384" : "sha256")
      .update(data)
      .digest();
    const stream = startSign(rsa.privateKey, parameters);
    stream.update(data);
    for (const signature of [await stream.final(), signDigested(rsa.privateKey, digest, parameters)]) {
      const verifying = startVerify(rsa.publicKey, parameters);
      verifying.update(data);
      assert.ok(verifying.final(signature));
      assert.ok(verifyDigested(rsa.publicKey, { digest, signature }, parameters));
      const bad = Buffer.from(signature.map((byte, at) => (at === 100 ? byte ^ 1 : byte)));
      assert.equal(verifyDigested(rsa.publicKey, { digest, signature: bad }, parameters), false);
      assert.equal(verifyDigested(rsa.publicKey, { digest, signature: signature.subarray(1) }, parameters), false);
    }
  });
}

/** Writes a key for the openssl command. */
function pemFile(name: string, key: KeyObject): string {
  const file = join(folder, name);
  const type = key.type === "private" ? "pkcs8" : "spki";
  writeFileSync(file, key.export({ format: "pem", type: type as "spki" }));
  return file;
}

const commands: readonly (readonly [string, CryptographicParameters, readonly string[]])[] = [
  [
    "PSS with another mask",
    { paddingMethod: paddingMethod.pss, hashingAlgorithm: 6, maskGeneratorHashingAlgorithm: 4, saltLength: 32 },
    ["rsa_padding_mode:pss", "rsa_mgf1_md:sha1", "digest:sha256", "rsa_pss_saltlen:32"],
  ],
  [
    "PKCS#1 v1.5",
    { paddingMethod: paddingMethod.pkcs1, hashingAlgorithm: 6 },
    ["rsa_padding_mode:pkcs1", "digest:sha256"],
  ],
];
for (const [name, parameters, options] of commands) {
  test(`the openssl command verifies a signature of a digest: ${name}`, () => {
    const digest = createHash("sha256").update(data).digest();
    const [signature, digestFile] = [join(folder, "signature"), join(folder, "digest")];
    writeFileSync(signature, signDigested(rsa.privateKey, digest, parameters));
    writeFileSync(digestFile, digest);
    const arguments_ = [
      "pkeyutl",
      "-verify",
      "-pubin",
      "-inkey",
      pemFile("public.pem", rsa.publicKey),
      "-in",
      digestFile,
      "-sigfile",
      signature,
    ];
    const answer = execFileSync("openssl", [...arguments_, ...options.flatMap((option) => ["-pkeyopt", option])], {
      encoding: "utf8",
    });
    assert.match(answer, /Verified Successfully/);
  });
}

test("OAEP with a mask of another hash and a label is that of the openssl command, both ways", () => {
  const parameters = {
    paddingMethod: paddingMethod.oaep,
    hashingAlgorithm: 7,
    maskGeneratorHashingAlgorithm: 6,
    pSource: "6c6162656c",
  };
  const options = ["rsa_padding_mode:oaep", "rsa_oaep_md:sha384", "rsa_mgf1_md:sha256", "rsa_oaep_label:6c6162656c"];
  const more = options.flatMap((option) => ["-pkeyopt", option]);
  const file = join(folder, "encrypted");
  writeFileSync(file, rsaEncrypt(rsa.publicKey, data, parameters));
  const decrypted = execFileSync("openssl", [
    "pkeyutl",
    "-decrypt",
    "-inkey",
    pemFile("private.pem", rsa.privateKey),
    "-in",
    file,
    ...more,
  ]);
  assert.deepEqual(decrypted, data);
  const encrypted = execFileSync(
    "openssl",
    ["pkeyutl", "-encrypt", "-pubin", "-inkey", pemFile("public.pem", rsa.publicKey), ...more],
    { input: data },
  );
  assert.deepEqual(rsaDecrypt(rsa.privateKey, encrypted, parameters), data);
  assert.throws(() => rsaDecrypt(rsa.privateKey, encrypted, { ...parameters, pSource: "" }), Refusal);
});

test("PKCS#1 v1.5 that is wrong decrypts to other bytes, not to an error: no oracle", () => {
  const parameters = { paddingMethod: paddingMethod.pkcs1 };
  const encrypted = rsaEncrypt(rsa.publicKey, data, parameters);
  assert.deepEqual(rsaDecrypt(rsa.privateKey, encrypted, parameters), data);
  const wrong = Buffer.alloc(256, 1);
  assert.notDeepEqual(rsaDecrypt(rsa.privateKey, wrong, parameters), data);
});

const sha256WithRsa = { digitalSignatureAlgorithm: digitalSignatureAlgorithm.sha256WithRsa };
const pssSha256 = { paddingMethod: paddingMethod.pss, hashingAlgorithm: 6 };
/** node:crypto's declarations want more of it. */
const generate = generateKeyPairSync as unknown as (type: string, options: object) => typeof rsa;
const restricted = generate("rsa-pss", {
  modulusLength: 2048,
  hashAlgorithm: "sha256",
  mgf1HashAlgorithm: "sha256",
  saltLength: 32,
});

const refused: readonly (readonly [string, KeyObject, CryptographicParameters])[] = [
  ["RSA without a padding", rsa.privateKey, { hashingAlgorithm: 6 }],
  ["RSA without a hash", rsa.privateKey, { paddingMethod: paddingMethod.pss }],
  ["ECDSA that nothing names, without a hash", onCurve("prime256v1").privateKey, {}],
  [
    "RSA by the name of ECDSA, without a hash",
    rsa.privateKey,
    { cryptographicAlgorithm: 6, paddingMethod: paddingMethod.pss },
  ],
  ["MD2", rsa.privateKey, { digitalSignatureAlgorithm: 1 }],
  ["an ECDSA algorithm with an RSA key", rsa.privateKey, { digitalSignatureAlgorithm: 14 }],
  ["X25519", generateKeyPairSync("x25519").privateKey, { hashingAlgorithm: 6 }],
  ["a hash beside a Digital Signature Algorithm of another", rsa.privateKey, { ...sha256WithRsa, hashingAlgorithm: 8 }],
  ["PSS beside one of PKCS#1 v1.5", rsa.privateKey, { ...sha256WithRsa, paddingMethod: paddingMethod.pss }],
  ["Ed25519 of a hash", generateKeyPairSync("ed25519").privateKey, { hashingAlgorithm: 8 }],
  ["a salt of OpenSSL's own choice", rsa.privateKey, { ...pssSha256, saltLength: -2 }],
  ["a Trailer Field that is not made", rsa.privateKey, { ...pssSha256, trailerField: 2 }],
  ["PKCS#1 v1.5 by a key of RSASSA-PSS", restricted.privateKey, sha256WithRsa],
];
for (const [what, key, parameters] of refused) {
  test(`signing is refused: ${what}`, () => {
    assert.throws(() => startSign(key, parameters), Refusal);
    assert.throws(() => startVerify(createPublicKey(key), parameters), Refusal);
  });
}

const misnamed: readonly (readonly [string, KeyObject, CryptographicParameters])[] = [
  ["RSA by the name of ECDSA", rsa.privateKey, { ...pssSha256, cryptographicAlgorithm: 6 }],
  ["ECDSA by the name of RSA", onCurve("prime256v1").privateKey, { hashingAlgorithm: 6, cryptographicAlgorithm: 4 }],
  ["Ed25519 by the name of ECDSA", generateKeyPairSync("ed25519").privateKey, { cryptographicAlgorithm: 6 }],
];
for (const [what, key, parameters] of misnamed) {
  test(`signing is refused, and verifying is not, as an OASIS case wants it: ${what}`, async () => {
    assert.throws(() => startSign(key, parameters), Refusal);
    const { cryptographicAlgorithm: _, ...own } = parameters;
    const signature = await signData(key, data, own);
    assert.ok(verifyData(createPublicKey(key), { data, signature }, parameters));
  });
}

test("MD5 verifies what was signed long ago, and signs nothing", () => {
  const parameters = { digitalSignatureAlgorithm: digitalSignatureAlgorithm.md5WithRsa };
  const digest = createHash("md5").update(data).digest();
  const signature = sign("md5", data, rsa.privateKey);
  assert.ok(verifyData(rsa.publicKey, { data, signature }, parameters));
  assert.ok(verifyDigested(rsa.publicKey, { digest, signature }, parameters));
  for (const attempt of [
    () => startSign(rsa.privateKey, parameters),
    () => signData(rsa.privateKey, data, parameters),
    () => signDigested(rsa.privateKey, digest, parameters),
  ])
    assert.throws(attempt, { code: "FeatureNotSupported" });
});

test("a key of RSASSA-PSS signs and verifies as it says itself, and is refused for another hash or salt", async () => {
  const parameters = { digitalSignatureAlgorithm: digitalSignatureAlgorithm.rsassaPss, hashingAlgorithm: 6 };
  const signature = await signData(restricted.privateKey, data, parameters);
  const verified = (more: CryptographicParameters) =>
    verifyData(restricted.publicKey, { data, signature }, { ...parameters, ...more });
  assert.ok(verified({}));
  for (const more of [{ hashingAlgorithm: 8 }, { saltLength: 20 }])
    assert.throws(() => verified(more), { code: "CryptographicFailure" });
});

test("a point that came compressed verifies digests as it does data", () => {
  const { privateKey, publicKey } = onCurve("prime256v1");
  const head = "3039301306072a8648ce3d020106082a8648ce3d030107032200";
  const key = Buffer.concat([Buffer.from(head, "hex"), keyBytes(publicKey, keyFormatType.raw, 2)]);
  const compressed = createPublicKey({ key, format: "der", type: "spki" });
  const digest = createHash("sha256").update(data).digest();
  const signature = sign("sha256", data, privateKey);
  assert.ok(verifyDigested(compressed, { digest, signature }, { hashingAlgorithm: 6 }));
});

test("a point that is not on the curve is no key (SP 800-56A, 5.6.2.3)", () => {
  const spki = keyBytes(onCurve("prime256v1").publicKey, keyFormatType.x509);
  spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1;
  assert.throws(() => createPublicKey({ key: spki, format: "der", type: "spki" }));
});

test("a PKCS#1 v1.5 signature without the zero that it begins with is none, of data and of a digest", () => {
  for (let number = 0; ; number++) {
    const text = Buffer.from(`number ${number}`);
    const signature = sign("sha256", text, rsa.privateKey);
    if (signature[0] !== 0) continue;
    const digest = createHash("sha256").update(text).digest();
    assert.ok(verifyDigested(rsa.publicKey, { digest, signature }, sha256WithRsa));
    const short = signature.subarray(1);
    assert.equal(verifyDigested(rsa.publicKey, { digest, signature: short }, sha256WithRsa), false);
    assert.equal(verifyData(rsa.publicKey, { data: text, signature: short }, sha256WithRsa), false);
    return;
  }
});

test("a digest of a wrong length, or for an algorithm that hashes by itself, is refused", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  assert.throws(
    () => signDigested(rsa.privateKey, Buffer.alloc(20), { paddingMethod: paddingMethod.pss, hashingAlgorithm: 6 }),
    Refusal,
  );
  assert.throws(() => signDigested(privateKey, Buffer.alloc(64), {}), Refusal);
});
