import { createHash } from "node:crypto";
import { hashingAlgorithm, keyFormatType } from "./enumerations.ts";
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
}

const layoutVersion = 1;
const headerBytes = 17;

/** One buffer to seal: a fixed header and the bytes. */
export function packMaterial(material: Material): Buffer {
  const packed = Buffer.alloc(headerBytes + material.bytes.length);
  packed.writeUInt8(layoutVersion, 0);
  packed.writeUInt32BE(material.format, 1);
  packed.writeUInt32BE(material.subtype, 5);
  packed.writeUInt32BE(material.algorithm, 9);
  packed.writeUInt32BE(material.lengthBits, 13);
  material.bytes.copy(packed, headerBytes);
  return packed;
}

/** The reverse; `bytes` is a view into the packed buffer. */
export function unpackMaterial(packed: Buffer): Material {
  if (packed.length < headerBytes || packed[0] !== layoutVersion) throw new Error("unknown layout of sealed material");
  return {
    format: packed.readUInt32BE(1),
    subtype: packed.readUInt32BE(5),
    algorithm: packed.readUInt32BE(9),
    lengthBits: packed.readUInt32BE(13),
    bytes: packed.subarray(headerBytes),
  };
}

/** What the seal is bound to, so that a row swapped in the database does not open: lengths keep the parts apart. */
export function sealContext(object: { id: string; owner: string; objectType: number }): Buffer {
  const parts = ["keyfleet object 1", object.id, object.owner].map((part) => Buffer.from(part, "utf8"));
  const type = Buffer.alloc(4);
  type.writeUInt32BE(object.objectType);
  return Buffer.concat([...parts, type].flatMap((part) => [lengthPrefix(part), part]));
}

function lengthPrefix(part: Buffer): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(part.length);
  return prefix;
}

/** An instance of the Digest attribute (3.17) over the bytes as they are stored. */
export function digestOf(material: Material): Json {
  return {
    hashingAlgorithm: hashingAlgorithm.sha256,
    digestValue: createHash("sha256").update(material.bytes).digest("hex"),
    ...(material.format === 0 ? {} : { keyFormatType: material.format || keyFormatType.raw }),
  };
}
