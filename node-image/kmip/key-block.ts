import { ownCopy } from "../cryptography/bytes.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { objectType } from "../objects/enumerations.ts";
import type { KeyWrapping, Material, SplitPart } from "../objects/material.ts";
import { Refusal } from "../objects/refusal.ts";
import type { KeyValueCodec } from "../operations/wrapping.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { attribute, attributes } from "./attributes.ts";
import { enumerations as known } from "./enumerations.ts";
import { byVersion, group, list, one, optional, structure } from "./fields.ts";
import { materialBytes, materialItem } from "./key-material.ts";
import { keyWrappingData } from "./key-wrapping.ts";
import {
  anyEnumeration,
  anyItem,
  bigIntegerText,
  bytes,
  enumeration,
  natural,
  type Reading,
  type Shape,
} from "./shape.ts";
import { tag } from "./tags.ts";

/** Tag of the managed object's structure, by object type (2.2). */
export const objectTag: Readonly<Record<number, number>> = {
  [objectType.certificate]: tag.Certificate,
  [objectType.symmetricKey]: tag.SymmetricKey,
  [objectType.publicKey]: tag.PublicKey,
  [objectType.privateKey]: tag.PrivateKey,
  [objectType.splitKey]: tag.SplitKey,
  [objectType.template]: tag.Template,
  [objectType.secretData]: tag.SecretData,
  [objectType.opaqueObject]: tag.OpaqueObject,
  [objectType.certificateRequest]: tag.CertificateRequest,
  [objectType.pgpKey]: tag.PGPKey,
};

/** A managed object with the attributes that stood in its Key Value. */
export interface ReadObject {
  readonly material: Material;
  readonly attributes: readonly AttributeInstance[];
}

const keyBlock = structure({
  format: one(tag.KeyFormatType, enumeration(known.keyFormatType)),
  compression: optional(tag.KeyCompressionType, enumeration(known.keyCompressionType)),
  value: optional(tag.KeyValue, anyItem),
  algorithm: optional(tag.CryptographicAlgorithm, enumeration(known.cryptographicAlgorithm)),
  lengthBits: optional(tag.CryptographicLength, natural),
  wrapping: optional(tag.KeyWrappingData, keyWrappingData),
});

const keyValue = structure({
  material: one(tag.KeyMaterial, anyItem),
  attributes: byVersion(list(tag.Attribute, attribute, 10, 20), group(tag.Attributes, attributes, 20)),
});

const key = structure({ block: one(tag.KeyBlock, keyBlock) });
const certificate = structure({
  subtype: one(tag.CertificateType, enumeration(known.certificateType)),
  bytes: one(tag.CertificateValue, bytes),
});
const secretData = structure({
  subtype: one(tag.SecretDataType, anyEnumeration),
  block: one(tag.KeyBlock, keyBlock),
});
/** An object of its own since KMIP 2.0 (2.1, 2.2). */
const certificateRequest = structure({
  subtype: one(tag.CertificateRequestType, enumeration(known.certificateRequestType)),
  bytes: one(tag.CertificateRequestValue, bytes),
});
const opaqueObject = structure({
  subtype: one(tag.OpaqueDataType, anyEnumeration),
  bytes: one(tag.OpaqueDataValue, bytes),
});

const splitKey = structure({
  parts: one(tag.SplitKeyParts, natural),
  identifier: one(tag.KeyPartIdentifier, natural),
  threshold: one(tag.SplitKeyThreshold, natural),
  method: one(tag.SplitKeyMethod, enumeration(known.splitKeyMethod)),
  primeFieldSize: optional(tag.PrimeFieldSize, bigIntegerText),
  block: one(tag.KeyBlock, keyBlock),
});
const pgpKey = structure({ subtype: one(tag.PGPKeyVersion, natural), block: one(tag.KeyBlock, keyBlock) });

/** A Template is kept as it came (2.2.6). */
const template = structure({ attributes: list(tag.Attribute, attribute) });

/** Reads the object of a Register request. Throws Refusal. */
export function readObject(type: number, item: Item, reading: Reading): ReadObject {
  switch (type) {
    case objectType.certificate:
      return plain(certificate.read(item, reading));
    case objectType.opaqueObject:
      return plain(opaqueObject.read(item, reading));
    case objectType.certificateRequest:
      return plain(certificateRequest.read(item, reading));
    case objectType.template:
      template.read(item, reading);
      return plain({ subtype: 0, bytes: encode(item) });
    case objectType.secretData: {
      const { subtype, block } = secretData.read(item, reading);
      return fromBlock(block, subtype, reading);
    }
    case objectType.pgpKey: {
      const { subtype, block } = pgpKey.read(item, reading);
      return fromBlock(block, subtype, reading);
    }
    case objectType.splitKey: {
      const { block, ...split } = splitKey.read(item, reading);
      const { material, attributes: inKeyValue } = fromBlock(block, 0, reading);
      return { material: { ...material, split }, attributes: inKeyValue };
    }
    case objectType.symmetricKey:
    case objectType.publicKey:
    case objectType.privateKey:
      return fromBlock(key.read(item, reading).block, 0, reading);
    default:
      throw new Refusal("InvalidField", "Objects of this type cannot be registered here");
  }
}

/** Writes an object as Get answers it. Throws NotInVersion. */
export function writeObject(type: number, material: Material, version: number): Item {
  const tagNumber = objectTag[type];
  if (tagNumber === undefined) throw new Error(`object type ${type} has no structure`);
  const { subtype } = material;
  switch (type) {
    case objectType.certificate:
      return certificate.write(tagNumber, { subtype, bytes: material.bytes }, version);
    case objectType.opaqueObject:
      return opaqueObject.write(tagNumber, { subtype, bytes: material.bytes }, version);
    case objectType.certificateRequest:
      return certificateRequest.write(tagNumber, { subtype, bytes: material.bytes }, version);
    case objectType.template:
      return decode(material.bytes);
    case objectType.secretData:
      return secretData.write(tagNumber, { subtype, block: toBlock(material, version) }, version);
    case objectType.splitKey:
      return splitKey.write(tagNumber, { ...splitOf(material), block: toBlock(material, version) }, version);
    case objectType.pgpKey:
      return pgpKey.write(tagNumber, { subtype, block: toBlock(material, version) }, version);
    default:
      return key.write(tagNumber, { block: toBlock(material, version) }, version);
  }
}

function splitOf({ split }: Material): SplitPart {
  if (split === undefined) throw new Error("a split key without what it is a part of");
  return split;
}

/** KMIP Encoding Option: the bytes of the Key Material are wrapped as they are (9.1.3.2.32). */
const noEncoding = 1;

type Block = typeof keyBlock extends Shape<infer Value> ? Value : never;

function plain({ subtype, bytes: value }: { subtype: number; bytes: Buffer }): ReadObject {
  return { material: { format: 0, subtype, algorithm: 0, lengthBits: 0, bytes: value }, attributes: [] };
}

function fromBlock(block: Block, subtype: number, reading: Reading): ReadObject {
  if (block.value === undefined) throw new Refusal("KeyValueNotPresent", "The Key Block has no Key Value");
  const { format, algorithm = 0, lengthBits = 0, wrapping } = block;
  const head = { format, subtype, algorithm, lengthBits };
  if (wrapping !== undefined) {
    return { material: { ...head, ...wrappedValue(block.value, wrapping, reading) }, attributes: [] };
  }
  const value = keyValue.read(block.value, reading);
  return {
    material: { ...head, bytes: materialBytes(format, value.material, reading) },
    attributes: value.attributes,
  };
}

/**
 * A wrapped Key Value is a Byte String (2.1.3, 2.1.4). With No Encoding, the OASIS case TC-WRAP-1-14 and PyKMIP send a
 * structure whose Key Material alone is wrapped: taken too, without attributes (2.1.5).
 */
function wrappedValue(value: Item, wrapping: KeyWrapping, reading: Reading): Pick<Material, "bytes" | "wrapping"> {
  if (value.type !== itemType.structure || wrapping.encodingOption !== noEncoding) {
    return { bytes: bytes.read(value, reading), wrapping };
  }
  const { material, attributes: inKeyValue } = keyValue.read(value, reading);
  if (inKeyValue.length > 0) {
    throw new Refusal("EncodingOptionError", "Attributes are wrapped with the key in TTLV Encoding only");
  }
  return { bytes: bytes.read(material, reading), wrapping: { ...wrapping, inStructure: true } };
}

function toBlock(material: Material, version: number): Block {
  const { format, wrapping, algorithm, lengthBits } = material;
  return {
    format,
    value: wrapping === undefined ? keyValueItem(material, [], version) : wrappedItem(material, wrapping, version),
    ...(algorithm === 0 ? {} : { algorithm }),
    ...(lengthBits === 0 ? {} : { lengthBits }),
    ...(wrapping === undefined ? {} : { wrapping }),
  };
}

function wrappedItem({ bytes: wrapped }: Material, { inStructure }: KeyWrapping, version: number): Item {
  if (inStructure === undefined) return bytes.write(tag.KeyValue, wrapped, version);
  const material = bytes.write(tag.KeyMaterial, wrapped, version);
  return keyValue.write(tag.KeyValue, { material, attributes: [] }, version);
}

function keyValueItem({ format, bytes: kept }: Material, among: readonly AttributeInstance[], version: number): Item {
  const item = materialItem(format, kept, version);
  return keyValue.write(tag.KeyValue, { material: item, attributes: among }, version);
}

/** The TTLV encoding of a Key Value, as it is wrapped (2.1.5), and back. */
export const keyValueCodec: KeyValueCodec = {
  encode: (material, among, version) => encode(keyValueItem(material, among, version)),
  digested: ({ format, wrapping, bytes: kept }, version) => {
    const item =
      wrapping === undefined ? materialItem(format, kept, version) : bytes.write(tag.KeyMaterial, kept, version);
    return item.type === itemType.byteString ? ownCopy(item.value) : encode(item);
  },
  decode: (encoded, format, version) => {
    const reading = { version, placeholders: { last: undefined } };
    return materialBytes(format, keyValue.read(decode(encoded), reading).material, reading);
  },
};
