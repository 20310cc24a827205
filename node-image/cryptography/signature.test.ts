import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { cryptographicAlgorithm, paddingMethod } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import type { CryptographicParameters } from "./parameters.ts";
import { rsaDecrypt, rsaEncrypt } from "./rsa.ts";
import { signData, signDigested, startSign, startVerify, verifyDigested } from "./signature.ts";
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
];
for (const [what, key, parameters] of refused) {
  test(`signing is refused: ${what}`, () => assert.throws(() => startSign(key, parameters), Refusal));
}

test("a digest of a wrong length, or for an algorithm that hashes by itself, is refused", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  assert.throws(
    () => signDigested(rsa.privateKey, Buffer.alloc(20), { paddingMethod: paddingMethod.pss, hashingAlgorithm: 6 }),
    Refusal,
  );
  assert.throws(() => signDigested(privateKey, Buffer.alloc(64), {}), Refusal);
});
