import assert from "node:assert/strict";
import { test } from "node:test";
import { part } from "../testing/cryptography-requests.ts";
import { attributeItem, item } from "../testing/items.ts";
import {
  aServer,
  data,
  digest,
  ecdsa,
  everything,
  gcm,
  hmac,
  later,
  op,
  type Row,
  reason,
  type Server,
  sha256,
  testReasons,
} from "../testing/reason-rows.ts";
import type { Item } from "../ttlv/types.ts";
import { tag } from "./tags.ts";

/** KMIP 1.4, Tables 353 to 361: what can be wrong with the use of a key (see result-reasons.test.ts). */
/** Operations in parts, and what key can do them. */
const inParts: readonly (readonly [number, string, number, Item, (server: Server) => Promise<string | undefined>])[] = [
  [353, "Encrypt", op.encrypt, gcm, (s) => s.key(everything)],
  [354, "Decrypt", op.decrypt, gcm, (s) => s.key(everything)],
  [355, "Sign", op.sign, ecdsa, async (s) => (await s.pair()).privateKey],
  [356, "Signature Verify", op.signatureVerify, ecdsa, async (s) => (await s.pair()).publicKey],
  [357, "MAC", op.mac, hmac, (s) => s.key(everything)],
  [358, "MAC Verify", op.macVerify, hmac, (s) => s.key(everything)],
  [361, "Hash", op.hash, sha256, async () => undefined],
];

/** Objects that cannot be used, whatever the operation. */
const unusable: readonly (readonly [string, (server: Server) => Promise<string>, number])[] = [
  ["an Opaque Object", (s) => s.opaque(), later.objectType],
  ["a key whose mask says nothing of it", (s) => s.key(0), later.mask],
  ["a destroyed key", (s) => s.destroyed(), later.destroyed],
  ["a key that is not active", (s) => s.key(everything, { "Activation Date": 4_000_000_000 }), later.state],
];

const useRows: readonly Row[] = inParts.flatMap(([table, name, operation, parameters, keyFor]): Row[] => [
  [
    table,
    `${name}: no outstanding operation with the Correlation Value`,
    async (server) => {
      const id = await keyFor(server);
      const value = item.bytes(tag.CorrelationValue, Buffer.alloc(16, 1));
      return server.send(operation, [...(id === undefined ? [] : [part.id(id)]), parameters, data, value]);
    },
    reason.notFound,
    later.correlation,
  ],
  ...(operation === op.hash ? [] : unusable).flatMap(([what, object, finer]): Row[] =>
    // Whoever signs needs a key of a pair: a symmetric one fails by its type before its state is looked at.
    what.startsWith("a key that is not active") && (operation === op.sign || operation === op.signatureVerify)
      ? []
      : [
          [
            table,
            `${name} by ${what}: the object is not able to be used`,
            async (server) => server.send(operation, [part.id(await object(server)), parameters, data]),
            reason.denied,
            finer,
          ],
        ],
  ),
]);

const rows: readonly Row[] = [
  [
    353,
    "Object specified is not able to be used for encryption: an EC key",
    async (s) => s.send(op.encrypt, [part.id((await s.pair()).publicKey), gcm, data]),
    reason.denied,
    later.denied,
  ],
  [
    353,
    "Encrypt without an IV, and without Random IV",
    async (s) => s.send(op.encrypt, [part.id(await s.key(everything)), part.parameters({ blockCipherMode: 9 }), data]),
    reason.message,
    later.iv,
  ],
  [
    353,
    "Encrypt without a Block Cipher Mode",
    async (s) => s.send(op.encrypt, [part.id(await s.key(everything)), data]),
    reason.field,
    later.badParameters,
  ],
  [
    354,
    "Object specified is not able to be used for decryption: a Public Key",
    async (s) => s.send(op.decrypt, [part.id((await s.pair()).publicKey), data]),
    reason.denied,
    later.objectType,
  ],
  [
    354,
    "Cryptographic error during decryption",
    async (s) => {
      const iv = part.iv(Buffer.alloc(12));
      const parameters = part.parameters({ blockCipherMode: 9, tagLength: 16 });
      const sealed = [data, iv, item.bytes(tag.AuthenticatedEncryptionTag, Buffer.alloc(16))];
      return s.send(op.decrypt, [part.id(await s.key(everything)), parameters, ...sealed]);
    },
    reason.cryptographic,
    later.cryptographic,
  ],
  ...(
    [
      [355, "signing: a Public Key", op.sign, async (s: Server) => (await s.pair()).publicKey],
      [355, "signing: a symmetric key", op.sign, (s: Server) => s.key(everything)],
      [356, "signature verification: a symmetric key", op.signatureVerify, (s: Server) => s.key(everything)],
      [357, "MACing: a Private Key", op.mac, async (s: Server) => (await s.pair()).privateKey],
      [358, "MAC verification: a Public Key", op.macVerify, async (s: Server) => (await s.pair()).publicKey],
    ] as const
  ).map(
    ([table, what, operation, object]): Row => [
      table,
      `Object specified is not able to be used for ${what}`,
      async (s) => s.send(operation, [part.id(await object(s)), ecdsa, data]),
      reason.denied,
      later.objectType,
    ],
  ),
  [
    361,
    "Hash by an algorithm that is not offered",
    (s) => s.send(op.hash, [digest(1), data]),
    reason.feature,
    later.unsupportedParameters,
  ],
];

testReasons([...rows, ...useRows]);

test("2.0 has Permission Denied where 2.1 has Wrong Key Lifecycle State, as OASIS's test cases of both have it", async () => {
  for (const [version, expected] of [
    [20, later.denied],
    [21, later.state],
  ] as const) {
    const server = aServer(version);
    const answer = await server.send(op.destroy, [part.id(await server.key(12))]);
    assert.equal(answer?.reason, expected, answer?.message);
  }
});

test("2.x: an object with as many links as it may have is no question of its state", async () => {
  const server = aServer(21);
  const id = await server.key(12, {});
  for (let at = 0; at < 100; at++) {
    const link = { linkType: 0x105, linkedObjectIdentifier: `other ${at}` };
    await server.made(op.addAttribute, part.id(id), attributeItem("Link", link));
  }
  const answer = await server.send(op.reKey, [part.id(id)]);
  assert.equal(answer?.reason, later.limit, answer?.message);
});
