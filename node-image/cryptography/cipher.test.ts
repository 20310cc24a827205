import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { test } from "node:test";
import {
  cryptographicAlgorithm as algorithm,
  blockCipherMode as mode,
  paddingMethod,
} from "../objects/enumerations.ts";
import { Refusal, type RefusalCode } from "../objects/refusal.ts";
import { type StartedCipher, startCipher } from "./cipher.ts";
import type { CipherRequest } from "./cipher-request.ts";
import { nonceSource } from "./nonces.ts";
import type { CryptographicParameters } from "./parameters.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ""), "hex");
const nonces = nonceSource();

interface Setting {
  readonly algorithm?: number;
  readonly key: string;
  readonly parameters: CryptographicParameters;
  readonly iv?: string;
  readonly additional?: string;
  readonly tag?: string;
}

function request(direction: "encrypt" | "decrypt", setting: Setting): CipherRequest {
  const { iv, additional, tag } = setting;
  return {
    direction,
    algorithm: setting.algorithm ?? algorithm.aes,
    key: createSecretKey(hex(setting.key)),
    parameters: setting.parameters,
    nonces,
    ...(iv === undefined ? {} : { iv: hex(iv) }),
    ...(additional === undefined ? {} : { additionalData: hex(additional) }),
    ...(tag === undefined ? {} : { tag: hex(tag) }),
  };
}

/** Runs data through in parts of so many bytes. */
function run({ stream }: StartedCipher, data: Buffer, partBytes: number): { data: string; tag: string | undefined } {
  const out: Buffer[] = [];
  for (let at = 0; at < data.length; at += partBytes) out.push(stream.update(data.subarray(at, at + partBytes)));
  const end = stream.final();
  return { data: Buffer.concat([...out, end.data]).toString("hex"), tag: end.tag?.toString("hex") };
}

const sp80038a = {
  key: "2b7e151628aed2a6abf7158809cf4f3c",
  plain: "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
};
const counting = "000102030405060708090a0b0c0d0e0f";

interface Answer extends Setting {
  readonly plain: string;
  readonly cipher: string;
  readonly tag?: string;
}

const known: readonly (readonly [string, Answer])[] = [
  [
    "AES ECB (SP 800-38A, F.1.1)",
    {
      ...sp80038a,
      parameters: { blockCipherMode: mode.ecb },
      cipher: "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf",
    },
  ],
  [
    "AES CBC (SP 800-38A, F.2.1)",
    {
      ...sp80038a,
      iv: counting,
      parameters: { blockCipherMode: mode.cbc },
      cipher: "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
    },
  ],
  [
    "AES CFB (SP 800-38A, F.3.13)",
    {
      ...sp80038a,
      iv: counting,
      parameters: { blockCipherMode: mode.cfb },
      cipher: "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b",
    },
  ],
  [
    "AES OFB (SP 800-38A, F.4.1)",
    {
      ...sp80038a,
      iv: counting,
      parameters: { blockCipherMode: mode.ofb },
      cipher: "3b3fd92eb72dad20333449f8e83cfb4a7789508d16918f03f53c52dac54ed825",
    },
  ],
  [
    "AES CTR (SP 800-38A, F.5.1)",
    {
      ...sp80038a,
      iv: "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
      parameters: { blockCipherMode: mode.ctr },
      cipher: "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff",
    },
  ],
  [
    "AES GCM with an IV of 8 bytes (GCM specification, case 5)",
    {
      key: "feffe9928665731c6d6a8f9467308308",
      iv: "cafebabefacedbad",
      additional: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
      parameters: { blockCipherMode: mode.gcm, tagLength: 16 },
      plain:
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
      cipher:
        "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c742373806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598",
      tag: "3612d2e79e3b0785561be14aaca2fccb",
    },
  ],
  [
    "AES CCM (SP 800-38C, example 3)",
    {
      key: "404142434445464748494a4b4c4d4e4f",
      iv: "101112131415161718191a1b",
      additional: "000102030405060708090a0b0c0d0e0f10111213",
      parameters: { blockCipherMode: mode.ccm, tagLength: 8 },
      plain: "202122232425262728292a2b2c2d2e2f3031323334353637",
      cipher: "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5",
      tag: "484392fbc1b09951",
    },
  ],
  [
    "AES XTS (IEEE 1619, vector 2)",
    {
      key: `${"11".repeat(16)}${"22".repeat(16)}`,
      iv: "33333333330000000000000000000000",
      parameters: { blockCipherMode: mode.xts },
      plain: "44".repeat(32),
      cipher: "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
    },
  ],
  [
    "AES key wrap (RFC 3394, 4.1)",
    {
      key: counting,
      parameters: { blockCipherMode: mode.nistKeyWrap },
      plain: "00112233445566778899aabbccddeeff",
      cipher: "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
    },
  ],
  [
    "AES key wrap with padding (RFC 5649, 6)",
    {
      key: "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
      parameters: { blockCipherMode: mode.aesKeyWrapPadding },
      plain: "c37b7e6492584340bed12207808941155068f738",
      cipher: "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
    },
  ],
  [
    "3DES ECB with three keys (SP 800-67, B.1)",
    {
      algorithm: algorithm.tripleDes,
      key: "0123456789abcdef23456789abcdef01456789abcdef0123",
      parameters: { blockCipherMode: mode.ecb },
      plain: "5468652071756663 6b2062726f776e20 666f78206a756d70".replaceAll(" ", ""),
      cipher: "a826fd8ce53b855f cce21c8112256fe6 68d5c05dd9b6b900".replaceAll(" ", ""),
    },
  ],
  [
    "ChaCha20 (RFC 8439, 2.4.2)",
    {
      algorithm: algorithm.chaCha20,
      key: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
      iv: "000000000000004a00000000",
      parameters: { initialCounterValue: 1 },
      plain: "4c616469657320616e642047656e746c656d656e206f662074686520636c617373",
      cipher: "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf9",
    },
  ],
  [
    "ChaCha20-Poly1305 (RFC 8439, 2.8.2)",
    {
      algorithm: algorithm.chaCha20Poly1305,
      key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
      iv: "070000004041424344454647",
      additional: "50515253c0c1c2c3c4c5c6c7",
      parameters: { blockCipherMode: mode.aead, tagLength: 16 },
      plain:
        "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f756c642062652069742e",
      cipher:
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116",
      tag: "1ae10b594f09e26a7e902ecbd0600691",
    },
  ],
];

for (const [name, answer] of known) {
  for (const partBytes of [1, 7, 16, 1024]) {
    test(`${name}, in parts of ${partBytes}`, () => {
      const { tag, ...setting } = answer;
      const encrypted = run(startCipher(request("encrypt", setting)), hex(answer.plain), partBytes);
      assert.deepEqual(encrypted, { data: answer.cipher, tag });
      const decrypted = run(startCipher(request("decrypt", answer)), hex(answer.cipher), partBytes);
      assert.equal(decrypted.data, answer.plain);
    });
  }
}

const cbc = { key: sp80038a.key, iv: counting };
const paddings = ["pkcs5", "ansiX923", "iso10126", "ssl3"] as const;
for (const method of paddings) {
  for (let bytes = 0; bytes <= 33; bytes++) {
    test(`CBC with ${method} padding gives back ${bytes} bytes`, () => {
      const setting = { ...cbc, parameters: { blockCipherMode: mode.cbc, paddingMethod: paddingMethod[method] } };
      const plain = Buffer.alloc(bytes, 0xa5);
      const { data } = run(startCipher(request("encrypt", setting)), plain, 5);
      assert.equal(data.length / 2, (Math.floor(bytes / 16) + 1) * 16);
      assert.equal(run(startCipher(request("decrypt", setting)), hex(data), 9).data, plain.toString("hex"));
    });
  }
}

test("zeros fill the last block only where it is not full", () => {
  const setting = { ...cbc, parameters: { blockCipherMode: mode.cbc, paddingMethod: paddingMethod.zeros } };
  const { data } = run(startCipher(request("encrypt", setting)), hex("aabb"), 5);
  assert.equal(run(startCipher(request("decrypt", setting)), hex(data), 9).data, "aabb");
  assert.equal(run(startCipher(request("encrypt", setting)), Buffer.alloc(16, 1), 16).data.length, 32);
});

const gcm = { key: sp80038a.key, parameters: { blockCipherMode: mode.gcm } };
const pkcs5 = { ...cbc, parameters: { blockCipherMode: mode.cbc, paddingMethod: paddingMethod.pkcs5 } };

const ctr = { ...cbc, iv: `${"00".repeat(15)}ff`, parameters: { blockCipherMode: mode.ctr } };
const counted = (counterLength: number) => ({ ...ctr, parameters: { ...ctr.parameters, counterLength } });
const chaCha20 = { algorithm: algorithm.chaCha20, key: "00".repeat(32), iv: "00".repeat(12) };

const refused: readonly (readonly [string, "encrypt" | "decrypt", Setting, string, RefusalCode])[] = [
  ["decryption without an IV", "decrypt", { ...pkcs5, iv: undefined as never }, "00".repeat(16), "InvalidMessage"],
  ["an IV of a wrong length", "encrypt", { ...pkcs5, iv: "00" }, "00".repeat(16), "InvalidField"],
  [
    "an IV where none is used",
    "encrypt",
    { ...cbc, parameters: { blockCipherMode: mode.ecb } },
    "00".repeat(16),
    "InvalidField",
  ],
  ["no mode", "encrypt", { ...cbc, parameters: {} }, "00".repeat(16), "InvalidField"],
  [
    "half a block without padding",
    "encrypt",
    { ...cbc, parameters: { blockCipherMode: mode.cbc } },
    "00".repeat(8),
    "InvalidField",
  ],
  ["a key of 40 bits", "encrypt", { ...pkcs5, key: "0011223344" }, "00".repeat(16), "InvalidField"],
  [
    "a mode that is not offered",
    "encrypt",
    { ...cbc, parameters: { blockCipherMode: mode.pcbc } },
    "00".repeat(16),
    "FeatureNotSupported",
  ],
  [
    "a tag of one byte",
    "encrypt",
    { ...gcm, iv: "00".repeat(12), parameters: { blockCipherMode: mode.gcm, tagLength: 1 } },
    "00",
    "GeneralFailure",
  ],
  [
    "a tag of four bytes in decryption",
    "decrypt",
    { ...gcm, iv: "00".repeat(12), tag: "00000000" },
    "00",
    "CryptographicFailure",
  ],
  ["authenticated decryption without a tag", "decrypt", { ...gcm, iv: "00".repeat(12) }, "00", "InvalidMessage"],
  ["a wrong tag", "decrypt", { ...gcm, iv: "00".repeat(12), tag: "00".repeat(16) }, "00", "CryptographicFailure"],
  ["broken padding", "decrypt", pkcs5, "00".repeat(16), "CryptographicFailure"],
  ["half a block of encrypted data", "decrypt", pkcs5, "00".repeat(8), "CryptographicFailure"],
  [
    "broken wrapped bytes",
    "decrypt",
    { key: counting, parameters: { blockCipherMode: mode.nistKeyWrap } },
    "00".repeat(24),
    "CryptographicFailure",
  ],
  [
    "wrapped bytes of a wrong length",
    "decrypt",
    { key: counting, parameters: { blockCipherMode: mode.nistKeyWrap } },
    "00".repeat(5),
    "CryptographicFailure",
  ],
  [
    "an XTS key of two equal halves",
    "encrypt",
    { key: "11".repeat(32), iv: counting, parameters: { blockCipherMode: mode.xts } },
    "00".repeat(32),
    "InvalidField",
  ],
  [
    "a random GCM nonce that is too short to be unique",
    "encrypt",
    { ...gcm, parameters: { ...gcm.parameters, randomIv: true, ivLength: 64 } },
    "00",
    "InvalidField",
  ],
  ["additional data that nothing would authenticate", "encrypt", { ...pkcs5, additional: "00" }, "00", "InvalidField"],
  ["a tag that nothing would look at", "decrypt", { ...ctr, tag: "00".repeat(16) }, "00", "InvalidField"],
  [
    "ChaCha20-Poly1305 with a key of ChaCha20, which would authenticate nothing",
    "encrypt",
    { ...chaCha20, parameters: { cryptographicAlgorithm: algorithm.chaCha20Poly1305 } },
    "00",
    "InvalidField",
  ],
  [
    "an authenticated mode of ChaCha20",
    "encrypt",
    { ...chaCha20, parameters: { blockCipherMode: mode.aead } },
    "00",
    "FeatureNotSupported",
  ],
  [
    "3DES with a key of AES",
    "encrypt",
    { ...pkcs5, parameters: { ...pkcs5.parameters, cryptographicAlgorithm: algorithm.tripleDes } },
    "00",
    "InvalidField",
  ],
  [
    "more blocks than ChaCha20 has left to count",
    "encrypt",
    { ...chaCha20, parameters: { initialCounterValue: -1 } },
    "00".repeat(65),
    "InvalidField",
  ],
  ["more blocks than a counter of 8 bits has left", "encrypt", counted(8), "00".repeat(17), "InvalidField"],
  ["a counter of no bits", "encrypt", counted(0), "00", "InvalidField"],
  ["a counter of more bits than the block has", "decrypt", counted(129), "00", "InvalidField"],
  [
    "an Initial Counter Value beside a counter block that begins with another",
    "encrypt",
    { ...ctr, parameters: { ...ctr.parameters, initialCounterValue: 1 } },
    "00",
    "InvalidField",
  ],
  ...["fixedFieldLength", "invocationFieldLength", "counterLength"].map(
    (field) =>
      [
        `a Random IV with a ${field} of 64 bits`,
        "encrypt",
        { ...gcm, parameters: { ...gcm.parameters, randomIv: true, [field]: 64 } },
        "00",
        "InvalidField",
      ] as const,
  ),
  [
    "a Random IV of 64 bits for CBC",
    "encrypt",
    { key: cbc.key, parameters: { ...pkcs5.parameters, randomIv: true, ivLength: 64 } },
    "00",
    "InvalidField",
  ],
  [
    "more bytes than CCM has room to count beside a nonce of 13 bytes",
    "encrypt",
    { ...gcm, iv: "00".repeat(13), parameters: { blockCipherMode: mode.ccm } },
    "00".repeat(65_536),
    "InvalidField",
  ],
  ["no encrypted data where at least padding must be", "decrypt", pkcs5, "", "CryptographicFailure"],
];

for (const [what, direction, setting, data, code] of refused) {
  test(`refused: ${what}`, () => {
    const attempt = () => run(startCipher(request(direction, setting)), hex(data), 1024);
    assert.throws(attempt, (error) => error instanceof Refusal && error.code === code);
  });
}

test("whatever is wrong with encrypted data is told in the same words", () => {
  const faults = [...refused].filter(
    ([, direction, , , code]) => direction === "decrypt" && code === "CryptographicFailure",
  );
  const words = faults.map(([, direction, setting, data]) => {
    try {
      return run(startCipher(request(direction, setting)), hex(data), 1024).data;
    } catch (error) {
      return (error as Error).message;
    }
  });
  assert.equal(faults.length, 7);
  assert.equal(new Set(words).size, 1);
});

test("unauthenticated plaintext is not handed out, not even in parts", () => {
  const started = startCipher(request("decrypt", { ...gcm, iv: "00".repeat(12), tag: "00".repeat(16) }));
  assert.equal(started.stream.update(Buffer.alloc(64)).length, 0);
});

test("nonces never repeat within a process, and begin anew at random in the next", () => {
  const setting = { ...gcm, parameters: { ...gcm.parameters, randomIv: true } };
  const seen = new Set<string>();
  for (let at = 0; at < 10_000; at++) {
    seen.add(startCipher(request("encrypt", setting)).generatedIv?.toString("hex") ?? "");
  }
  assert.equal(seen.size, 10_000);
  const constant = (into: Buffer) => into.fill(7);
  const source = nonceSource(constant);
  assert.notDeepEqual(source.next(12), source.next(12), "even if the generator of the system stands still");
  assert.notDeepEqual(nonceSource().next(12).subarray(0, 8), nonceSource().next(12).subarray(0, 8));
});

test("the counter of a Random IV in CTR does not run into the nonce, which would make it the next one", () => {
  const parameters = { blockCipherMode: mode.ctr, randomIv: true, initialCounterValue: -2 };
  const setting = { key: sp80038a.key, parameters };
  const two = startCipher(request("encrypt", setting));
  assert.equal(two.generatedIv?.readUInt32BE(12), 0xffff_fffe);
  two.stream.update(Buffer.alloc(20));
  two.stream.update(Buffer.alloc(12));
  assert.throws(() => two.stream.update(Buffer.alloc(1)), {
    code: "InvalidField",
    finer: "BadCryptographicParameters",
  });
  assert.throws(() => startCipher(request("encrypt", setting)).stream.update(Buffer.alloc(33)), Refusal);
  // The client's own counter block is the client's to keep from repeating (SP 800-38A, F.5 goes beyond 32 bits).
  const given = { ...setting, iv: "f".repeat(32), parameters: { blockCipherMode: mode.ctr } };
  startCipher(request("encrypt", given)).stream.update(Buffer.alloc(64));
});

const asGiven: readonly (readonly [string, Setting, number])[] = [
  ["a counter of 9 bits with room for the data", counted(9), 17],
  ["an Initial Counter Value that is the one in the block", initially(0xff), 17],
  ["the last block of ChaCha20", { ...chaCha20, parameters: { initialCounterValue: -1 } }, 64],
  [
    "ChaCha20 of a counter of 64 bits",
    { ...chaCha20, iv: "00".repeat(8), parameters: { initialCounterValue: -1 } },
    65,
  ],
  [
    "the longest message beside a CCM nonce of 13 bytes",
    { ...gcm, iv: "00".repeat(13), parameters: { blockCipherMode: mode.ccm } },
    65_535,
  ],
  [
    "the AEAD mode of ChaCha20-Poly1305",
    { ...chaCha20, algorithm: algorithm.chaCha20Poly1305, parameters: { blockCipherMode: mode.aead } },
    1,
  ],
];
function initially(initialCounterValue: number): Setting {
  return { ...ctr, parameters: { ...ctr.parameters, initialCounterValue } };
}
for (const [what, setting, bytes] of asGiven) {
  test(`encrypted as asked for, and decrypted again: ${what}`, () => {
    const { data, tag } = run(startCipher(request("encrypt", setting)), Buffer.alloc(bytes), 1024);
    const back = { ...setting, ...(tag === undefined ? {} : { tag }) };
    assert.equal(run(startCipher(request("decrypt", back)), hex(data), 1024).data, "00".repeat(bytes));
  });
}

test("the block that a decryption holds back until the last part comes is wiped when none comes", () => {
  const setting = { key: sp80038a.key, iv: counting, parameters: { blockCipherMode: mode.cbc } };
  const [kept, forgotten] = [startCipher(request("decrypt", setting)), startCipher(request("decrypt", setting))];
  for (const { stream } of [kept, forgotten]) stream.update(hex("7649abac8119b246cee98e9b12e9197d"));
  assert.equal(forgotten.stream.gathered?.bytes(), 16);
  forgotten.stream.gathered?.forget();
  assert.equal(kept.stream.final().data.toString("hex"), sp80038a.plain.slice(0, 32));
  assert.deepEqual(forgotten.stream.final().data, Buffer.alloc(16));
});

test("of the block that a decryption holds back no second copy is left", () => {
  const setting = { key: sp80038a.key, iv: counting, parameters: { blockCipherMode: mode.cbc } };
  const ready = startCipher(request("decrypt", setting)).stream.update(Buffer.alloc(48));
  assert.equal(ready.length, 32);
  assert.deepEqual(Buffer.from(ready.buffer).subarray(ready.byteOffset + 32), Buffer.alloc(16));
});
