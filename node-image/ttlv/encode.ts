import { type Item, itemType } from "./types.ts";

/** Writes an item in its canonical form; the buffer is the caller's to send and to zero. */
export function encode(item: Item): Buffer {
  // Short ones share a slab: memory of its own for each costs more than all of the writing.
  const writer: Writer = { bytes: Buffer.allocUnsafe(encodedBytes(item)).fill(0), at: 0 };
  write(writer, item);
  return writer.bytes;
}

interface Writer {
  readonly bytes: Buffer;
  at: number;
}

/** Bytes of the item with header and padding: measured first, so that no secret is left in an outgrown buffer. */
export function encodedBytes(item: Item): number {
  switch (item.type) {
    case itemType.structure:
      return structureBytes(item.value);
    case itemType.textString:
      return 8 + padded(Buffer.byteLength(item.value));
    case itemType.byteString:
      return 8 + padded(item.value.length);
    case itemType.bigInteger:
      return 8 + bigIntegerBytes(item.value);
    default:
      return 16;
  }
}

function structureBytes(children: readonly Item[]): number {
  let sum = 8;
  for (const child of children) sum += encodedBytes(child);
  return sum;
}

function padded(length: number): number {
  return (length + 7) & ~7;
}

function write(writer: Writer, item: Item): void {
  const start = writer.at;
  // The tag in three bytes, the type in one.
  put(writer.bytes, start, (item.tag << 8) | item.type);
  writer.at = start + 8;
  const length = writeValue(writer, item);
  put(writer.bytes, start + 4, length);
  writer.at = start + 8 + padded(length);
}

/** 32 bits, the highest first; Buffer's own methods cost several times as much. */
function put(bytes: Buffer, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Writes the value at the cursor; returns its length without padding. */
function writeValue(writer: Writer, item: Item): number {
  const { bytes, at } = writer;
  switch (item.type) {
    case itemType.structure:
      for (const child of item.value) write(writer, child);
      return writer.at - at;
    case itemType.integer:
      if ((item.value | 0) !== item.value) throw new RangeError(`${item.value} is no 32-bit integer`);
      put(bytes, at, item.value);
      return 4;
    case itemType.enumeration:
    case itemType.interval:
      if (item.value >>> 0 !== item.value) throw new RangeError(`${item.value} is no unsigned 32-bit integer`);
      put(bytes, at, item.value);
      return 4;
    case itemType.longInteger:
    case itemType.dateTime:
    case itemType.dateTimeExtended:
      bytes.writeBigInt64BE(item.value, at);
      return 8;
    case itemType.bigInteger:
      return writeBigInteger(writer, item.value);
    case itemType.boolean:
      bytes.writeUInt8(item.value ? 1 : 0, at + 7);
      return 8;
    case itemType.textString:
      return bytes.write(item.value, at, "utf8");
    case itemType.byteString:
      return item.value.copy(bytes, at);
  }
}

/** The shortest multiple of eight that holds the number in two's complement. Told by its digits: to try one after another takes for ever. */
export function bigIntegerBytes(value: bigint): number {
  const digits = (value < 0n ? ~value : value).toString(16);
  const bits = 4 * (digits.length - 1) + 32 - Math.clz32(Number.parseInt(digits.charAt(0), 16));
  return 8 * Math.ceil((bits + 1) / 64);
}

function writeBigInteger(writer: Writer, value: bigint): number {
  const length = bigIntegerBytes(value);
  const digits = BigInt.asUintN(length * 8, value)
    .toString(16)
    .padStart(length * 2, "0");
  return writer.bytes.write(digits, writer.at, "hex");
}
