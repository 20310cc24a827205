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
  const result = Buffer.alloc(length ?? lengthOf(value));
  if (value < 0n || value >> BigInt(8 * result.length) !== 0n)
    throw new RangeError("the number is too large for its field");
  write(result, value);
  return result;
}

/** Bytes that a number needs, at least one. */
function lengthOf(value: bigint): number {
  let most = 1;
  while (value >> BigInt(8 * most) > 0n) most *= 2;
  let least = most >> 1;
  while (most - least > 1) {
    const middle = (least + most) >> 1;
    if (value >> BigInt(8 * middle) > 0n) least = middle;
    else most = middle;
  }
  return most;
}

/** Bytes that are done one by one; more are halved, since each step on a large number costs as much as its length. */
const shortBytes = 32;

function write(into: Buffer, value: bigint): void {
  if (into.length > shortBytes) {
    const low = into.length >> 1;
    write(into.subarray(0, into.length - low), value >> BigInt(8 * low));
    write(into.subarray(into.length - low), BigInt.asUintN(8 * low, value));
    return;
  }
  let rest = value;
  for (let at = into.length - 1; at >= 0; at--) {
    into[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
}

/** The number that bytes stand for, big-endian. */
export function toNumber(bytes: Uint8Array): bigint {
  if (bytes.length > shortBytes) {
    const low = bytes.length >> 1;
    const high = toNumber(bytes.subarray(0, bytes.length - low));
    return (high << BigInt(8 * low)) | toNumber(bytes.subarray(bytes.length - low));
  }
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}
