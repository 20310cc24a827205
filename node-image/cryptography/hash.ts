import { createHash, timingSafeEqual } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import type { Gathering } from "./gather.ts";

/** A computation over data that comes in parts: digests, codes, signatures. */
export interface DigestStream extends Gathering {
  update(data: Buffer): void;
  final(): Buffer;
}

/** OpenSSL's names by KMIP Hashing Algorithm (1.4, 9.1.3.2.16); what is absent is not offered: MD2, MD4, Tiger, Whirlpool. */
const names: Readonly<Record<number, string>> = {
  3: "md5",
  4: "sha1",
  5: "sha224",
  6: "sha256",
  7: "sha384",
  8: "sha512",
  9: "ripemd160",
  12: "sha512-224",
  13: "sha512-256",
  14: "sha3-224",
  15: "sha3-256",
  16: "sha3-384",
  17: "sha3-512",
};

/** OpenSSL's name of a KMIP Hashing Algorithm. Throws Refusal. */
export function hashName(hashingAlgorithm: number): string {
  const name = names[hashingAlgorithm];
  if (name === undefined) {
    throw new Refusal(
      "FeatureNotSupported",
      "This Hashing Algorithm is not offered: use SHA-256 or another of SHA-2, SHA-3",
      "UnsupportedCryptographicParameters",
    );
  }
  return name;
}

/** A digest in parts. Throws Refusal. */
export function hashStream(hashingAlgorithm: number): DigestStream {
  const hash = createHash(hashName(hashingAlgorithm));
  return { update: (data) => void hash.update(data), final: () => hash.digest() };
}

/** The digest's length in bytes, by OpenSSL's name. */
export function digestBytes(name: string): number {
  return createHash(name).digest().length;
}

/** Whether two byte strings are the same, in a time that depends on their lengths only. */
export function sameBytes(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
