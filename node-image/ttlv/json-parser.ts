import { DecodeError } from "./types.ts";

/** JSON as it stands in the bytes: strings (escapes undone) and numbers as their characters, so that secrets stay bytes. */
export type JsonNode =
  | { readonly kind: "string" | "number" | "word"; readonly offset: number; readonly value: Buffer }
  | { readonly kind: "array"; readonly offset: number; readonly elements: readonly JsonNode[] }
  | { readonly kind: "object"; readonly offset: number; readonly members: ReadonlyMap<string, JsonNode> };

interface Parser {
  readonly bytes: Buffer;
  at: number;
  nodes: number;
  readonly bounds: { readonly depth: number; readonly nodes: number };
}

/** Parses one JSON text that fills the bytes (RFC 8259), within bounds; a member given twice is refused. Throws DecodeError. */
export function parseJson(bytes: Buffer, bounds: Parser["bounds"]): JsonNode {
  const parser: Parser = { bytes, at: 0, nodes: 0, bounds };
  const node = readNode(parser, 0);
  skipSpace(parser);
  if (parser.at !== bytes.length) throw new DecodeError("Something follows the message", parser.at);
  return node;
}

function skipSpace(parser: Parser): void {
  const { bytes } = parser;
  for (let next = bytes[parser.at]; next === 0x20 || next === 0x0a || next === 0x0d || next === 0x09; ) {
    parser.at += 1;
    next = bytes[parser.at];
  }
}

function readNode(parser: Parser, depth: number): JsonNode {
  skipSpace(parser);
  const { at: offset, bounds } = parser;
  if (depth >= bounds.depth) throw new DecodeError(`JSON is nested deeper than ${bounds.depth}`, offset);
  if (++parser.nodes > bounds.nodes) throw new DecodeError(`JSON has more than ${bounds.nodes} values`, offset);
  switch (parser.bytes[offset]) {
    case 0x7b:
      return readObject(parser, depth);
    case 0x5b:
      return readArray(parser, depth);
    case 0x22:
      return { kind: "string", offset, value: readString(parser) };
    default:
      return readBare(parser);
  }
}

function readBare(parser: Parser): JsonNode {
  const { bytes, at: offset } = parser;
  const text = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/.exec(
    bytes.toString("latin1", offset, offset + 64),
  )?.[0];
  if (text === undefined) throw new DecodeError("A JSON value is missing", offset);
  parser.at += text.length;
  return { kind: /^[tfn]/.test(text) ? "word" : "number", offset, value: bytes.subarray(offset, parser.at) };
}

/** Reads what stands between two brackets, with commas between. */
function readList(parser: Parser, close: number, readOne: () => void): void {
  parser.at += 1;
  skipSpace(parser);
  if (parser.bytes[parser.at] === close) {
    parser.at += 1;
    return;
  }
  for (;;) {
    readOne();
    skipSpace(parser);
    const next = parser.bytes[parser.at];
    if (next !== 0x2c && next !== close) throw new DecodeError("A comma or a closing bracket is missing", parser.at);
    parser.at += 1;
    if (next === close) return;
  }
}

function readArray(parser: Parser, depth: number): JsonNode {
  const offset = parser.at;
  const elements: JsonNode[] = [];
  readList(parser, 0x5d, () => void elements.push(readNode(parser, depth + 1)));
  return { kind: "array", offset, elements };
}

function readObject(parser: Parser, depth: number): JsonNode {
  const offset = parser.at;
  const members = new Map<string, JsonNode>();
  readList(parser, 0x7d, () => {
    skipSpace(parser);
    if (parser.bytes[parser.at] !== 0x22) throw new DecodeError("A member's name is missing", parser.at);
    const name = readString(parser).toString("latin1");
    if (members.has(name)) throw new DecodeError("A member is given twice", parser.at);
    skipSpace(parser);
    if (parser.bytes[parser.at] !== 0x3a) throw new DecodeError("A colon is missing", parser.at);
    parser.at += 1;
    members.set(name, readNode(parser, depth + 1));
  });
  return { kind: "object", offset, members };
}

const simpleEscapes: ReadonlyMap<number, number> = new Map(
  Object.entries({ '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" }).map(
    ([sign, character]) => [sign.charCodeAt(0), character.charCodeAt(0)],
  ),
);

/** The characters of a string, a view where it has no escapes. */
function readString(parser: Parser): Buffer {
  const { bytes } = parser;
  const start = parser.at + 1;
  let escaped = false;
  for (let at = start; ; at++) {
    const byte = bytes[at];
    if (byte === undefined || byte < 0x20)
      // What a backslash stands before may be behind the end.
      throw new DecodeError("A string does not end, or has a control character", Math.min(at, bytes.length));
    if (byte === 0x5c) {
      escaped = true;
      at += 1;
    } else if (byte === 0x22) {
      parser.at = at + 1;
      return escaped ? withoutEscapes(bytes.subarray(start, at), start) : bytes.subarray(start, at);
    }
  }
}

/** Escapes only ever become shorter. */
function withoutEscapes(characters: Buffer, offset: number): Buffer {
  const result = Buffer.alloc(characters.length);
  let used = 0;
  for (let at = 0; at < characters.length; at++) {
    const byte = characters[at] as number;
    if (byte !== 0x5c) {
      result[used++] = byte;
      continue;
    }
    const sign = characters[++at] ?? 0;
    const simple = simpleEscapes.get(sign);
    if (simple !== undefined) {
      result[used++] = simple;
      continue;
    }
    const { text, length } = unicodeEscape(characters, at, offset);
    used += result.write(text, used, "utf8");
    at += length - 1;
  }
  return result.subarray(0, used);
}

/** \uXXXX, or two of them that make one character. */
function unicodeEscape(characters: Buffer, at: number, offset: number): { text: string; length: number } {
  const match = /^u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?/.exec(
    characters.toString("latin1", at, at + 11),
  );
  const [first, second] = [match?.[1], match?.[2]];
  const high = Number.parseInt(first ?? "", 16);
  const paired = high >= 0xd800 && high <= 0xdbff;
  const lonely = (high >= 0xdc00 && high <= 0xdfff) || (paired && second === undefined);
  if (first === undefined || lonely) throw new DecodeError("An escape is not known", offset + at);
  if (!paired) return { text: String.fromCharCode(high), length: 5 };
  return { text: String.fromCharCode(high, Number.parseInt(second ?? "", 16)), length: 11 };
}
