import assert from "node:assert/strict";
import { test } from "node:test";
import { keyFormatType } from "../objects/enumerations.ts";
import { active, block, listOf, part } from "../testing/cryptography-requests.ts";
import { findItem, item, payload, template } from "../testing/items.ts";
import { testKeyring } from "../testing/keyring.ts";
import { operation, type Request, requestMessage, resultsOf } from "../testing/kmip-client.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { kmipHandler } from "./handler.ts";
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
const transparentRsa = (modulus: bigint) =>
  register(
    3,
    item.structure(
      tag.PublicKey,
      block(
        keyFormatType.transparentRsaPublicKey,
        item.structure(tag.KeyMaterial, bigInteger(tag.Modulus, modulus), bigInteger(tag.PublicExponent, 65_537n)),
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

const padding = { oaep: 2, pkcs1: 8 };

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
  ...[padding.oaep, padding.pkcs1].map(
    (paddingMethod): Case => [
      `a modulus is even, and the key encrypts with padding method ${paddingMethod}`,
      14,
      [
        transparentRsa(2n ** 2047n + 2n),
        ([id = ""]) => ({
          operation: operations.encrypt,
          payload: payload(part.id(id), part.parameters({ paddingMethod }), part.data(Buffer.alloc(8, 1))),
        }),
      ],
      reason.cryptographic,
      /does not encrypt: its numbers/,
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
