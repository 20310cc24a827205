import type { CryptographicParameters } from "../cryptography/parameters.ts";
import { cryptographicParameters } from "../kmip/attribute-shapes.ts";
import { attributes as attributeList } from "../kmip/attributes.ts";
import { keyWrappingSpecification } from "../kmip/key-wrapping.ts";
import { tag } from "../kmip/tags.ts";
import type { Json } from "../objects/types.ts";
import type { WrappingSpecification } from "../operations/wrapping.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { attributeItem, findItem, item, template } from "./items.ts";
import type { KmipClient } from "./kmip-client.ts";

/** KMIP Operation of the cryptographic operations (1.4, 9.1.3.2.27). */
export const cryptographicOperation = {
  create: 0x01,
  createKeyPair: 0x02,
  register: 0x03,
  reKey: 0x04,
  deriveKey: 0x05,
  certify: 0x06,
  reCertify: 0x07,
  get: 0x0a,
  getAttributes: 0x0b,
  validate: 0x17,
  reKeyKeyPair: 0x1d,
  encrypt: 0x1f,
  decrypt: 0x20,
  sign: 0x21,
  signatureVerify: 0x22,
  mac: 0x23,
  macVerify: 0x24,
  rngRetrieve: 0x25,
  rngSeed: 0x26,
  hash: 0x27,
} as const;

/** Short builders of what cryptographic requests hold. */
export const part = {
  id: (value: string) => item.text(tag.UniqueIdentifier, value),
  data: (value: Buffer) => item.bytes(tag.Data, value),
  iv: (value: Buffer) => item.bytes(tag.IVCounterNonce, value),
  parameters: (value: CryptographicParameters) =>
    cryptographicParameters.write(tag.CryptographicParameters, value as never, 21),
  wrapping: (value: WrappingSpecification) => keyWrappingSpecification.write(tag.KeyWrappingSpecification, value, 14),
};

/** Attributes of a key that is active since 1970. */
export function active(mask: number, more: Readonly<Record<string, Json>> = {}): Record<string, Json> {
  return { "Cryptographic Usage Mask": mask, "Activation Date": 1, ...more };
}

/** A Key Block with a Byte String as Key Material. */
export function block(format: number, material: Buffer | Item, algorithm?: number, lengthBits?: number): Item {
  const value = Buffer.isBuffer(material) ? item.bytes(tag.KeyMaterial, material) : material;
  return item.structure(
    tag.KeyBlock,
    item.enumeration(tag.KeyFormatType, format),
    item.structure(tag.KeyValue, value),
    ...(algorithm === undefined ? [] : [item.enumeration(tag.CryptographicAlgorithm, algorithm)]),
    ...(lengthBits === undefined ? [] : [item.integer(tag.CryptographicLength, lengthBits)]),
  );
}

const objectTags: Readonly<Record<number, number>> = {
  2: tag.SymmetricKey,
  3: tag.PublicKey,
  4: tag.PrivateKey,
  7: tag.SecretData,
  9: tag.PGPKey,
};

/** Registers an object with a Key Block; its identifier. */
export async function registerKey(
  client: KmipClient,
  type: number,
  keyBlock: Item,
  attributes: Readonly<Record<string, Json>>,
): Promise<string> {
  const head =
    type === 7 ? [item.enumeration(tag.SecretDataType, 1)] : type === 9 ? [item.integer(tag.PGPKeyVersion, 4)] : [];
  const answer = await client.call(
    cryptographicOperation.register,
    item.enumeration(tag.ObjectType, type),
    template(attributes),
    item.structure(objectTags[type] ?? 0, ...head, keyBlock),
  );
  return textOf(answer, tag.UniqueIdentifier);
}

/** Creates a key pair; identifiers of its keys. */
export async function createPair(
  client: KmipClient,
  common: Readonly<Record<string, Json>>,
  masks: readonly [privateKey: number, publicKey: number],
  more: { readonly own?: readonly [Attributes, Attributes]; readonly version?: 14 | 21 } = {},
): Promise<{ readonly privateKey: string; readonly publicKey: string }> {
  const { own = [{}, {}], version = 14 } = more;
  const tags = version === 14 ? pairTags.old : pairTags.new;
  const answer = await client.call(
    cryptographicOperation.createKeyPair,
    listOf(tags[0], common, version),
    listOf(tags[1], active(masks[0], own[0]), version),
    listOf(tags[2], active(masks[1], own[1]), version),
  );
  return {
    privateKey: textOf(answer, tag.PrivateKeyUniqueIdentifier),
    publicKey: textOf(answer, tag.PublicKeyUniqueIdentifier),
  };
}

type Attributes = Readonly<Record<string, Json>>;

const pairTags = {
  old: [tag.CommonTemplateAttribute, tag.PrivateKeyTemplateAttribute, tag.PublicKeyTemplateAttribute],
  new: [tag.CommonAttributes, tag.PrivateKeyAttributes, tag.PublicKeyAttributes],
} as const;

/** Attributes in the form of a protocol version. */
export function listOf(number: number, attributes: Attributes, version: 14 | 21): Item {
  const instances = Object.entries(attributes).map(([name, value]) => ({ name, value }));
  if (version === 21) return attributeList.write(number, instances, version);
  return item.structure(number, ...instances.map(({ name, value }) => attributeItem(name, value)));
}

/** The first text with the tag. */
export function textOf(answer: Item, number: number): string {
  const found = findItem(answer, number);
  if (found?.type !== itemType.textString) throw new Error(`the answer has no text with tag ${number.toString(16)}`);
  return found.value;
}

/** The first bytes with the tag. */
export function bytesOf(answer: Item, number: number): Buffer {
  const found = findItem(answer, number);
  if (found?.type !== itemType.byteString) throw new Error(`the answer has no bytes with tag ${number.toString(16)}`);
  return found.value;
}

/** The first number with the tag. */
export function numberOf(answer: Item, number: number): number {
  const found = findItem(answer, number);
  if (found?.type !== itemType.integer && found?.type !== itemType.enumeration) throw new Error("no such number");
  return found.value;
}
