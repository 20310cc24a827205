import { randomFillSync } from "node:crypto";

/** Makes nonces that never repeat. */
export interface NonceSource {
  /** At least 12 bytes. */
  next(bytes: number): Buffer;
}

const counterBytes = 4;
const counterMax = 0xffff_ffff;
const prefixBytes = 8;

/**
 * Random field and counter (the shape of SP 800-38D, 8.2.1): within a process no nonce is ever made twice, whatever the key;
 * between processes and nodes the 64 random bits of each process, renewed after 2³² nonces, keep them apart.
 */
export function nonceSource(random: (into: Buffer) => Buffer = randomFillSync): NonceSource {
  const prefix = Buffer.alloc(prefixBytes);
  let counter = counterMax;
  return {
    next: (bytes) => {
      if (counter === counterMax) {
        random(prefix);
        counter = 0;
      }
      counter += 1;
      const nonce = random(Buffer.alloc(bytes));
      nonce.set(prefix, 0);
      nonce.writeUInt32BE(counter, bytes - counterBytes);
      return nonce;
    },
  };
}
