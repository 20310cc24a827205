import { createHash, randomFillSync } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import { sameBytes } from "./hash.ts";
import { mask } from "./oaep.ts";

/** EMSA-PSS (RFC 8017, 9.1), for digests that the client made and for masks of another hash; OpenSSL does the rest. */
export interface Pss {
  /** OpenSSL's names. */
  readonly hash: string;
  readonly maskHash: string;
  /** For verification undefined: then it is read from the encoding. */
  readonly saltBytes: number | undefined;
}

/** The encoding of a digest for a modulus of `modulusBits`. */
export function pssEncode(
  digest: Buffer,
  modulusBits: number,
  { hash, maskHash, saltBytes = digest.length }: Pss,
): Buffer {
  const size = Math.ceil((modulusBits - 1) / 8);
  if (size < digest.length + saltBytes + 2) throw new Refusal("InvalidField", "The salt does not fit this key");
  const salt = randomFillSync(Buffer.alloc(saltBytes));
  const encoded = Buffer.alloc(size);
  const block = encoded.subarray(0, size - digest.length - 1);
  const check = hashOf(digest, salt, hash);
  block[block.length - saltBytes - 1] = 1;
  block.set(salt, block.length - saltBytes);
  mask(block, check, maskHash);
  block[0] = (block[0] ?? 0) & topMask(modulusBits);
  encoded.set(check, block.length);
  encoded[size - 1] = 0xbc;
  return encoded;
}

/** Whether an encoding is one of the digest. */
export function pssHolds(encoded: Buffer, digest: Buffer, modulusBits: number, scheme: Pss): boolean {
  const size = Math.ceil((modulusBits - 1) / 8);
  const bytes = encoded.subarray(encoded.length - size);
  if (size < digest.length + 2 || bytes.at(-1) !== 0xbc || encoded.length - size > 1) return false;
  if (encoded.length > size && encoded[0] !== 0) return false;
  const block = Buffer.alloc(size - digest.length - 1);
  block.set(bytes.subarray(0, block.length));
  if (((block[0] ?? 0) & ~topMask(modulusBits)) !== 0) return false;
  const check = bytes.subarray(block.length, size - 1);
  mask(block, check, scheme.maskHash);
  block[0] = (block[0] ?? 0) & topMask(modulusBits);
  const one = block.findIndex((byte) => byte !== 0);
  const salt = block.subarray(one + 1);
  if (block[one] !== 1 || salt.length !== (scheme.saltBytes ?? salt.length)) return false;
  return sameBytes(hashOf(digest, salt, scheme.hash), check);
}

function hashOf(digest: Buffer, salt: Buffer, hash: string): Buffer {
  return createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest();
}

/** The bits of the first byte that a number below the modulus may have. */
function topMask(modulusBits: number): number {
  return 0xff >> ((8 - ((modulusBits - 1) % 8)) % 8);
}
