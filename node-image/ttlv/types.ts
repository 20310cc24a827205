/** Item types and their codes on the wire (KMIP 1.4, 9.1.1.2; the last one KMIP 2.0 brought). */
export const itemType = {
  structure: 1,
  integer: 2,
  longInteger: 3,
  bigInteger: 4,
  enumeration: 5,
  boolean: 6,
  textString: 7,
  byteString: 8,
  dateTime: 9,
  interval: 10,
  dateTimeExtended: 11,
} as const;

/** A node of the tree; date-times are whole seconds since 1970, extended ones microseconds, byte strings are views into the decoded message. */
export type Item =
  | { readonly tag: number; readonly type: 1; readonly value: readonly Item[] }
  | { readonly tag: number; readonly type: 2 | 5 | 10; readonly value: number }
  | { readonly tag: number; readonly type: 3 | 4 | 9 | 11; readonly value: bigint }
  | { readonly tag: number; readonly type: 6; readonly value: boolean }
  | { readonly tag: number; readonly type: 7; readonly value: string }
  | { readonly tag: number; readonly type: 8; readonly value: Buffer };

/** Bounds of what is read. */
export const limits = {
  messageBytes: 1_048_576,
  depth: 32,
  /** Items of one message: bounds the memory that many tiny items would cost. */
  items: 20_000,
} as const;

/** Bytes are not TTLV, or not its one canonical form; says where. */
export class DecodeError extends Error {
  readonly offset: number;
  readonly tag: number | undefined;

  constructor(message: string, offset: number, tag?: number) {
    const where = tag === undefined ? "" : ` in item ${tag.toString(16).padStart(6, "0")}`;
    super(`${message}${where} at byte ${offset}`);
    this.name = "DecodeError";
    this.offset = offset;
    this.tag = tag;
  }
}
