import type { KeyObject } from "node:crypto";
import { keyFormatType as format } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { ownCopy } from "./bytes.ts";
import { transparentFormats } from "./transparent.ts";

/** KMIP Key Compression Type (1.4, 9.1.3.2.2). */
const compression = { uncompressed: 1, compressedPrime: 2 } as const;

/** The bytes of a key in a Key Format Type, the caller's to zero; transparent ones in the form that they are kept in. Throws Refusal. */
export function keyBytes(key: KeyObject, wanted: number, keyCompressionType?: number): Buffer {
  if (keyCompressionType !== undefined && (key.type !== "public" || key.asymmetricKeyType !== "ec")) {
    throw new Refusal("KeyCompressionTypeNotSupported", "Only public keys on elliptic curves are compressed");
  }
  try {
    return key.type === "public" ? publicBytes(key, wanted, keyCompressionType) : privateBytes(key, wanted);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw notPossible();
  }
}

function publicBytes(key: KeyObject, wanted: number, keyCompressionType: number | undefined): Buffer {
  if (keyCompressionType !== undefined) return compressed(key, wanted, keyCompressionType);
  if (wanted === format.raw) return raw(key, "raw-public");
  if (wanted === format.pkcs1) return key.export({ format: "der", type: "pkcs1" });
  if (wanted === format.x509 || fits(key, wanted)) return key.export({ format: "der", type: "spki" });
  throw notPossible();
}

function privateBytes(key: KeyObject, wanted: number): Buffer {
  if (wanted === format.raw) return raw(key, key.asymmetricKeyType?.startsWith("ml-") ? "raw-seed" : "raw-private");
  if (wanted === format.pkcs1) return key.export({ format: "der", type: "pkcs1" });
  if (wanted === format.ecPrivateKey) return key.export({ format: "der", type: "sec1" });
  if (wanted === format.pkcs8 || fits(key, wanted)) return key.export({ format: "der", type: "pkcs8" });
  throw notPossible();
}

/** The point alone, in one of the forms of X9.62. */
function compressed(key: KeyObject, wanted: number, keyCompressionType: number): Buffer {
  if (wanted !== format.raw) {
    throw new Refusal("KeyCompressionTypeNotSupported", "A compressed point is given in Key Format Type Raw only");
  }
  if (keyCompressionType === compression.uncompressed) return raw(key, "raw-public");
  if (keyCompressionType !== compression.compressedPrime) {
    throw new Refusal("KeyCompressionTypeNotSupported", "Points are given uncompressed or compressed (X9.62 prime)");
  }
  return raw(key, "raw-public", "compressed");
}

/** Whether the transparent format is one of the key's kind. */
function fits(key: KeyObject, wanted: number): boolean {
  const row = transparentFormats[wanted];
  return row !== undefined && row.type === key.type && row.keyTypes.includes(key.asymmetricKeyType ?? "");
}

function raw(key: KeyObject, kind: string, type?: string): Buffer {
  const options = { format: kind, ...(type === undefined ? {} : { type }) };
  const bytes = key.export(options as unknown as { format: "der"; type: "spki" });
  try {
    return ownCopy(bytes);
  } finally {
    bytes.fill(0);
  }
}

function notPossible(): Refusal {
  return new Refusal("KeyFormatTypeNotSupported", "The key has no form in this Key Format Type");
}
