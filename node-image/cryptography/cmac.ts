import { createCipheriv, type KeyObject } from "node:crypto";
import { ownCopy } from "./bytes.ts";
import type { DigestStream } from "./hash.ts";

/** Block ciphers that CMAC works over (SP 800-38B): OpenSSL's CBC name, block size and the constant of its field. */
interface Block {
  readonly cbc: string;
  readonly bytes: number;
  readonly reduction: number;
}

/** CMAC over AES; node:crypto has none, so it is made of CBC: all blocks but the last go through it, the last one masked. */
export function aesCmac(key: KeyObject): DigestStream {
  return cmac(key, { cbc: `aes-${(key.symmetricKeySize ?? 0) * 8}-cbc`, bytes: 16, reduction: 0x87 });
}

/** CMAC over 3DES, of keys of 16 or 24 bytes. */
export function tripleDesCmac(key: KeyObject): DigestStream {
  return cmac(key, { cbc: key.symmetricKeySize === 16 ? "des-ede-cbc" : "des-ede3-cbc", bytes: 8, reduction: 0x1b });
}

function cmac(key: KeyObject, block: Block): DigestStream {
  const zero = Buffer.alloc(block.bytes);
  const chain = createCipheriv(block.cbc, key, zero).setAutoPadding(false);
  let last: Buffer = Buffer.alloc(0);
  return {
    gathered: { bytes: () => last.length, forget: () => void last.fill(0) },
    update: (data) => {
      const all = Buffer.alloc(last.length + data.length);
      all.set(last);
      all.set(data, last.length);
      // At least one byte stays back: the last block is treated apart, and only final() knows which it is.
      const through = Math.max(0, Math.ceil(all.length / block.bytes) - 1) * block.bytes;
      chain.update(all.subarray(0, through)).fill(0);
      last = ownCopy(all.subarray(through));
      all.fill(0);
    },
    final: () => {
      const encryptedZero = createCipheriv(block.cbc, key, zero).setAutoPadding(false).update(zero);
      const one = doubled(encryptedZero, block.reduction);
      const whole = last.length === block.bytes;
      const mask = whole ? one : doubled(one, block.reduction);
      const padded = Buffer.alloc(block.bytes);
      padded.set(last);
      if (!whole) padded[last.length] = 0x80;
      for (const [at, byte] of mask.entries()) padded[at] = (padded[at] ?? 0) ^ byte;
      return chain.update(padded);
    },
  };
}

/** Doubling in the field: shift left, and reduce if a bit fell out, without a branch on it. */
function doubled(block: Buffer, reduction: number): Buffer {
  const result = Buffer.alloc(block.length);
  let carry = 0;
  for (let at = block.length - 1; at >= 0; at--) {
    const byte = block[at] ?? 0;
    result[at] = ((byte << 1) | carry) & 0xff;
    carry = byte >> 7;
  }
  const end = block.length - 1;
  result[end] = (result[end] ?? 0) ^ (reduction & -carry);
  return result;
}
