import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { test } from "node:test";
import { unsigned } from "../cryptography/bytes.ts";
import { wrap } from "../cryptography/key-wrap.ts";
import { transparentToDer } from "../cryptography/transparent.ts";
import { blockCipherMode, keyFormatType, usage } from "../objects/enumerations.ts";
import { active, block, listOf, part } from "../testing/cryptography-requests.ts";
import { findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { kmipHandler } from "../testing/kmip-handler.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { keyWrappingData } from "./key-wrapping.ts";
import { tag } from "./tags.ts";

/** Values that the wire can tell and nothing behind it can work with: each has its Result Reason, none is a failure of the server. */
const caller = { identity: "CN=a", subject: "CN=a" };
const reason = { field: 0x07, cryptographic: 0x0a, numericRange: 0x1b };
const operations = {
  ...operation,
  deriveKey: 5,
  certify: 6,
  encrypt: 0x1f,
  sign: 0x21,
  joinSplitKey: 0x29,
  adjust: 0x30,
};

/** A server in memory; `made` are the identifiers of what it made, in order. */
function aServer(version: number) {
  const log: Readonly<Record<string, unknown>>[] = [];
  const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: (fields) => void log.push(fields) });
  const made: string[] = [];
  const send = async (request: Request) => {
    const [result] = resultsOf(decode(await handler(encode(requestMessage([request], { version })), caller)));
    const id =
      findItem(result?.payload, tag.UniqueIdentifier)?.value ??
      findItem(result?.payload, tag.PublicKeyUniqueIdentifier)?.value;
    if (typeof id === "string" && !made.includes(id)) made.push(id);
    return result;
  };
  return { send, made, log };
}

/** What is registered may encrypt. */
const register = (type: number, object: Item): Request => ({
  operation: operation.register,
  payload: payload(item.enumeration(tag.ObjectType, type), template(active(4)), object),
});
const bigInteger = (number: number, value: bigint): Item => ({ tag: number, type: itemType.bigInteger, value });
const aKey = (lengthBits: number) =>
  register(2, item.structure(tag.SymmetricKey, block(1, Buffer.alloc(32, 7), 3, lengthBits)));
const create = (algorithm: number): Request => ({
  operation: operation.create,
  payload: payload(
    item.enumeration(tag.ObjectType, 2),
    template({ "Cryptographic Algorithm": algorithm, "Cryptographic Length": 256, ...active(12) }),
  ),
});

interface Part {
  readonly identifier: number;
  readonly method?: number;
  readonly prime?: bigint;
  readonly lengthBits?: number;
}
const aPart = ({ identifier, method = 4, prime, lengthBits = 256 }: Part): Request =>
  register(
    5,
    item.structure(
      tag.SplitKey,
      item.integer(tag.SplitKeyParts, 70_000),
      item.integer(tag.KeyPartIdentifier, identifier),
      item.integer(tag.SplitKeyThreshold, 2),
      item.enumeration(tag.SplitKeyMethod, method),
      ...(prime === undefined ? [] : [bigInteger(tag.PrimeFieldSize, prime)]),
      block(1, Buffer.alloc(32, 7), 3, lengthBits),
    ),
  );
const join = ([one, other]: readonly string[]): Request => ({
  operation: operations.joinSplitKey,
  payload: payload(item.enumeration(tag.ObjectType, 2), part.id(one ?? ""), part.id(other ?? ""), template({})),
});
const odd = 2n ** 2047n + 1n;
const transparentRsa = (modulus: bigint, exponent = 65_537n) =>
  register(
    3,
    item.structure(
      tag.PublicKey,
      block(
        keyFormatType.transparentRsaPublicKey,
        item.structure(tag.KeyMaterial, bigInteger(tag.Modulus, modulus), bigInteger(tag.PublicExponent, exponent)),
        4,
      ),
    ),
  );

/** A private key of the numbers that are given. */
const privateRsa = (numbers: Readonly<Record<"Modulus" | "P" | "PublicExponent", bigint>>) =>
  register(
    4,
    item.structure(
      tag.PrivateKey,
      block(
        keyFormatType.transparentRsaPrivateKey,
        item.structure(
          tag.KeyMaterial,
          ...Object.entries(numbers).map(([name, value]) => bigInteger(tag[name as keyof typeof numbers], value)),
        ),
        4,
      ),
    ),
  );

/** Counts an attribute of the object down by one; KMIP 2.1. */
const countDown =
  (number: number) =>
  (made: readonly string[]): Request => ({
    operation: operations.adjust,
    payload: payload(
      part.id(made[0] ?? ""),
      item.enumeration(tag.AttributeReference, number),
      item.enumeration(tag.AdjustmentType, 2),
    ),
  });
const rotating: Request = {
  operation: operation.create,
  payload: payload(
    item.enumeration(tag.ObjectType, 2),
    listOf(
      tag.Attributes,
      { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, ...active(12), "Rotate Interval": 0 },
      21,
    ),
  ),
};

const wrappingBytes = Buffer.alloc(32, 7);
const wrappingKey: Request = {
  operation: operation.register,
  payload: payload(
    item.enumeration(tag.ObjectType, 2),
    template(active(usage.unwrapKey)),
    item.structure(tag.SymmetricKey, block(1, wrappingBytes, 3, 256)),
  ),
};

/** A public key that nobody looked into, since it came wrapped by the key. */
function wrappedRsa(by: string): Request {
  const spki = transparentToDer(keyFormatType.transparentRsaPublicKey, {
    modulus: unsigned(2n ** 2047n + 2n),
    publicExponent: unsigned(65_537n),
  });
  const encryptionKey = {
    uniqueIdentifier: by,
    cryptographicParameters: { blockCipherMode: blockCipherMode.aesKeyWrapPadding },
  };
  const wrapping = { wrappingMethod: 1, encryptionKey, encodingOption: 1 };
  const keyBlock = item.structure(
    tag.KeyBlock,
    item.enumeration(tag.KeyFormatType, keyFormatType.x509),
    item.structure(tag.KeyValue, item.bytes(tag.KeyMaterial, wrap(createSecretKey(wrappingBytes), spki, "padded"))),
    item.enumeration(tag.CryptographicAlgorithm, 4),
    keyWrappingData.write(tag.KeyWrappingData, wrapping, 14),
  );
  return register(3, item.structure(tag.PublicKey, keyBlock));
}

const encryptions = [
  ["PKCS#1 v1.5", { paddingMethod: 8 }],
  ["OAEP", { paddingMethod: 2 }],
  ["OAEP whose mask has another hash", { paddingMethod: 2, hashingAlgorithm: 6, maskGeneratorHashingAlgorithm: 4 }],
] as const;

type Case = readonly [
  sentence: string,
  version: number,
  requests: readonly (Request | ((made: readonly string[]) => Request))[],
  reason: number,
  message: RegExp,
];

const cases: readonly Case[] = [
  [
    "a key of -1090516992 bits is registered",
    14,
    [aKey(-1_090_516_992)],
    reason.field,
    /CryptographicLength is -1090516992/,
  ],
  [
    "a PGP key of a version below 0 is registered",
    14,
    [register(9, item.structure(tag.PGPKey, item.integer(tag.PGPKeyVersion, -4), block(1, Buffer.alloc(32, 7))))],
    reason.field,
    /PGPKeyVersion is -4/,
  ],
  [
    "a key of -8 bits is created",
    14,
    [
      {
        operation: operation.create,
        payload: payload(item.enumeration(tag.ObjectType, 2), template({ "Cryptographic Length": -8 })),
      },
    ],
    reason.field,
    /is -8: give 0 or more/,
  ],
  [
    "a salt of -40 bytes is asked for",
    14,
    [
      {
        operation: operations.sign,
        payload: payload(part.id("x"), part.parameters({ saltLength: -40 }), part.data(Buffer.alloc(1))),
      },
    ],
    reason.field,
    /SaltLength is -40/,
  ],
  [
    "a part has an identifier that GF(2^8) has no element for",
    14,
    [aPart({ identifier: 256 }), aPart({ identifier: 257 }), join],
    reason.cryptographic,
    /larger than the field/,
  ],
  [
    "a part has an identifier that GF(2^16) has no element for",
    14,
    [aPart({ identifier: 1, method: 2 }), aPart({ identifier: 65_536, method: 2 }), join],
    reason.cryptographic,
    /larger than the field/,
  ],
  ["a part is of a field of 0", 14, [aPart({ identifier: 1, method: 3, prime: 0n })], reason.field, /no prime/],
  ["a part is of a field of -7", 14, [aPart({ identifier: 1, method: 3, prime: -7n })], reason.field, /no prime/],
  [
    "parts are of a field so large that joining them would take hours",
    14,
    [
      aPart({ identifier: 1, method: 3, prime: 2n ** 4000n }),
      aPart({ identifier: 2, method: 3, prime: 2n ** 4000n }),
      join,
    ],
    reason.cryptographic,
    /more than 128 bytes/,
  ],
  [
    "parts say that the key has 2^31 - 1 bits",
    14,
    [
      aPart({ identifier: 1, method: 3, prime: 2n ** 127n - 1n, lengthBits: 0x7fff_ffff }),
      aPart({ identifier: 2, method: 3, prime: 2n ** 127n - 1n, lengthBits: 0x7fff_ffff }),
      join,
    ],
    reason.cryptographic,
    /more than 128 bytes/,
  ],
  ["a modulus has 20,000 bits", 14, [transparentRsa(2n ** 20_000n)], reason.field, /Modulus has more than 16384 bits/],
  ["a modulus is even", 14, [transparentRsa(2n ** 2047n + 2n)], reason.field, /modulus is even/],
  ["a public exponent is 1", 14, [transparentRsa(odd, 1n)], reason.field, /exponent is even or 1/],
  ["a public exponent is the modulus", 14, [transparentRsa(odd, odd)], reason.field, /not smaller than its modulus/],
  [
    "a prime is the modulus itself",
    14,
    [privateRsa({ Modulus: odd, P: odd, PublicExponent: 65_537n })],
    reason.field,
    /do not belong together/,
  ],
  ["a modulus has 2 bits", 14, [transparentRsa(3n, 2n)], reason.field, /modulus has 2 bits/],
  ...encryptions.map(
    ([what, parameters]): Case => [
      `a modulus is even in a key that was registered wrapped, and encrypts with ${what}`,
      14,
      [
        wrappingKey,
        ([id = ""]) => wrappedRsa(id),
        ([, id = ""]) => ({
          operation: operations.encrypt,
          payload: payload(part.id(id), part.parameters(parameters), part.data(Buffer.alloc(8, 1))),
        }),
      ],
      reason.cryptographic,
      /not those of an RSA key: its modulus is even/,
    ],
  ),
  [
    "an interval of 0 seconds is counted down",
    21,
    [rotating, countDown(tag.RotateInterval)],
    reason.numericRange,
    /would leave its range/,
  ],
  [
    "an attribute is a number of 70,000 bits",
    14,
    [
      {
        operation: operation.create,
        payload: payload(
          item.enumeration(tag.ObjectType, 2),
          item.structure(
            tag.TemplateAttribute,
            item.structure(
              tag.Attribute,
              item.text(tag.AttributeName, "x-n"),
              bigInteger(tag.AttributeValue, 2n ** 70_000n),
            ),
          ),
        ),
      },
    ],
    reason.field,
    /more than 65536 bits/,
  ],
];

for (const [sentence, version, requests, expected, message] of cases) {
  test(`${sentence}: refused with its reason, and nobody's failure`, async () => {
    const { send, made, log } = aServer(version);
    const results = [];
    for (const request of requests) results.push(await send(typeof request === "function" ? request(made) : request));
    const last = results.pop();
    for (const result of results) assert.equal(result?.success, true, result?.message);
    assert.equal(last?.reason, expected, last?.message);
    assert.match(last?.message ?? "", message);
    assert.deepEqual(
      log.filter(({ level }) => level === "error"),
      [],
    );
  });
}

test("a ChaCha20 counter of 2^32 - 1, which KMIP can only write as -1, is counted from", async () => {
  const { send, made, log } = aServer(14);
  await send(create(0x1c));
  const parameters = part.parameters({ initialCounterValue: -1 });
  const request = payload(part.id(made[0] ?? ""), parameters, part.data(Buffer.alloc(32)), part.iv(Buffer.alloc(12)));
  const result = await send({ operation: operations.encrypt, payload: request });
  assert.deepEqual([result?.success, result?.message, log], [true, undefined, []]);
});
