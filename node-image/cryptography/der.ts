import { toNumber, unsigned } from "./bytes.ts";

/** Universal tags that keys and certificates use (X.690). */
export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One DER element. `bytes` and `content` are views. */
export interface DerElement {
  readonly tag: number;
  /** Header and content. */
  readonly bytes: Buffer;
  readonly content: Buffer;
}

/** Bytes that are not the DER that was expected. */
export class DerError extends Error {}

/** The one element that the bytes are. Throws DerError. */
export function readDer(bytes: Buffer, tag?: number): DerElement {
  const element = elementAt(bytes, 0);
  if (element.bytes.length !== bytes.length) throw new DerError("bytes follow the element");
  return tag === undefined ? element : expectTag(element, tag);
}

/** The elements within a constructed one. Throws DerError. */
export function derChildren(element: DerElement, tag: number = derTag.sequence): DerElement[] {
  const { content } = expectTag(element, tag);
  const children: DerElement[] = [];
  for (let at = 0; at < content.length; at += children.at(-1)?.bytes.length ?? 0) children.push(elementAt(content, at));
  return children;
}

/** The element, if it is there and has the tag. Throws DerError. */
export function expectTag(element: DerElement | undefined, tag: number): DerElement {
  if (element?.tag !== tag) throw new DerError(`tag ${element?.tag} instead of ${tag}`);
  return element;
}

/** The unsigned number of an INTEGER, as bytes without leading zeros (a view). Throws DerError. */
export function derUnsigned(element: DerElement | undefined): Buffer {
  const { content } = expectTag(element, derTag.integer);
  if (content.length === 0 || ((content[0] ?? 0) & 0x80) !== 0) throw new DerError("a negative number");
  return content[0] === 0 && content.length > 1 ? content.subarray(1) : content;
}

/** The dotted text of an OBJECT IDENTIFIER. Throws DerError. */
export function derOid(element: DerElement | undefined): string {
  const { content } = expectTag(element, derTag.objectIdentifier);
  const parts: number[] = [];
  let value = 0;
  for (const byte of content) {
    value = value * 128 + (byte & 0x7f);
    if ((byte & 0x80) !== 0) continue;
    if (parts.length === 0)
      parts.push(Math.min(2, Math.floor(value / 40)), value - 40 * Math.min(2, Math.floor(value / 40)));
    else parts.push(value);
    value = 0;
  }
  return parts.join(".");
}

/** The bytes of a BIT STRING of whole bytes. Throws DerError. */
export function derBits(element: DerElement | undefined): Buffer {
  const { content } = expectTag(element, derTag.bitString);
  if (content[0] !== 0) throw new DerError("a bit string of broken bytes");
  return content.subarray(1);
}

function elementAt(bytes: Buffer, from: number): DerElement {
  const [tag, first] = [bytes[from], bytes[from + 1]];
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw new DerError("no element");
  const lengthBytes = first < 0x80 ? 0 : first - 0x80;
  const start = from + 2 + lengthBytes;
  if (first === 0x80 || lengthBytes > 3 || start > bytes.length) throw new DerError("a length that is not DER");
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(from + 2, lengthBytes);
  if (lengthBytes > 0 && (length < 0x80 || bytes[from + 2] === 0)) throw new DerError("a length that is not minimal");
  if (start + length > bytes.length) throw new DerError("an element that ends early");
  return { tag, bytes: bytes.subarray(from, start + length), content: bytes.subarray(start, start + length) };
}

/** An element of contents, in a buffer of its own. */
export function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  const head = length < 0x80 ? [length] : [0x80 + unsigned(BigInt(length)).length, ...unsigned(BigInt(length))];
  const result = Buffer.alloc(1 + head.length + length);
  result[0] = tag;
  result.set(head, 1);
  let at = 1 + head.length;
  for (const part of contents) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** SEQUENCE. */
export function derSequence(...contents: readonly Buffer[]): Buffer {
  return der(derTag.sequence, ...contents);
}

/** SET of one. */
export function derSet(content: Buffer): Buffer {
  return der(derTag.set, content);
}

/** INTEGER of an unsigned number in bytes. */
export function derInteger(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const trimmed = bytes.subarray(first < 0 ? bytes.length - 1 : first);
  const negative = ((trimmed[0] ?? 0) & 0x80) !== 0 || trimmed.length === 0;
  return negative ? der(derTag.integer, Buffer.alloc(1), trimmed) : der(derTag.integer, trimmed);
}

/** INTEGER of a small number. */
export function derSmall(value: number): Buffer {
  return derInteger(unsigned(BigInt(value)));
}

/** OCTET STRING. */
export function derOctets(bytes: Buffer): Buffer {
  return der(derTag.octetString, bytes);
}

/** BIT STRING of whole bytes. */
export function derBitString(bytes: Buffer): Buffer {
  return der(derTag.bitString, Buffer.alloc(1), bytes);
}

/** NULL. */
export const derNull: Buffer = der(derTag.null);

/** OBJECT IDENTIFIER of dotted text. */
export function derObjectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((value) => {
    const groups = [value & 0x7f];
    for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return der(derTag.objectIdentifier, Buffer.from(bytes));
}

/** The number of an unsigned INTEGER. Throws DerError. */
export function derBigInt(element: DerElement | undefined): bigint {
  return toNumber(derUnsigned(element));
}
