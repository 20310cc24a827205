import { DecodeError, type Item, itemType, limits } from "./types.ts";

/** Reads exactly one item that fills the bytes; accepts the canonical form only. Throws DecodeError. */
export function decode(bytes: Buffer): Item {
  const cursor: Cursor = { bytes, at: 0, items: 0 };
  const item = readItem(cursor, bytes.length, 0);
  if (cursor.at !== bytes.length) throw new DecodeError("Bytes follow the message", cursor.at);
  return item;
}

interface Cursor {
  readonly bytes: Buffer;
  at: number;
  items: number;
}

/** Length that a type must declare; absent types vary (9.1.1.3). */
const fixedLength: readonly (number | undefined)[] = [
  undefined, // no type 0
  undefined, // structure
  4, // integer
  8, // long integer
  undefined, // big integer
  4, // enumeration
  8, // boolean
  undefined, // text string
  undefined, // byte string
  8, // date-time
  4, // interval
  8, // date-time extended
];

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function readItem(cursor: Cursor, end: number, depth: number): Item {
  const { bytes, at } = cursor;
  if (depth >= limits.depth) throw new DecodeError(`Structures are nested deeper than ${limits.depth}`, at);
  if (++cursor.items > limits.items) throw new DecodeError(`The message has more than ${limits.items} items`, at);
  if (end - at < 8) throw new DecodeError("The item header is cut off", at);
  const first = bytes[at] as number;
  const head = uint32(bytes, at);
  const tag = head >>> 8;
  if (first !== 0x42 && first !== 0x54) throw new DecodeError("A tag begins with neither 42 nor 54", at, tag);
  const type = head & 0xff;
  const length = uint32(bytes, at + 4);
  checkLength({ tag, type, length }, at, end);
  cursor.at = at + 8;
  if (type === itemType.structure) return { tag, type, value: readChildren(cursor, at + 8 + length, depth) };
  return readPrimitive(cursor, tag, type, length);
}

function checkLength(header: { tag: number; type: number; length: number }, at: number, end: number): void {
  const { tag, type, length } = header;
  if (type < 1 || type > 11) throw new DecodeError(`Type ${type} does not exist`, at + 3, tag);
  const fixed = fixedLength[type];
  if (fixed !== undefined && length !== fixed) {
    throw new DecodeError(`Length ${length} instead of ${fixed} for type ${type}`, at + 4, tag);
  }
  const unpadded = type === itemType.structure || type === itemType.bigInteger;
  if (unpadded && length % 8 !== 0) throw new DecodeError("Length is not a multiple of eight", at + 4, tag);
  if (type === itemType.bigInteger && length === 0) throw new DecodeError("A big integer is empty", at + 4, tag);
  if (at + 8 + padded(length) > end) throw new DecodeError(`Length ${length} reaches beyond its parent`, at + 4, tag);
}

/** Buffer's own methods cost several times as much. */
function uint32(bytes: Buffer, at: number): number {
  const high = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
  return high * 256 + (bytes[at + 3] as number);
}

function padded(length: number): number {
  return Math.ceil(length / 8) * 8;
}

function readChildren(cursor: Cursor, end: number, depth: number): Item[] {
  const children: Item[] = [];
  while (cursor.at < end) children.push(readItem(cursor, end, depth + 1));
  return children;
}

function readPrimitive(cursor: Cursor, tag: number, type: number, length: number): Item {
  const { bytes, at } = cursor;
  const end = at + padded(length);
  for (let index = at + length; index < end; index++) {
    if (bytes[index] !== 0) throw new DecodeError("Padding is not zero", index, tag);
  }
  cursor.at = end;
  return primitive(bytes, { tag, type, at, length });
}

/** A value is read where it lies: views cost more than the reading. */
function primitive(bytes: Buffer, item: { tag: number; type: number; at: number; length: number }): Item {
  const { tag, type, at, length } = item;
  switch (type) {
    case itemType.integer:
      return { tag, type, value: uint32(bytes, at) | 0 };
    case itemType.enumeration:
    case itemType.interval:
      return { tag, type, value: uint32(bytes, at) };
    case itemType.longInteger:
    case itemType.dateTime:
    case itemType.dateTimeExtended:
      return { tag, type, value: bytes.readBigInt64BE(at) };
    case itemType.bigInteger:
      return { tag, type, value: bigInteger(bytes.subarray(at, at + length), tag, at) };
    case itemType.boolean:
      return { tag, type, value: boolean(bytes, tag, at) };
    case itemType.textString:
      return { tag, type, value: text(bytes, { tag, at, length }) };
    default:
      return { tag, type: itemType.byteString, value: bytes.subarray(at, at + length) };
  }
}

function boolean(bytes: Buffer, tag: number, at: number): boolean {
  const number = bytes.readBigUInt64BE(at);
  if (number > 1n) throw new DecodeError("A boolean is neither 0 nor 1", at, tag);
  return number === 1n;
}

function text(bytes: Buffer, item: { tag: number; at: number; length: number }): string {
  const { tag, at, length } = item;
  // Most texts are short and ASCII: one look at each byte spares the decoder.
  if (length <= asciiMax && isAscii(bytes, at, at + length)) return bytes.toString("latin1", at, at + length);
  const value = bytes.subarray(at, at + length);
  // 9.1.1.4 knows no null-termination, and a null inside a text is cut or refused by what stores it.
  if (value.includes(0)) throw new DecodeError("A text string contains a null byte", at, tag);
  try {
    return utf8.decode(value);
  } catch (cause) {
    throw new DecodeError(`A text string is not UTF-8 (${(cause as Error).name})`, at, tag);
  }
}

const asciiMax = 256;

/** Without null bytes. */
function isAscii(bytes: Buffer, from: number, end: number): boolean {
  for (let at = from; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte === 0 || byte >= 0x80) return false;
  }
  return true;
}

/** Two's complement; leading bytes beyond the next multiple of eight have a shorter form and are refused. */
function bigInteger(value: Buffer, tag: number, at: number): bigint {
  const magnitude = BigInt(`0x${value.toString("hex")}`);
  const number = BigInt.asIntN(value.length * 8, magnitude);
  if (value.length > 8 && BigInt.asIntN((value.length - 8) * 8, number) === number) {
    throw new DecodeError("A big integer has needless leading bytes", at, tag);
  }
  return number;
}
