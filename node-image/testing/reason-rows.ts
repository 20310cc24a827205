import assert from "node:assert/strict";
import { test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { usage } from "../objects/enumerations.ts";
import type { Json } from "../objects/types.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";
import { active, block, cryptographicOperation, part } from "./cryptography-requests.ts";
import { attributeItem, childrenOf, findItem, item, payload, template } from "./items.ts";
import { testKeyring } from "./keyring.ts";
import { operation, requestMessage, resultsOf } from "./kmip-client.ts";
import { kmipHandler } from "./kmip-handler.ts";
import { memoryStore } from "./memory-store.ts";

/** KMIP 1.4, 9.1.3.2.29: Result Reasons. */
export const reason = {
  notFound: 0x01,
  tooLarge: 0x02,
  message: 0x04,
  operation: 0x05,
  field: 0x07,
  feature: 0x08,
  cryptographic: 0x0a,
  illegal: 0x0b,
  denied: 0x0c,
  archived: 0x0d,
  bounds: 0x0e,
  namespace: 0x0f,
  format: 0x10,
  compression: 0x11,
  encoding: 0x12,
  sensitive: 0x16,
  notExtractable: 0x17,
  exists: 0x18,
} as const;

/** KMIP 2.1, 11.46: the words that 2.x has in place of those. */
export const later = {
  ...reason,
  usageLimit: 0x1a,
  attributeInstance: 0x20,
  attribute: 0x21,
  readOnly: 0x22,
  single: 0x23,
  badParameters: 0x24,
  mask: 0x29,
  attributeValue: 0x2d,
  correlation: 0x2e,
  objectType: 0x30,
  wrapType: 0x32,
  iv: 0x34,
  destroyed: 0x36,
  objectNotFound: 0x37,
  limit: 0x3a,
  enumeration: 0x3b,
  tag: 0x3d,
  unsupportedParameters: 0x3e,
  wrappingArchived: 0x40,
  wrappingDestroyed: 0x41,
  wrappingNotFound: 0x42,
  state: 0x43,
} as const;

const caller = { identity: "CN=a", subject: "CN=a" };
export const absent = "00000000-0000-4000-8000-000000000000";

/** A server in memory; what is made is made by 1.4, what fails is asked in the version of the test. */
export function aServer(version: number) {
  const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: () => undefined });
  const exchange = async (message: Item) => resultsOf(decode(await handler(encode(message), caller)))[0];
  const send = (
    operation: number,
    children: readonly Item[],
    as: { version?: number; header?: readonly Item[] } = {},
  ) => exchange(requestMessage([{ operation, payload: payload(...children) }], { version, ...as }));
  const made = async (operation: number, ...children: Item[]) => {
    const answer = await send(operation, children, { version: 14 });
    assert.equal(answer?.success, true, answer?.message);
    return answer?.payload;
  };
  const idIn = (answer: Item | undefined, number: number = tag.UniqueIdentifier) =>
    String(findItem(answer, number)?.value);
  const key = async (mask: number, more: Attributes = {}) =>
    idIn(await made(op.create, type(2), template({ ...aes, ...active(mask), ...more })));
  const registered = async (objectType: number, object: Item, attributes: Attributes) =>
    idIn(await made(op.register, type(objectType), template(attributes), object));
  return {
    exchange,
    send,
    made,
    key,
    registered,
    destroyed: async (attributes: Attributes = {}) => {
      const id = await key(everything, { "Activation Date": 4_000_000_000, ...attributes });
      await made(op.destroy, part.id(id));
      return id;
    },
    archived: async (id: string) => {
      await made(op.archive, part.id(id));
      return id;
    },
    secret: (mask = everything) => registered(7, secretData, active(mask)),
    opaque: () => registered(8, opaqueObject, active(everything)),
    templateObject: (name: string) =>
      registered(6, item.structure(tag.Template, ...attributesOf(aes)), { Name: named(name), "Activation Date": 1 }),
    pair: async (masks: readonly [number, number] = [everything, everything], more: Attributes = {}) => {
      const answer = await made(op.createKeyPair, ...pairOf({ ...p256, ...more }, active(masks[0]), active(masks[1])));
      return {
        privateKey: idIn(answer, tag.PrivateKeyUniqueIdentifier),
        publicKey: idIn(answer, tag.PublicKeyUniqueIdentifier),
      };
    },
    parts: async (more: Attributes = {}) => {
      const answer = await made(op.createSplitKey, ...splitting({ ...aes, ...more }));
      return childrenOf(answer, tag.UniqueIdentifier).map(({ value }) => String(value));
    },
    certificate: async () => {
      const { publicKey } = await aRoot(made, idIn);
      const answer = await made(op.certify, part.id(publicKey), template({ "x-subject": text("CN=root") }));
      return idIn(answer);
    },
  };
}
export type Server = ReturnType<typeof aServer>;
export type Attributes = Readonly<Record<string, Json>>;

async function aRoot(made: Server["made"], idIn: (answer: Item | undefined, number: number) => string) {
  const masks = [usage.certificateSign, usage.verify] as const;
  const answer = await made(op.createKeyPair, ...pairOf(p256, active(masks[0]), active(masks[1])));
  return { publicKey: idIn(answer, tag.PublicKeyUniqueIdentifier) };
}

export const op = {
  ...operation,
  ...cryptographicOperation,
  check: 0x09,
  obtainLease: 0x10,
  getUsageAllocation: 0x11,
  archive: 0x15,
  recover: 0x16,
  poll: 0x1a,
  notify: 0x1b,
  createSplitKey: 0x28,
  joinSplitKey: 0x29,
  import: 0x2a,
  export: 0x2b,
} as const;

export const everything = 0xfff;
export const aes = {
  "Cryptographic Algorithm": 3,
  "Cryptographic Length": 256,
  "Cryptographic Usage Mask": everything,
};
export const p256 = { "Cryptographic Algorithm": 6, "Cryptographic Length": 256 };
export const type = (value: number) => item.enumeration(tag.ObjectType, value);
export const text = (value: string): Json => ({ type: 7, value });
export const named = (value: string): Json => ({ nameValue: value, nameType: 1 });
export const attributesOf = (attributes: Attributes) =>
  Object.entries(attributes).map(([name, value]) => attributeItem(name, value));
export const interval = (seconds: number): Item => ({ tag: tag.Offset, type: 10, value: seconds });
export const data = part.data(Buffer.from("sixteen bytes!!!"));
export const secretData = item.structure(
  tag.SecretData,
  item.enumeration(tag.SecretDataType, 1),
  block(1, Buffer.from("password of some length")),
);
export const opaqueObject = item.structure(
  tag.OpaqueObject,
  item.enumeration(tag.OpaqueDataType, 0x80000001),
  item.bytes(tag.OpaqueDataValue, Buffer.from("anything")),
);
export const symmetricKey = item.structure(tag.SymmetricKey, block(1, Buffer.alloc(32, 7), 3, 256));
export const gcm = part.parameters({ blockCipherMode: 9, randomIv: true, tagLength: 16 });
export const hmac = part.parameters({ cryptographicAlgorithm: 9 });
export const ecdsa = part.parameters({ hashingAlgorithm: 6 });
export const sha256 = part.parameters({ hashingAlgorithm: 6 });
export const digest = (hashingAlgorithm: number) => part.parameters({ hashingAlgorithm });

export const withTag = (number: number, ...children: Item[]) => item.structure(number, ...children);
export function pairOf(common: Attributes, privateKey: Attributes, publicKey: Attributes): Item[] {
  return [
    withTag(tag.CommonTemplateAttribute, ...attributesOf(common)),
    withTag(tag.PrivateKeyTemplateAttribute, ...attributesOf(privateKey)),
    withTag(tag.PublicKeyTemplateAttribute, ...attributesOf(publicKey)),
  ];
}

export function splitting(attributes: Attributes, { method = 1, id }: { method?: number; id?: string } = {}): Item[] {
  return [
    type(5),
    ...(id === undefined ? [] : [part.id(id)]),
    item.integer(tag.SplitKeyParts, 3),
    item.integer(tag.SplitKeyThreshold, method === 1 ? 3 : 2),
    item.enumeration(tag.SplitKeyMethod, method),
    template(attributes),
  ];
}

export function deriving(
  ids: readonly string[],
  attributes: Item,
  { method = 2, parameters = [sha256] as Item[] } = {},
) {
  return [
    type(2),
    ...ids.map(part.id),
    item.enumeration(tag.DerivationMethod, method),
    withTag(tag.DerivationParameters, ...parameters),
    attributes,
  ];
}

export const wrappedBy = (id: string, ...more: Item[]) =>
  withTag(
    tag.KeyWrappingSpecification,
    item.enumeration(tag.WrappingMethod, 1),
    withTag(tag.EncryptionKeyInformation, part.id(id)),
    ...more,
  );

/** A row: [table, the error as the table has it, what is asked, the reason in 1.4, the finer one in 2.1 if the request is one there too]. */
export type Ask = (
  server: Server,
) => Promise<{ readonly reason: number | undefined; readonly message: string | undefined } | undefined>;
export type Row = readonly [table: number, error: string, ask: Ask, expected: number, inLater?: number];

/** Usage Limits of five objects. */
export const limited = { "Usage Limits": { usageLimitsTotal: 5, usageLimitsCount: 5, usageLimitsUnit: 2 } };

/** The operation on an active AES key. */
export function onKey(operation: number, ...children: Item[]): Ask {
  return async (server) => server.send(operation, [part.id(await server.key(everything)), ...children]);
}

/** A test for each row. */
export function testReasons(rows: readonly Row[]): void {
  for (const [table, error, ask, expected, finer] of rows) {
    test(`Table ${table}: ${error}`, async () => {
      const answer = await ask(aServer(14));
      assert.equal(answer?.reason, expected, answer?.message);
      if (finer === undefined) return;
      const same = await ask(aServer(21));
      assert.equal(same?.reason, finer, `2.1: ${same?.message}`);
    });
  }
}
