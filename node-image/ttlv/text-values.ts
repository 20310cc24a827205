import { bigIntegerBytes } from "./encode.ts";
import { DecodeError, type Item, itemType } from "./types.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Words for the item types (KMIP Profiles 1.4, 5.5 and 5.6). */
export const typeWords: ReadonlyMap<string, Item["type"]> = new Map([
  ["Structure", itemType.structure],
  ["Integer", itemType.integer],
  ["LongInteger", itemType.longInteger],
  ["BigInteger", itemType.bigInteger],
  ["Enumeration", itemType.enumeration],
  ["Boolean", itemType.boolean],
  ["TextString", itemType.textString],
  ["ByteString", itemType.byteString],
  ["DateTime", itemType.dateTime],
  ["Interval", itemType.interval],
  ["DateTimeExtended", itemType.dateTimeExtended],
]);

/** The word of a type. */
export const wordOfType: ReadonlyMap<number, string> = new Map([...typeWords].map(([word, type]) => [type, word]));

/** Where a value stands and what it belongs to. */
export interface Place {
  readonly tag: number;
  readonly offset: number;
  readonly attribute: string | undefined;
  readonly vocabulary: Vocabulary;
}

/** Reads a primitive value from its characters. Byte strings are read without becoming a text. Throws DecodeError. */
export function primitiveOf(type: number, characters: Buffer, place: Place): Item {
  const { tag, offset } = place;
  if (type === itemType.byteString) return { tag, type, value: bytesOf(characters, place) };
  if (type === itemType.textString) return { tag, type, value: textOf(characters, place) };
  const text = characters.toString("latin1");
  switch (type) {
    case itemType.integer:
      return { tag, type, value: integerOf(text, place) };
    case itemType.interval:
      return { tag, type, value: Number(within(numberOf(text, 8, place), 0n, 0xffff_ffffn, place)) };
    case itemType.longInteger:
      return { tag, type, value: longOf(text, place) };
    case itemType.bigInteger:
      return { tag, type, value: bigOf(text, place) };
    case itemType.enumeration:
      return { tag, type, value: enumerationOf(text, place) };
    case itemType.dateTime:
      return { tag, type, value: dateOf(text, place) };
    case itemType.dateTimeExtended:
      return { tag, type, value: extendedDateOf(text, place) };
    case itemType.boolean:
      if (text === "true" || text === "false") return { tag, type, value: text === "true" };
      throw new DecodeError("A boolean is neither true nor false", offset, tag);
    default:
      throw new DecodeError("A structure has no value of its own", offset, tag);
  }
}

const hexDigits = new Int8Array(256).fill(-1);
for (const [value, digit] of [..."0123456789abcdef"].entries()) {
  hexDigits[digit.charCodeAt(0)] = value;
  hexDigits[digit.toUpperCase().charCodeAt(0)] = value;
}

function bytesOf(characters: Buffer, { offset, tag }: Place): Buffer {
  if (characters.length % 2 !== 0) throw new DecodeError("A byte string has an odd number of digits", offset, tag);
  const value = Buffer.alloc(characters.length / 2);
  for (let at = 0; at < value.length; at++) {
    const high = hexDigits[characters[at * 2] ?? 0] ?? -1;
    const low = hexDigits[characters[at * 2 + 1] ?? 0] ?? -1;
    if (high < 0 || low < 0) {
      value.fill(0);
      throw new DecodeError("A byte string has something else than hexadecimal digits", offset + at * 2, tag);
    }
    value[at] = high * 16 + low;
  }
  return value;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOf(characters: Buffer, { offset, tag }: Place): string {
  if (characters.includes(0)) throw new DecodeError("A text string contains a null byte", offset, tag);
  try {
    return utf8.decode(characters);
  } catch (cause) {
    throw new DecodeError(`A text string is not UTF-8 (${(cause as Error).name})`, offset, tag);
  }
}

function integerOf(text: string, place: Place): number {
  if (/^(0x|-|\d)/.test(text)) {
    const value = numberOf(text, 8, place);
    const number = text.startsWith("0x") ? BigInt.asIntN(32, value) : value;
    return Number(within(number, -0x8000_0000n, 0x7fff_ffffn, place));
  }
  const bits = place.vocabulary.bitsOf(place.tag, place.attribute);
  const words = text.split(/[ |]+/).filter((word) => word !== "");
  return words.reduce((mask, word) => {
    const bit = bits?.indexOf(word) ?? -1;
    if (bit < 0) throw new DecodeError("An integer is neither a number nor words of a mask", place.offset, place.tag);
    return mask | (1 << bit);
  }, 0);
}

/** Decimal, or "0x" and up to so many digits. */
function numberOf(text: string, digitsMax: number, { offset, tag }: Place): bigint {
  const hex = /^0x([0-9a-fA-F]+)$/.exec(text)?.[1];
  const decimal = /^-?(0|[1-9]\d{0,19})$/.test(text);
  if (!decimal && (hex === undefined || hex.length > digitsMax))
    throw new DecodeError("A number is written in no known way", offset, tag);
  return BigInt(text);
}

function within(value: bigint, min: bigint, max: bigint, { offset, tag }: Place): bigint {
  if (value < min || value > max) throw new DecodeError("A number is out of its range", offset, tag);
  return value;
}

function longOf(text: string, place: Place): bigint {
  const value = numberOf(text, 16, place);
  return within(text.startsWith("0x") ? BigInt.asIntN(64, value) : value, -(2n ** 63n), 2n ** 63n - 1n, place);
}

function bigOf(text: string, { offset, tag }: Place): bigint {
  const digits = text.startsWith("0x") ? text.slice(2) : text;
  if (!/^([0-9a-fA-F]{2})+$/.test(digits))
    throw new DecodeError("A big integer has something else than pairs of hexadecimal digits", offset, tag);
  return BigInt.asIntN(digits.length * 4, BigInt(`0x${digits}`));
}

function enumerationOf(text: string, place: Place): number {
  const { vocabulary, tag, attribute, offset } = place;
  if (text.startsWith("0x")) return Number(numberOf(text, 8, place));
  const value = vocabulary.valueOf(tag, text, attribute);
  if (value === undefined)
    throw new DecodeError("An enumeration has a word that is not known: write 0x and eight digits", offset, tag);
  return value;
}

const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

function dateOf(text: string, place: Place): bigint {
  if (text.startsWith("0x")) return longOf(text, place);
  const time = iso.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw new DecodeError("A date is not in the form of ISO 8601", place.offset, place.tag);
  return BigInt(Math.floor(time / 1000));
}

/** In microseconds; a finer fraction is cut off. */
function extendedDateOf(text: string, place: Place): bigint {
  if (text.startsWith("0x")) return longOf(text, place);
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
  const seconds = dateOf(text.replace(/\.\d+/, ""), place);
  return seconds * 1_000_000n + BigInt(fraction.slice(0, 6).padEnd(6, "0"));
}

/** The words of a mask, if every bit has one. */
export function maskWords(value: number, bits: readonly string[] | undefined): readonly string[] | undefined {
  if (bits === undefined || value === 0 || value >>> bits.length !== 0) return undefined;
  return bits.filter((_, bit) => (value & (1 << bit)) !== 0);
}

/** "0x" and so many digits, in two's complement. */
export function hex(value: number | bigint, digits: number): string {
  return `0x${BigInt.asUintN(digits * 4, BigInt(value))
    .toString(16)
    .padStart(digits, "0")}`;
}

/** Digits of a big integer, a multiple of sixteen. */
export function bigDigits(value: bigint): string {
  const digits = 2 * bigIntegerBytes(value);
  return BigInt.asUintN(digits * 4, value)
    .toString(16)
    .padStart(digits, "0");
}

/** ISO 8601 in UTC; hexadecimal for years that it has no digits for. */
export function dateText(seconds: bigint): string {
  if (seconds < -62_135_596_800n || seconds > 253_402_300_799n) return hex(seconds, 16);
  return new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "+00:00");
}

/** ISO 8601 in UTC with microseconds; hexadecimal for years that it has no digits for. */
export function extendedDateText(microseconds: bigint): string {
  const rest = ((microseconds % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const text = dateText((microseconds - rest) / 1_000_000n);
  if (text.startsWith("0x")) return hex(microseconds, 16);
  return text.replace("+00:00", `.${rest.toString().padStart(6, "0")}+00:00`);
}
