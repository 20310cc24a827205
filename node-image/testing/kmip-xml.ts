import { enumerations } from "../kmip/enumerations.ts";
import { tag } from "../kmip/tags.ts";
import { type Item, itemType } from "../ttlv/types.ts";

/** An element of KMIP's XML form, with its attributes. */
export interface Element {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly children: Element[];
  /** Name of the attribute whose value this is: enumerations go by it. */
  readonly attribute: string;
}

/** Reads the part of XML that the OASIS test cases use: elements, attributes, comments. Throws on anything else. */
export function parseXml(source: string): Element {
  const text = source.replace(/<\?.*?\?>|<!--.*?-->/gs, "");
  const root: Element = { name: "", type: "", value: "", children: [], attribute: "" };
  const open = [root];
  for (const [, content = ""] of text.matchAll(/<([^>]*)>/g)) {
    const parent = open.at(-1);
    if (parent === undefined) throw new Error("more elements are closed than opened");
    if (content.startsWith("/")) {
      open.pop();
      continue;
    }
    const element = elementOf(content, parent);
    parent.children.push(element);
    if (!content.endsWith("/")) open.push(element);
  }
  const [top] = root.children;
  if (top === undefined || open.length !== 1) throw new Error("not one whole XML document");
  return top;
}

function elementOf(content: string, parent: Element): Element {
  const name = /^[\w-]+/.exec(content)?.[0] ?? "";
  const attributes = new Map(
    [...content.matchAll(/([\w-]+)\s*=\s*"([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]),
  );
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
  return value.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => signs[name] ?? "");
}

/** The TTLV item of an element. `bind` replaces values that begin with "$". */
export function toItem(element: Element, bind: (placeholder: string) => string): Item {
  const number = tagOf(element.name);
  const value = element.value.startsWith("$") ? bind(element.value) : element.value;
  switch (element.type) {
    case "Structure":
      return { tag: number, type: itemType.structure, value: element.children.map((child) => toItem(child, bind)) };
    case "Integer":
      return { tag: number, type: itemType.integer, value: integerOf(element.name, value) };
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
      return { tag: number, type: itemType.boolean, value: value === "true" };
    case "TextString":
      return { tag: number, type: itemType.textString, value };
    case "ByteString":
      return { tag: number, type: itemType.byteString, value: Buffer.from(value, "hex") };
    case "DateTime":
      return { tag: number, type: itemType.dateTime, value: BigInt(Math.floor(Date.parse(value) / 1000)) };
    default:
      throw new Error(`unknown type ${element.type} of ${element.name}`);
  }
}

const tags: ReadonlyMap<string, number> = new Map(Object.entries(tag).map(([name, number]) => [plain(name), number]));

/** The tag of an element name. */
export function tagOf(name: string): number {
  const number = tags.get(plain(name));
  if (number === undefined) throw new Error(`unknown element ${name}`);
  return number;
}

const tables = new Map(Object.entries(enumerations).map(([name, table]) => [plain(name), table.names]));
tables.set("batcherrorcontinuationoption", enumerations.batchErrorContinuation.names);
tables.set("maskgeneratorhashingalgorithm", enumerations.hashingAlgorithm.names);

function enumerationOf(name: string, value: string): number {
  if (/^0x/i.test(value)) return Number(value);
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

/** Cryptographic Usage Mask bits in order (9.1.3.3.1). */
const usageBits = [
  "sign",
  "verify",
  "encrypt",
  "decrypt",
  "wrapkey",
  "unwrapkey",
  "export",
  "macgenerate",
  "macverify",
  "derivekey",
  "contentcommitment",
  "keyagreement",
  "certificatesign",
  "crlsign",
];

function integerOf(name: string, value: string): number {
  if (/^-?\d+$/.test(value)) return Number(value);
  if (/^0x/i.test(value)) return Number(value);
  if (name === "ProtectionStorageMask") return value === "Software" ? 1 : Number.NaN;
  return value
    .split(/[ |]+/)
    .filter((name) => name !== "")
    .reduce((mask, name) => {
      const bit = usageBits.indexOf(plain(name));
      if (bit < 0) throw new Error(`unknown mask bit ${name}`);
      return mask | (1 << bit);
    }, 0);
}

function plain(name: string): string {
  return name.replace(/[^A-Za-z0-9]/g, "").toLowerCase();
}
