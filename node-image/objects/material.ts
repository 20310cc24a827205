import type { Json } from "./types.ts";

/** The secret part of an object, as it is before sealing and after unsealing. Zero `bytes` after use. */
export interface Material {
  /** Key Format Type; 0 for certificates and opaque objects, which have no Key Block. */
  readonly format: number;
  /** Certificate Type, Secret Data Type or Opaque Data Type; 0 for keys. */
  readonly subtype: number;
  /** Cryptographic Algorithm and Length of the Key Block; 0 where it names none. */
  readonly algorithm: number;
  readonly lengthBits: number;
  readonly bytes: Buffer;
  /** Present if the bytes are a wrapped key as a client registered it. */
  readonly wrapping?: KeyWrapping;
  /** Present if the bytes are one part of a key; kept in the object's row ".split", not sealed with the bytes. */
  readonly split?: SplitPart;
}

/** What a Split Key says of itself (KMIP 1.4, 2.2.5). */
export interface SplitPart {
  readonly method: number;
  readonly parts: number;
  readonly threshold: number;
  /** Key Part Identifier, from 1. */
  readonly identifier: number;
  /** Decimal digits; for the prime field only. */
  readonly primeFieldSize?: string;
  /** Of parts that were made here: which belong together. */
  readonly set?: string;
  /** Of parts over GF(2^8) that were made here; those that have a set and none of it were made by 283. */
  readonly polynomial?: 283 | 285;
}

/** KMIP Key Wrapping Data (1.4, 2.1.5): what the bytes are wrapped with. Bytes in it are hexadecimal digits. */
export interface KeyWrapping {
  readonly wrappingMethod: number;
  readonly encryptionKey?: WrappingKeyInformation;
  readonly macSignatureKey?: WrappingKeyInformation;
  readonly macSignature?: string;
  readonly iv?: string;
  /** KMIP Encoding Option; absent means that the whole Key Value is wrapped in its TTLV encoding. */
  readonly encodingOption?: number;
  /** The wrapped bytes came as Key Material in a Key Value structure, as some clients send them; they are given so again. */
  readonly inStructure?: true;
}

/** Which key wraps, and how. */
export interface WrappingKeyInformation {
  readonly uniqueIdentifier: string;
  readonly cryptographicParameters?: Json;
}

/** The second layout has the wrapping, as JSON behind its length, before the bytes. */
const layout = { clear: 1, wrapped: 2 } as const;
const headerBytes = 17;

/** One buffer to seal: a fixed header, the wrapping if there is one, and the bytes. */
export function packMaterial(material: Material): Buffer {
  const { wrapping, bytes } = material;
  const words = wrapping === undefined ? undefined : Buffer.from(JSON.stringify(wrapping), "utf8");
  const middle = words === undefined ? 0 : 4 + words.length;
  const packed = Buffer.alloc(headerBytes + middle + bytes.length);
  packed.writeUInt8(words === undefined ? layout.clear : layout.wrapped, 0);
  packed.writeUInt32BE(material.format, 1);
  packed.writeUInt32BE(material.subtype, 5);
  packed.writeUInt32BE(material.algorithm, 9);
  packed.writeUInt32BE(material.lengthBits, 13);
  if (words !== undefined) {
    packed.writeUInt32BE(words.length, headerBytes);
    packed.set(words, headerBytes + 4);
  }
  bytes.copy(packed, headerBytes + middle);
  return packed;
}

/** The reverse; `bytes` is a view into the packed buffer. */
export function unpackMaterial(packed: Buffer): Material {
  const version = packed.length < headerBytes ? undefined : packed[0];
  if (version !== layout.clear && version !== layout.wrapped) throw new Error("unknown layout of sealed material");
  const words = version === layout.clear ? undefined : packed.readUInt32BE(headerBytes);
  const from = headerBytes + (words === undefined ? 0 : 4 + words);
  if (from > packed.length) throw new Error("sealed material ends early");
  return {
    format: packed.readUInt32BE(1),
    subtype: packed.readUInt32BE(5),
    algorithm: packed.readUInt32BE(9),
    lengthBits: packed.readUInt32BE(13),
    bytes: packed.subarray(from),
    ...(words === undefined ? {} : { wrapping: JSON.parse(packed.toString("utf8", headerBytes + 4, from)) }),
  };
}

/** What the seal is bound to, so that a row swapped in the database does not open: lengths keep the parts apart. */
export function sealContext({
  id,
  owner,
  objectType: type,
}: {
  id: string;
  owner: string;
  objectType: number;
}): Buffer {
  const bytes = Buffer.allocUnsafe(
    16 + Buffer.byteLength(purpose) + Buffer.byteLength(id) + Buffer.byteLength(owner) + 4,
  );
  let at = 0;
  for (const text of [purpose, id, owner]) {
    const length = bytes.write(text, at + 4, "utf8");
    bytes.writeUInt32BE(length, at);
    at += 4 + length;
  }
  bytes.writeUInt32BE(4, at);
  bytes.writeUInt32BE(type, at + 4);
  return bytes;
}

const purpose = "keyfleet object 1";
