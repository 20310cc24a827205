import assert from "node:assert/strict";
import { test } from "node:test";
import { active, block, listOf, part } from "../testing/cryptography-requests.ts";
import { item } from "../testing/items.ts";
import { aServer, later, op, type Server } from "../testing/reason-rows.ts";
import type { Item } from "../ttlv/types.ts";
import { tag } from "./tags.ts";

/** What docs/kmip.md says is refused by name: nothing of it is taken and then not done. All in KMIP 2.1. */
const setAttribute = 0x31;
const type = (value: number) => item.enumeration(tag.ObjectType, value);
const attributes = (given: Parameters<typeof listOf>[1], number: number = tag.Attributes) => listOf(number, given, 21);
const aes = { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, ...active(12) };
const rotating = { "Rotate Automatic": true };

const refused: readonly (readonly [
  string,
  (server: Server) => Promise<readonly [number, readonly Item[]]>,
  number,
  RegExp,
])[] = [
  [
    "Rotate Automatic of a new key",
    async () => [op.create, [type(2), attributes({ ...aes, ...rotating })]],
    later.attributeValue,
    /not rotated by themselves/,
  ],
  [
    "Rotate Automatic that is set later",
    async (s) => [setAttribute, [part.id(await s.key(12)), attributes(rotating, tag.NewAttribute)]],
    later.attributeValue,
    /not rotated by themselves/,
  ],
  [
    "Data of an earlier item of the batch",
    async (s) => [op.encrypt, [part.id(await s.key(12)), item.enumeration(tag.Data, 1)]],
    later.feature,
    /send the data itself/,
  ],
  [
    "a PGP certificate",
    async () => [
      op.register,
      [
        type(1),
        item.structure(
          tag.Certificate,
          item.enumeration(tag.CertificateType, 2),
          item.bytes(tag.CertificateValue, Buffer.from("pgp")),
        ),
      ],
    ],
    later.field,
    /X\.509/,
  ],
  [
    "a certificate request in CRMF",
    async (s) => [
      op.certify,
      [
        part.id((await s.pair()).publicKey),
        item.enumeration(tag.CertificateRequestType, 1),
        item.bytes(tag.CertificateRequestValue, Buffer.from("crmf")),
      ],
    ],
    later.feature,
    /PKCS#10 or PEM/,
  ],
  [
    "a private key in PKCS#12",
    async () => [op.register, [type(4), item.structure(tag.PrivateKey, block(22, Buffer.from("pkcs12"), 4, 2048))]],
    later.format,
    /Key Format Type is not taken/,
  ],
];

test("Rotate Automatic is no default of the fleet's new keys", async () => {
  const defaults = item.structure(tag.ObjectDefaults, type(2), attributes(rotating));
  const answer = await aServer(21).send(0x36, [item.structure(tag.DefaultsInformation, defaults)]);
  assert.match(String(answer?.message), /not rotated by themselves/);
});

for (const [what, request, reason, message] of refused) {
  test(`${what} is refused by name`, async () => {
    const server = aServer(21);
    const answer = await server.send(...(await request(server)));
    assert.equal(answer?.reason, reason, answer?.message);
    assert.match(String(answer?.message), message);
  });
}

test("Rotate Automatic may be said to be off, and the other words of rotation are kept", async () => {
  const kept = { "Rotate Automatic": false, "Rotate Interval": 86_400, "Rotate Offset": 60 };
  const answer = await aServer(21).send(op.create, [type(2), attributes({ ...aes, ...kept })]);
  assert.equal(answer?.success, true, answer?.message);
});
