/** Joins parts into a buffer of its own, outside the pool that small buffers share, and zeroes the parts: they may be secret. */
export function joinAndClear(parts: readonly Buffer[]): Buffer {
  const joined = Buffer.alloc(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
    part.fill(0);
  }
  return joined;
}

/** A copy in a buffer of its own. */
export function ownCopy(bytes: Uint8Array): Buffer {
  const copy = Buffer.alloc(bytes.length);
  copy.set(bytes);
  return copy;
}

/** A number as 4 bytes, big-endian. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Bytes of an unsigned number, big-endian, without leading zeros, or filled up to `length`. */
export function unsigned(value: bigint, length?: number): Buffer {
  let bytes = 1;
  for (let rest = value >> 8n; rest > 0n; rest >>= 8n) bytes += 1;
  const result = Buffer.alloc(length ?? bytes);
  let rest = value;
  for (let at = result.length - 1; at >= 0; at--) {
    result[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  if (rest !== 0n) throw new RangeError("the number is too large for its field");
  return result;
}

/** The number that bytes stand for, big-endian. */
export function toNumber(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}
