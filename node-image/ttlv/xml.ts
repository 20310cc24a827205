import { ByteWriter } from "./byte-writer.ts";
import {
  bigDigits,
  dateText,
  extendedDateText,
  hex,
  maskWords,
  primitiveOf,
  typeWords,
  wordOfType,
} from "./text-values.ts";
import { DecodeError, type Item, itemType, limits } from "./types.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Reads one message in KMIP's XML form (KMIP Profiles 1.4, 5.6): elements and attributes only, no declarations of types or entities. Throws DecodeError. */
export function decodeXml(bytes: Buffer, vocabulary: Vocabulary): Item {
  const reader: Reader = { bytes, at: 0, items: 0, vocabulary };
  skipSpace(reader);
  if (startsWith(reader, "<?xml ")) skipDeclaration(reader);
  skipSpace(reader);
  const item = readElement(reader, 0, undefined);
  skipSpace(reader);
  if (reader.at !== bytes.length) throw new DecodeError("Something follows the message", reader.at);
  return item;
}

interface Reader {
  readonly bytes: Buffer;
  at: number;
  items: number;
  readonly vocabulary: Vocabulary;
}

const space: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);
const [lessThan, quote, ampersand, semicolon] = [0x3c, 0x22, 0x26, 0x3b];
/** As "#x10ffff". */
const entityMaxLength = 8;

function skipSpace(reader: Reader): void {
  while (space.has(reader.bytes[reader.at] ?? 0)) reader.at++;
}

function startsWith({ bytes, at }: Reader, text: string): boolean {
  return bytes.toString("latin1", at, at + text.length) === text;
}

function expect(reader: Reader, text: string): void {
  if (!startsWith(reader, text)) throw new DecodeError(`"${text}" is missing`, reader.at);
  reader.at += text.length;
}

function skipDeclaration(reader: Reader): void {
  const end = reader.bytes.indexOf("?>", reader.at);
  if (end < 0 || end - reader.at > 200) throw new DecodeError("The XML declaration does not end", reader.at);
  reader.at = end + 2;
}

/** A name of letters, digits, "_", "-". */
function readName(reader: Reader): string {
  const { bytes, at } = reader;
  const name = /^[A-Za-z_][\w-]{0,127}/.exec(bytes.toString("latin1", at, at + 128))?.[0];
  if (name === undefined) throw new DecodeError("A name is missing", at);
  reader.at += name.length;
  return name;
}

interface Attribute {
  readonly value: Buffer;
  readonly offset: number;
}

function readAttributes(reader: Reader): ReadonlyMap<string, Attribute> {
  const found = new Map<string, Attribute>();
  for (;;) {
    const before = reader.at;
    skipSpace(reader);
    const next = reader.bytes[reader.at];
    if (next === 0x2f || next === 0x3e) return found;
    if (before === reader.at || found.size === 4) throw new DecodeError("An element is not closed", reader.at);
    const name = readName(reader);
    expect(reader, '="');
    const end = reader.bytes.indexOf(quote, reader.at);
    if (end < 0) throw new DecodeError("A value does not end", reader.at);
    if (found.has(name)) throw new DecodeError(`The attribute ${name} is given twice`, reader.at);
    found.set(name, { value: reader.bytes.subarray(reader.at, end), offset: reader.at });
    reader.at = end + 1;
  }
}

function readElement(reader: Reader, depth: number, attributeName: string | undefined): Item {
  const start = reader.at;
  if (depth >= limits.depth) throw new DecodeError(`Structures are nested deeper than ${limits.depth}`, start);
  if (++reader.items > limits.items) throw new DecodeError(`The message has more than ${limits.items} items`, start);
  expect(reader, "<");
  const name = readName(reader);
  const attributes = readAttributes(reader);
  const tag = tagOf(name, attributes, reader);
  const word = attributes.get("type")?.value.toString("latin1") ?? "Structure";
  const type = typeWords.get(word);
  if (type === undefined) throw new DecodeError("A type does not exist", start, tag);
  const empty = reader.bytes[reader.at] === 0x2f;
  expect(reader, empty ? "/>" : ">");
  const value = attributes.get("value");
  if (type === itemType.structure) {
    if (value !== undefined) throw new DecodeError("A structure has no value of its own", value.offset, tag);
    return { tag, type, value: empty ? [] : readChildren(reader, name, depth) };
  }
  if (!empty) closeTag(reader, name);
  if (value === undefined) throw new DecodeError("A value is missing", start, tag);
  const place = { tag, offset: value.offset, attribute: attributeName, vocabulary: reader.vocabulary };
  return primitiveOf(type, unescaped(value, tag), place);
}

/** Tags without a name are written as <TTLV tag="0x…">. */
function tagOf(name: string, attributes: ReadonlyMap<string, Attribute>, reader: Reader): number {
  const known = reader.vocabulary.tagOf(name);
  if (known !== undefined) return known;
  const number = name === "TTLV" ? attributes.get("tag")?.value.toString("latin1") : undefined;
  if (number === undefined || !/^0x(42|54)[0-9a-fA-F]{4}$/.test(number))
    throw new DecodeError("An element's name is not known", reader.at);
  return Number(number);
}

function readChildren(reader: Reader, name: string, depth: number): Item[] {
  const children: Item[] = [];
  let attributeName: string | undefined;
  for (;;) {
    skipSpace(reader);
    if (reader.bytes[reader.at] !== lessThan) throw new DecodeError("Text stands between elements", reader.at);
    if (reader.bytes[reader.at + 1] === 0x2f) {
      closeTag(reader, name);
      return children;
    }
    const child = readElement(reader, depth + 1, attributeName);
    if (child.type === itemType.textString && reader.vocabulary.wordOfTag(child.tag) === "AttributeName")
      attributeName = child.value;
    children.push(child);
  }
}

function closeTag(reader: Reader, name: string): void {
  skipSpace(reader);
  expect(reader, `</${name}`);
  skipSpace(reader);
  expect(reader, ">");
}

const entities: ReadonlyMap<string, string> = new Map([
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
  ["amp", "&"],
]);

/** Entities only ever become shorter. Not by a regular expression: that finds all of a value first, a hundred times its size. */
function unescaped({ value, offset }: Attribute, tag: number): Buffer {
  if (value.includes(lessThan)) throw new DecodeError('A value contains "<"', offset, tag);
  if (value.some((byte) => byte < 0x20 && !space.has(byte)))
    throw new DecodeError("A value has a control character, which XML does not allow", offset, tag);
  if (!value.includes(ampersand)) return value;
  const result = Buffer.alloc(value.length);
  let used = 0;
  let at = 0;
  for (let next = value.indexOf(ampersand); next >= 0; next = value.indexOf(ampersand, at)) {
    used += value.copy(result, used, at, next);
    const name = value.toString("latin1", next + 1, next + 2 + entityMaxLength).split(";", 1)[0] ?? "";
    const character = entities.get(name) ?? numericEntity(name);
    at = next + 1 + name.length;
    if (character === undefined || value[at] !== semicolon)
      throw new DecodeError("A value has an entity that is not known", offset, tag);
    used += result.write(character, used, "utf8");
    at += 1;
  }
  used += value.copy(result, used, at);
  return result.subarray(0, used);
}

function numericEntity(name: string): string | undefined {
  const digits = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name);
  if (digits === null) return undefined;
  const point = digits[1] === undefined ? Number(digits[2]) : Number.parseInt(digits[1], 16);
  const sign = point > 0x10ffff ? "" : String.fromCodePoint(point);
  return sign === "" || sign.search(unwritable) >= 0 ? undefined : sign;
}

/** Writes a message in KMIP's XML form; the buffer is the caller's to send and to zero. */
export function encodeXml(item: Item, vocabulary: Vocabulary): Buffer {
  const writer = new ByteWriter();
  writer.text('<?xml version="1.0" encoding="UTF-8"?>\n');
  writeElement(writer, item, { vocabulary, attribute: undefined });
  return writer.finish();
}

interface Around {
  readonly vocabulary: Vocabulary;
  readonly attribute: string | undefined;
}

function writeElement(writer: ByteWriter, item: Item, around: Around): void {
  const name = around.vocabulary.wordOfTag(item.tag);
  writer.text(name === undefined ? `<TTLV tag="${hex(item.tag, 6)}"` : `<${name}`);
  if (item.type === itemType.structure) {
    writeChildren(writer, item, { name: name ?? "TTLV", vocabulary: around.vocabulary });
    return;
  }
  writer.text(` type="${wordOfType.get(item.type)}" value="`);
  if (item.type === itemType.byteString) writer.hex(item.value);
  else writer.text(valueText(item, around));
  writer.text('"/>\n');
}

interface Named {
  readonly name: string;
  readonly vocabulary: Vocabulary;
}

function writeChildren(writer: ByteWriter, item: Item & { type: 1 }, { name, vocabulary }: Named): void {
  writer.text(item.value.length === 0 ? "/>\n" : ">\n");
  let attribute: string | undefined;
  for (const child of item.value) {
    writeElement(writer, child, { vocabulary, attribute });
    if (child.type === itemType.textString && vocabulary.wordOfTag(child.tag) === "AttributeName")
      attribute = child.value;
  }
  if (item.value.length > 0) writer.text(`</${name}>\n`);
}

function valueText(item: Exclude<Item, { type: 1 | 8 }>, { vocabulary, attribute }: Around): string {
  switch (item.type) {
    case itemType.textString:
      return escaped(item.value);
    case itemType.enumeration:
      return vocabulary.wordOfValue(item.tag, item.value, attribute) ?? hex(item.value, 8);
    case itemType.integer:
      return maskWords(item.value, vocabulary.bitsOf(item.tag, attribute))?.join(" ") ?? `${item.value}`;
    case itemType.bigInteger:
      return bigDigits(item.value);
    case itemType.dateTime:
      return dateText(item.value);
    case itemType.dateTimeExtended:
      return extendedDateText(item.value);
    default:
      return `${item.value}`;
  }
}

/** What no XML may have, not even as a reference (XML 1.0, 2.2): an answer with one of these would be read by nobody. */
const unwritable = /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

/** Line ends and tabs too: an XML reader would make spaces of them. What cannot be written is told as U+FFFD. */
function escaped(text: string): string {
  return text.replace(unwritable, "\ufffd").replace(/[<>"'&\t\n\r]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
