import { toNumber, unsigned } from "../cryptography/bytes.ts";
import {
  derToTransparent,
  type TransparentKey,
  transparentFormats,
  transparentToDer,
} from "../cryptography/transparent.ts";
import { keyFormatType } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { one, optional, structure } from "./fields.ts";
import { anyEnumeration, bytes, expect, type Reading, type Shape } from "./shape.ts";
import { tag, tagName } from "./tags.ts";

/** Bits of one number of a key: OpenSSL works with no longer ones, and they would be long to work with. */
const numberBitsMax = 16_384;

/** An unsigned number as big-endian bytes. */
const unsignedBytes: Shape<Buffer> = {
  read: (item) => {
    const { value } = expect(item, itemType.bigInteger);
    if (value < 0n) throw new Refusal("InvalidField", `${tagName(item.tag)} is negative`);
    if (value >> BigInt(numberBitsMax) !== 0n)
      throw new Refusal("InvalidField", `${tagName(item.tag)} has more than ${numberBitsMax} bits`);
    return unsigned(value);
  },
  write: (number, value) => ({ tag: number, type: itemType.bigInteger, value: toNumber(value) }),
};

const transparentSymmetric = structure({ key: one(tag.Key, bytes) });

/** All members of the transparent structures of key pairs (2.1.7.4 to 2.1.7.15), in an order that suits each of them. */
const transparentPair: Shape<TransparentKey> = structure({
  modulus: optional(tag.Modulus, unsignedBytes),
  privateExponent: optional(tag.PrivateExponent, unsignedBytes),
  publicExponent: optional(tag.PublicExponent, unsignedBytes),
  recommendedCurve: optional(tag.RecommendedCurve, anyEnumeration),
  p: optional(tag.P, unsignedBytes),
  q: optional(tag.Q, unsignedBytes),
  g: optional(tag.G, unsignedBytes),
  j: optional(tag.J, unsignedBytes),
  primeExponentP: optional(tag.PrimeExponentP, unsignedBytes),
  primeExponentQ: optional(tag.PrimeExponentQ, unsignedBytes),
  crtCoefficient: optional(tag.CRTCoefficient, unsignedBytes),
  x: optional(tag.X, unsignedBytes),
  y: optional(tag.Y, unsignedBytes),
  d: optional(tag.D, unsignedBytes),
  qString: optional(tag.QString, bytes),
}) as Shape<TransparentKey>;

/** The bytes that are kept of a Key Material (2.1.4): transparent key pairs become DER. Throws Refusal. */
export function materialBytes(format: number, item: Item, reading: Reading): Buffer {
  if (format === keyFormatType.transparentSymmetricKey) return transparentSymmetric.read(item, reading).key;
  if (transparentFormats[format] !== undefined) return transparentToDer(format, transparentPair.read(item, reading));
  if (item.type !== itemType.byteString) {
    throw new Refusal("KeyFormatTypeNotSupported", "This Key Format Type has a Byte String as Key Material");
  }
  return item.value;
}

/** The Key Material of kept bytes. Throws Refusal. */
export function materialItem(format: number, kept: Buffer, version: number): Item {
  if (format === keyFormatType.transparentSymmetricKey) {
    return transparentSymmetric.write(tag.KeyMaterial, { key: kept }, version);
  }
  if (transparentFormats[format] === undefined) return bytes.write(tag.KeyMaterial, kept, version);
  const numbers = derToTransparent(format, kept);
  try {
    return transparentPair.write(tag.KeyMaterial, numbers, version);
  } finally {
    for (const [name, value] of Object.entries(numbers))
      if (Buffer.isBuffer(value) && name !== "qString") value.fill(0);
  }
}
