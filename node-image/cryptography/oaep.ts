import { createHash, randomFillSync } from "node:crypto";
import { uint32 } from "./bytes.ts";
import { notDecrypted } from "./cipher-failure.ts";

/** RSAES-OAEP (RFC 8017, 7.1). It is made here since node:crypto gives the mask no hash of its own, and KMIP does. */
export interface Oaep {
  /** OpenSSL's names. */
  readonly hash: string;
  readonly hashBytes: number;
  readonly maskHash: string;
  readonly label: Buffer;
}

/** EME-OAEP encoding of a message that fits. */
export function oaepEncode(message: Buffer, scheme: Oaep, size: number): Buffer {
  const { hash, hashBytes, maskHash, label } = scheme;
  const encoded = Buffer.alloc(size);
  const seed = randomFillSync(encoded.subarray(1, 1 + hashBytes));
  const block = encoded.subarray(1 + hashBytes);
  block.set(createHash(hash).update(label).digest());
  block[block.length - message.length - 1] = 1;
  block.set(message, block.length - message.length);
  mask(block, seed, maskHash);
  mask(seed, block, maskHash);
  return encoded;
}

/** The message, in a buffer of its own. All checks are made before the one answer is given (RFC 8017, 7.1.2, note). */
export function oaepDecode(encoded: Buffer, { hash, hashBytes, maskHash, label }: Oaep): Buffer {
  const seed = encoded.subarray(1, 1 + hashBytes);
  const block = encoded.subarray(1 + hashBytes);
  if (block.length < hashBytes + 1) throw notDecrypted();
  mask(seed, block, maskHash);
  mask(block, seed, maskHash);
  const wanted = createHash(hash).update(label).digest();
  let bad = encoded[0] ?? 1;
  for (let at = 0; at < hashBytes; at++) bad |= (block[at] ?? 0) ^ (wanted[at] ?? 0);
  let looking = 1;
  let start = 0;
  for (let at = hashBytes; at < block.length; at++) {
    const byte = block[at] ?? 0;
    const one = looking & equal(byte, 1);
    start |= -one & (at + 1);
    bad |= looking & (1 - equal(byte, 0)) & (1 - equal(byte, 1));
    looking &= 1 - one;
  }
  if ((bad | looking) !== 0) throw notDecrypted();
  const message = Buffer.alloc(block.length - start);
  message.set(block.subarray(start));
  return message;
}

/** XORs the MGF1 of `seed` over `bytes` (RFC 8017, B.2.1). */
export function mask(bytes: Buffer, seed: Buffer, hash: string): void {
  for (let at = 0, counter = 0; at < bytes.length; counter++) {
    const digest = createHash(hash).update(seed).update(uint32(counter)).digest();
    for (const byte of digest) {
      if (at === bytes.length) break;
      bytes[at] = (bytes[at] ?? 0) ^ byte;
      at += 1;
    }
  }
}

/** 1 if the bytes are equal, else 0, without a branch. */
function equal(one: number, other: number): number {
  return ((one ^ other) - 1) >>> 31;
}
