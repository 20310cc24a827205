import { ByteWriter } from "./byte-writer.ts";
import { type JsonNode, parseJson } from "./json-parser.ts";
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

/** Reads one message in KMIP's JSON form (KMIP Profiles 1.4, 5.5): objects of tag, type and value. Throws DecodeError. */
export function decodeJson(bytes: Buffer, vocabulary: Vocabulary): Item {
  const root = parseJson(bytes, { depth: limits.depth * 2, nodes: limits.items * 5 });
  return itemOf(root, { vocabulary, attribute: undefined, depth: 0, counted: { items: 0 } });
}

interface Around {
  readonly vocabulary: Vocabulary;
  readonly attribute: string | undefined;
  readonly depth: number;
  readonly counted: { items: number };
}

const members: ReadonlySet<string> = new Set(["tag", "name", "type", "value"]);

function itemOf(node: JsonNode, around: Around): Item {
  const { offset } = node;
  if (around.depth >= limits.depth) throw new DecodeError(`Structures are nested deeper than ${limits.depth}`, offset);
  if (++around.counted.items > limits.items)
    throw new DecodeError(`The message has more than ${limits.items} items`, offset);
  if (node.kind !== "object") throw new DecodeError("An item is an object of tag, type and value", offset);
  for (const key of node.members.keys())
    if (!members.has(key)) throw new DecodeError("An item has a member that is none of tag, type and value", offset);
  const tag = tagOf(node.members.get("tag"), around, offset);
  const type = typeOf(node.members.get("type"), tag, offset);
  const value = node.members.get("value");
  if (type === itemType.structure) return { tag, type, value: childrenOf(value, { tag, offset }, around) };
  if (value === undefined) throw new DecodeError("A value is missing", offset, tag);
  const place = { tag, offset: value.offset, attribute: around.attribute, vocabulary: around.vocabulary };
  return primitiveOf(type, charactersOf(value, type, tag), place);
}

function tagOf(node: JsonNode | undefined, { vocabulary }: Around, offset: number): number {
  const word = node?.kind === "string" ? node.value.toString("latin1") : "";
  const tag = /^0x(42|54)[0-9a-fA-F]{4}$/.test(word) ? Number(word) : vocabulary.tagOf(word);
  if (tag === undefined) throw new DecodeError("An item's tag is not known", node?.offset ?? offset);
  return tag;
}

function typeOf(node: JsonNode | undefined, tag: number, offset: number): Item["type"] {
  if (node === undefined) return itemType.structure;
  const type = node.kind === "string" ? typeWords.get(node.value.toString("latin1")) : undefined;
  if (type === undefined) throw new DecodeError("A type does not exist", offset, tag);
  return type;
}

function childrenOf(node: JsonNode | undefined, at: { tag: number; offset: number }, around: Around): Item[] {
  if (node?.kind !== "array") throw new DecodeError("A structure's value is an array", at.offset, at.tag);
  let attribute: string | undefined;
  return node.elements.map((element) => {
    const child = itemOf(element, { ...around, depth: around.depth + 1, attribute });
    if (child.type === itemType.textString && around.vocabulary.wordOfTag(child.tag) === "AttributeName")
      attribute = child.value;
    return child;
  });
}

/** Numbers and truth values may be written as JSON has them; all else is a string. */
function charactersOf(node: JsonNode, type: number, tag: number): Buffer {
  const bare = { number: [itemType.integer, itemType.longInteger, itemType.interval], word: [itemType.boolean] };
  if (node.kind === "string") {
    if (type !== itemType.boolean) return node.value;
    const truth = /^0x0{15}([01])$/.exec(node.value.toString("latin1"))?.[1];
    if (truth !== undefined) return Buffer.from(truth === "1" ? "true" : "false");
  }
  if (node.kind === "number" && (bare.number as number[]).includes(type)) return node.value;
  if (node.kind === "word" && (bare.word as number[]).includes(type)) return node.value;
  throw new DecodeError("A value is written as another kind of JSON than its type", node.offset, tag);
}

/** Writes a message in KMIP's JSON form; the buffer is the caller's to send and to zero. */
export function encodeJson(item: Item, vocabulary: Vocabulary): Buffer {
  const writer = new ByteWriter();
  writeItem(writer, item, { vocabulary, attribute: undefined });
  return writer.finish();
}

type Writing = Pick<Around, "vocabulary" | "attribute">;

function writeItem(writer: ByteWriter, item: Item, around: Writing): void {
  const { vocabulary } = around;
  writer.text(`{"tag":"${vocabulary.wordOfTag(item.tag) ?? hex(item.tag, 6)}"`);
  if (item.type === itemType.structure) {
    writeChildren(writer, item, vocabulary);
    return;
  }
  writer.text(`,"type":"${wordOfType.get(item.type)}","value":`);
  if (item.type === itemType.byteString) {
    writer.text('"');
    writer.hex(item.value);
    writer.text('"}');
  } else writer.text(`${valueText(item, around)}}`);
}

function writeChildren(writer: ByteWriter, item: Item & { type: 1 }, vocabulary: Vocabulary): void {
  writer.text(',"value":[');
  let attribute: string | undefined;
  for (const [at, child] of item.value.entries()) {
    if (at > 0) writer.text(",");
    writeItem(writer, child, { vocabulary, attribute });
    if (child.type === itemType.textString && vocabulary.wordOfTag(child.tag) === "AttributeName")
      attribute = child.value;
  }
  writer.text("]}");
}

function valueText(item: Exclude<Item, { type: 1 | 8 }>, { vocabulary, attribute }: Writing): string {
  switch (item.type) {
    case itemType.textString:
      return JSON.stringify(item.value);
    case itemType.enumeration:
      return `"${vocabulary.wordOfValue(item.tag, item.value, attribute) ?? hex(item.value, 8)}"`;
    case itemType.integer: {
      const words = maskWords(item.value, vocabulary.bitsOf(item.tag, attribute));
      return words === undefined ? `${item.value}` : `"${words.join("|")}"`;
    }
    case itemType.longInteger:
      return `"${hex(item.value, 16)}"`;
    case itemType.bigInteger:
      return `"0x${bigDigits(item.value)}"`;
    case itemType.dateTime:
      return `"${dateText(item.value)}"`;
    case itemType.dateTimeExtended:
      return `"${extendedDateText(item.value)}"`;
    default:
      return `${item.value}`;
  }
}
