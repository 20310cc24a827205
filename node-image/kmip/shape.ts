import { Refusal } from "../objects/refusal.ts";
import type { Json } from "../objects/types.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { type Enumeration, knows } from "./enumeration.ts";
import { tagName } from "./tags.ts";

/** How a value of one kind is read from an item and written to one. */
export interface Shape<Value> {
  read(item: Item): Value;
  write(tag: number, value: Value, version: number): Item;
}

/** The value that a shape reads. */
export type ValueOf<S> = S extends Shape<infer Value> ? Value : never;

/** A value that the request's protocol version has no word for: it must not be sent. */
export class NotInVersion extends Error {}

/** A 32-bit signed number. */
export const integer: Shape<number> = simple(itemType.integer);
/** A length of time in seconds. */
export const interval: Shape<number> = simple(itemType.interval);
/** UTF-8 text. */
export const text: Shape<string> = simple(itemType.textString);
/** True or false. */
export const boolean: Shape<boolean> = simple(itemType.boolean);

/** Bytes as a view into the message: for secrets, which must not become strings. */
export const bytes: Shape<Buffer> = simple(itemType.byteString);

/** Bytes as hexadecimal digits: for attributes, which are stored as JSON. */
export const hexBytes: Shape<string> = {
  read: (item) => bytes.read(item).toString("hex"),
  write: (tag, value) => ({ tag, type: itemType.byteString, value: Buffer.from(value, "hex") }),
};

/** Seconds since 1970; the range is that of a JavaScript Date. */
export const dateTime: Shape<number> = {
  read: (item) => {
    const seconds = Number(expect(item, itemType.dateTime).value);
    if (Math.abs(seconds) > 8.64e12) throw new Refusal("InvalidField", `${tagName(item.tag)} is out of range`);
    return seconds;
  },
  write: (tag, value) => ({ tag, type: itemType.dateTime, value: BigInt(value) }),
};

/** A number of the table; answers at an older version refuse values newer than it. */
export function enumeration(table: Enumeration): Shape<number> {
  return {
    read: (item) => {
      const { value } = expect(item, itemType.enumeration);
      if (!knows(table, value))
        throw new Refusal("InvalidField", `${tagName(item.tag)} has the unknown value ${value}`);
      return value;
    },
    write: (tag, value, version) => {
      if (!knows(table, value, version)) throw new NotInVersion(tagName(tag));
      return { tag, type: itemType.enumeration, value };
    },
  };
}

/** Any number: for enumerations that are mostly vendors' own, or that nobody here reads. */
export const anyEnumeration: Shape<number> = simple(itemType.enumeration);

/** A big integer as decimal digits: for attributes, which are stored as JSON. */
export const bigIntegerText: Shape<string> = {
  read: (item) => expect(item, itemType.bigInteger).value.toString(),
  write: (tag, value) => ({ tag, type: itemType.bigInteger, value: BigInt(value) }),
};

/** Another form of the same value. */
export function mapped<Wire, Value>(
  shape: Shape<Wire>,
  from: (wire: Wire) => Value,
  to: (value: Value) => Wire,
): Shape<Value> {
  return {
    read: (item) => from(shape.read(item)),
    write: (tag, value, version) => shape.write(tag, to(value), version),
  };
}

/** An item kept as it is. */
export const anyItem: Shape<Item> = { read: (item) => item, write: (tag, value) => ({ ...value, tag }) };

/** A member of a structure. */
export interface Field<Value> {
  readonly tag: number;
  readonly presence: "one" | "optional" | "list";
  readonly since: number;
  readonly shape: Shape<unknown>;
  /** Only carries the type. */
  readonly value?: Value;
}

/** Exactly one. */
export function one<Value>(tag: number, shape: Shape<Value>, since = 10): Field<Value> {
  return { tag, shape: shape as Shape<unknown>, since, presence: "one" };
}

/** None or one. */
export function optional<Value>(tag: number, shape: Shape<Value>, since = 10): Field<Value | undefined> {
  return { tag, shape: shape as Shape<unknown>, since, presence: "optional" };
}

/** Any number. */
export function list<Value>(tag: number, shape: Shape<Value>, since = 10): Field<readonly Value[]> {
  return { tag, shape: shape as Shape<unknown>, since, presence: "list" };
}

type Fields = Readonly<Record<string, Field<unknown>>>;
type OptionalKeys<F extends Fields> = {
  [Key in keyof F]: F[Key] extends Field<infer Value> ? (undefined extends Value ? Key : never) : never;
}[keyof F];
type Structure<F extends Fields> = {
  readonly [Key in Exclude<keyof F, OptionalKeys<F>>]: F[Key] extends Field<infer Value> ? Value : never;
} & {
  readonly [Key in OptionalKeys<F>]?: F[Key] extends Field<infer Value> ? Exclude<Value, undefined> : never;
};

/** A structure of named members, written in the order of the table. */
export function structure<const F extends Fields>(fields: F): Shape<Structure<F>> {
  const rows = Object.entries(fields);
  const byTag = new Map(rows.map(([key, field]) => [field.tag, { key, field }]));
  return {
    read: (item) =>
      readStructure(expect(item, itemType.structure).value, { rows, byTag, parent: item.tag }) as Structure<F>,
    write: (tag, value, version) => {
      const items: Item[] = [];
      for (const [key, field] of rows) writeField(items, field, (value as Record<string, unknown>)[key], version);
      return { tag, type: itemType.structure, value: items };
    },
  };
}

interface Rows {
  readonly rows: readonly (readonly [string, Field<unknown>])[];
  readonly byTag: ReadonlyMap<number, { key: string; field: Field<unknown> }>;
  readonly parent: number;
}

function readStructure(items: readonly Item[], { rows, byTag, parent }: Rows): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [key, { presence }] of rows) if (presence === "list") result[key] = [];
  for (const item of items) {
    const row = byTag.get(item.tag);
    if (row === undefined)
      throw new Refusal("InvalidField", `${tagName(item.tag)} is not expected in ${tagName(parent)}`);
    const value = row.field.shape.read(item);
    if (row.field.presence === "list") (result[row.key] as unknown[]).push(value);
    else if (row.key in result)
      throw new Refusal("InvalidMessage", `${tagName(item.tag)} is given twice in ${tagName(parent)}`);
    else result[row.key] = value;
  }
  for (const [key, { presence, tag }] of rows) {
    if (presence === "one" && !(key in result)) {
      throw new Refusal("InvalidMessage", `${tagName(tag)} is missing in ${tagName(parent)}`);
    }
  }
  return result;
}

function writeField(into: Item[], field: Field<unknown>, value: unknown, version: number): void {
  if (value === undefined || field.since > version) return;
  if (field.presence === "one") return void into.push(field.shape.write(field.tag, value, version));
  for (const each of field.presence === "list" ? (value as readonly unknown[]) : [value]) {
    try {
      into.push(field.shape.write(field.tag, each, version));
    } catch (error) {
      // What the client's version has no word for is left out, unless the structure means nothing without it.
      if (!(error instanceof NotInVersion)) throw error;
    }
  }
}

function simple<Value extends Json | Buffer>(type: number): Shape<Value> {
  return {
    read: (item) => expect(item, type as 2).value as unknown as Value,
    write: (tag, value) => ({ tag, type, value }) as unknown as Item,
  };
}

type ItemOf<Type> = Item extends infer Each
  ? Each extends { type: infer Types }
    ? Type extends Types
      ? Each
      : never
    : never
  : never;

/** The item, if it has the type. Throws Refusal. */
export function expect<Type extends Item["type"]>(item: Item, type: Type): ItemOf<Type> {
  if (item.type !== type) throw new Refusal("InvalidMessage", `${tagName(item.tag)} has the wrong type ${item.type}`);
  return item as ItemOf<Type>;
}
