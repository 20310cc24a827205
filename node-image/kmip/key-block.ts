import type { AttributeInstance } from "../objects/attributes.ts";
import { keyFormatType, objectType } from "../objects/enumerations.ts";
import type { Material } from "../objects/material.ts";
import { Refusal } from "../objects/refusal.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { attribute, attributes } from "./attributes.ts";
import { enumerations as known } from "./enumerations.ts";
import { byVersion, group, list, one, optional, structure } from "./fields.ts";
import { anyEnumeration, anyItem, bytes, enumeration, integer, type Reading, type Shape } from "./shape.ts";
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
  lengthBits: optional(tag.CryptographicLength, integer),
  wrapping: optional(tag.KeyWrappingData, anyItem),
});

const keyValue = structure({
  material: one(tag.KeyMaterial, anyItem),
  attributes: byVersion(list(tag.Attribute, attribute, 10, 20), group(tag.Attributes, attributes, 20)),
});

const transparentSymmetric = structure({ key: one(tag.Key, bytes) });
const key = structure({ block: one(tag.KeyBlock, keyBlock) });
const certificate = structure({
  subtype: one(tag.CertificateType, enumeration(known.certificateType)),
  bytes: one(tag.CertificateValue, bytes),
});
const secretData = structure({
  subtype: one(tag.SecretDataType, anyEnumeration),
  block: one(tag.KeyBlock, keyBlock),
});
const opaqueObject = structure({
  subtype: one(tag.OpaqueDataType, anyEnumeration),
  bytes: one(tag.OpaqueDataValue, bytes),
});

/** A Template is kept as it came (2.2.6). */
const template = structure({ attributes: list(tag.Attribute, attribute) });

/** Reads the object of a Register request. Throws Refusal. */
export function readObject(type: number, item: Item, reading: Reading): ReadObject {
  switch (type) {
    case objectType.certificate:
      return plain(certificate.read(item, reading));
    case objectType.opaqueObject:
      return plain(opaqueObject.read(item, reading));
    case objectType.template:
      template.read(item, reading);
      return plain({ subtype: 0, bytes: encode(item) });
    case objectType.secretData: {
      const { subtype, block } = secretData.read(item, reading);
      return fromBlock(block, subtype, reading);
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
    case objectType.template:
      return decode(material.bytes);
    case objectType.secretData:
      return secretData.write(tagNumber, { subtype, block: toBlock(material, version) }, version);
    default:
      return key.write(tagNumber, { block: toBlock(material, version) }, version);
  }
}

type Block = typeof keyBlock extends Shape<infer Value> ? Value : never;

function plain({ subtype, bytes: value }: { subtype: number; bytes: Buffer }): ReadObject {
  return { material: { format: 0, subtype, algorithm: 0, lengthBits: 0, bytes: value }, attributes: [] };
}

function fromBlock(block: Block, subtype: number, reading: Reading): ReadObject {
  if (block.wrapping !== undefined) {
    throw new Refusal(
      "FeatureNotSupported",
      "Wrapped keys are not taken here: register the key in clear over this TLS link",
    );
  }
  if (block.compression !== undefined) {
    throw new Refusal("KeyCompressionTypeNotSupported", "Key Compression Type is not supported: leave it out");
  }
  if (block.value === undefined) throw new Refusal("KeyValueNotPresent", "The Key Block has no Key Value");
  const value = keyValue.read(block.value, reading);
  return {
    material: {
      format: block.format,
      subtype,
      algorithm: block.algorithm ?? 0,
      lengthBits: block.lengthBits ?? 0,
      bytes: materialBytes(block.format, value.material, reading),
    },
    attributes: value.attributes,
  };
}

/** Transparent keys other than symmetric ones are structures of numbers; they are not taken apart here. */
function materialBytes(format: number, item: Item, reading: Reading): Buffer {
  if (format === keyFormatType.transparentSymmetricKey) return transparentSymmetric.read(item, reading).key;
  if (item.type !== itemType.byteString) {
    throw new Refusal(
      "KeyFormatTypeNotSupported",
      "Transparent key formats are taken for symmetric keys only: send the key's DER encoding",
    );
  }
  return item.value;
}

function toBlock(material: Material, version: number): Block {
  const transparent = material.format === keyFormatType.transparentSymmetricKey;
  const item = transparent
    ? transparentSymmetric.write(tag.KeyMaterial, { key: material.bytes }, version)
    : bytes.write(tag.KeyMaterial, material.bytes, version);
  return {
    format: material.format,
    value: keyValue.write(tag.KeyValue, { material: item, attributes: [] }, version),
    ...(material.algorithm === 0 ? {} : { algorithm: material.algorithm }),
    ...(material.lengthBits === 0 ? {} : { lengthBits: material.lengthBits }),
  };
}
