import { enumerations } from "../kmip/enumerations.ts";
import { tag } from "../kmip/tags.ts";
import { vocabulary } from "../kmip/vocabulary.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { isPlaceholder } from "./kmip-bindings.ts";

/** An element of KMIP's XML form, with its attributes. */
export interface Element {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly children: Element[];
  /** Name of the attribute whose value this is: enumerations go by it. */
  readonly attribute: string;
}

/**
 * Reads the part of XML that OASIS test cases use: elements, attributes, comments; text between elements is skipped. A document
 * of several roots is given as one nameless element. Throws on what is not well-formed.
 */
export function parseXml(source: string): Element {
  const text = source.replace(/<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>[]*(?:\[.*?\])?[^>]*>/gs, "");
  const root: Element = { name: "", type: "", value: "", children: [], attribute: "" };
  const open = [root];
  for (const [, content = ""] of text.matchAll(/<((?:[^<>"']|"[^"]*"|'[^']*')+)>/g)) {
    const parent = open.at(-1);
    if (parent === undefined) throw new Error("more elements are closed than opened");
    if (content.startsWith("/")) {
      const closed = open.pop();
      if (closed?.name !== nameIn(content.slice(1))) throw new Error(`</${content.slice(1)}> closes ${closed?.name}`);
      continue;
    }
    const element = elementOf(content, parent);
    parent.children.push(element);
    if (!content.endsWith("/")) open.push(element);
  }
  if (root.children.length === 0 || open.length !== 1) throw new Error("not one whole XML document");
  return root.children.length === 1 ? (root.children[0] as Element) : root;
}

/** Without the prefix of a namespace. */
function nameIn(content: string): string {
  return /^(?:[\w.-]+:)?([\w.-]+)/.exec(content)?.[1] ?? "";
}

function elementOf(content: string, parent: Element): Element {
  const attributes = new Map(
    [...content.matchAll(/([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)].map(([, key = "", double, single]) => [
      key,
      double ?? single ?? "",
    ]),
  );
  // <TTLV tag="0x420020"> is an element that is named by its tag's number.
  const written = nameIn(content);
  const name = written === "TTLV" ? (attributes.get("tag") ?? "") : written;
  return {
    name,
    type: attributes.get("type") ?? "Structure",
    value: unescaped(attributes.get("value") ?? "").replace(/\s+/g, " "),
    children: [],
    attribute:
      name === "AttributeValue" ? (parent.children.find((other) => other.name === "AttributeName")?.value ?? "") : "",
  };
}

function unescaped(value: string): string {
  const signs: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return value.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (_, decimal: string, hex: string, name: string) => {
    if (name !== undefined) return signs[name] ?? "";
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal));
  });
}

/** Values of all elements of a name, at any depth. */
export function valuesOf(element: Element, name: string): string[] {
  const own = element.name === name ? [element.value] : [];
  return [...own, ...element.children.flatMap((child) => valuesOf(child, name))];
}

/** The TTLV item of an element. `bind` replaces placeholders. */
export function toItem(element: Element, bind: (placeholder: string) => string): Item {
  const number = tagOf(element.name);
  const value = isPlaceholder(element.value) ? bind(element.value) : element.value;
  switch (element.type) {
    case "Structure":
      return { tag: number, type: itemType.structure, value: element.children.map((child) => toItem(child, bind)) };
    case "Integer":
      return { tag: number, type: itemType.integer, value: integerOf(number, value, element.attribute) };
    case "DateTimeExtended":
      return { tag: number, type: itemType.dateTimeExtended, value: seconds(value) * 1_000_000n };
    case "Interval":
      return { tag: number, type: itemType.interval, value: Number(value) };
    case "LongInteger":
      return { tag: number, type: itemType.longInteger, value: BigInt(value) };
    case "BigInteger":
      return { tag: number, type: itemType.bigInteger, value: BigInt.asIntN(value.length * 4, BigInt(`0x${value}`)) };
    case "Enumeration":
      return {
        tag: number,
        type: itemType.enumeration,
        value: enumerationOf(element.attribute || element.name, value),
      };
    case "Boolean":
      return { tag: number, type: itemType.boolean, value: booleanOf(element.name, value) };
    case "TextString":
      return { tag: number, type: itemType.textString, value };
    case "ByteString":
      return { tag: number, type: itemType.byteString, value: bytesOf(element.name, value) };
    case "DateTime":
      return { tag: number, type: itemType.dateTime, value: seconds(value) };
    default:
      throw new Error(`unknown type ${element.type} of ${element.name}`);
  }
}

function booleanOf(name: string, value: string): boolean {
  const found = { true: true, "1": true, false: false, "0": false }[value.trim().toLowerCase()];
  if (found === undefined) throw new Error(`${value} of ${name} is neither true nor false`);
  return found;
}

/** Hexadecimal digits, which may be broken into lines. */
function bytesOf(name: string, value: string): Buffer {
  const digits = value.replaceAll(/\s/g, "");
  if (!/^([\da-f]{2})*$/i.test(digits)) throw new Error(`${value.slice(0, 80)} of ${name} is no Byte String`);
  return Buffer.from(digits, "hex");
}

const tags: ReadonlyMap<string, number> = new Map(Object.entries(tag).map(([name, number]) => [plain(name), number]));

/** The tag of an element name, or of a tag written as a number. */
export function tagOf(name: string): number {
  if (/^0x[\da-f]{6}$/i.test(name)) return Number(name);
  const number = tags.get(plain(name));
  if (number === undefined) throw new Error(`unknown element ${name}`);
  return number;
}

/** Whether an item has the tag of an element; none has that of a name that KMIP does not have. */
export function isOf(item: Item, { name }: Element): boolean {
  return /^0x/i.test(name) ? item.tag === Number(name) : item.tag === tags.get(plain(name));
}

const tables = new Map(Object.entries(enumerations).map(([name, table]) => [plain(name), table.names]));
tables.set("batcherrorcontinuationoption", enumerations.batchErrorContinuation.names);
tables.set("maskgeneratorhashingalgorithm", enumerations.hashingAlgorithm.names);

function enumerationOf(name: string, value: string): number {
  if (/^(0x[\da-f]+|\d+)$/i.test(value)) return Number(value);
  if (name === "AttributeReference") return tagOf(value);
  if (name === "PKCS_11Function") return pkcs11Functions.indexOf(value) + 1;
  if (name === "PKCS_11ReturnCode" && value === "OK") return 0;
  // The XML form writes names that begin with a digit differently: 3DES is DES3.
  const wanted = plain(value) === "des3" ? "3des" : plain(value);
  const found = [...(tables.get(plain(name)) ?? [])].find(([, each]) => plain(each) === wanted);
  if (found === undefined) throw new Error(`unknown value ${value} of ${name}`);
  return found[0];
}

/** The first of CK_FUNCTION_LIST_3_0, in order. */
const pkcs11Functions = ["C_Initialize", "C_Finalize", "C_GetInfo"];

/** A number, or the names of a mask's bits. */
function integerOf(number: number, value: string, attribute: string): number {
  if (/^-?\d+$/.test(value)) return Number(value);
  if (/^0x/i.test(value)) return Number(value) | 0;
  const bits = (vocabulary.bitsOf(number, attribute || undefined) ?? []).map(plain);
  return value
    .split(/[ |]+/)
    .filter((name) => name !== "")
    .reduce((mask, name) => {
      const bit = bits.indexOf(plain(name));
      if (bit < 0 && !/^0x/i.test(name)) throw new Error(`unknown mask bit ${name}`);
      return bit < 0 ? mask | Number(name) : mask | (1 << bit);
    }, 0);
}

function seconds(value: string): bigint {
  if (/^(0x[\da-f]+|-?\d+)$/i.test(value)) return BigInt(value);
  const milliseconds = Date.parse(value);
  if (Number.isNaN(milliseconds)) throw new Error(`${value} is no date`);
  return BigInt(Math.floor(milliseconds / 1000));
}

function plain(name: string): string {
  return name.replace(/[^A-Za-z0-9]/g, "").toLowerCase();
}
