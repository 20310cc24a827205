import { Refusal } from "../objects/refusal.ts";
import type { Json } from "../objects/types.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { type Enumeration, knows } from "./enumeration.ts";
import { tagName } from "./tags.ts";

/** What reading depends on besides the bytes. */
export interface Reading {
  /** Protocol version of the request as major × 10 + minor. */
  readonly version: number;
  /** Identifiers that earlier items of the batch gave; used where a payload names none ("ID Placeholder"). */
  readonly placeholders: Placeholders;
  /** The value is searched by: members of structures may be left out, and a date may be the largest one (4.9). */
  readonly searched?: boolean;
}

/** What the batch has named so far. */
export interface Placeholders {
  readonly last: string | undefined;
  /** Identifiers in the answers so far, in order, and by the operation that gave them (KMIP 2.1, 11.58). */
  readonly all?: readonly string[];
  readonly byOperation?: ReadonlyMap<number, readonly string[]>;
}

/** How a value of one kind is read from an item and written to one. */
export interface Shape<Value> {
  read(item: Item, reading: Reading): Value;
  write(tag: number, value: Value, version: number): Item;
}

/** The value that a shape reads. */
export type ValueOf<S> = S extends Shape<infer Value> ? Value : never;

/** A value that the request's protocol version has no word for: it must not be sent. */
export class NotInVersion extends Error {}

/** A 32-bit signed number. */
export const integer: Shape<number> = simple(itemType.integer);
/** A length, a count or a place: KMIP writes them as signed numbers, of which none below 0 means anything. */
export const natural: Shape<number> = {
  ...integer,
  read: (item) => {
    const { value } = expect(item, itemType.integer);
    if (value < 0)
      throw new Refusal("InvalidField", `${tagName(item.tag)} is ${value}: give 0 or more`, "NumericRange");
    return value;
  },
};
/** A 64-bit signed number, as far as a JavaScript number is exact. Negative ones and larger ones are refused. */
export const longInteger: Shape<number> = {
  read: (item) => {
    const { value } = expect(item, itemType.longInteger);
    if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new Refusal("InvalidField", `${tagName(item.tag)} must be from 0 to ${Number.MAX_SAFE_INTEGER}`);
    }
    return Number(value);
  },
  write: (tag, value) => ({ tag, type: itemType.longInteger, value: BigInt(value) }),
};
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
  read: (item) => expect(item, itemType.byteString).value.toString("hex"),
  write: (tag, value) => ({ tag, type: itemType.byteString, value: Buffer.from(value, "hex") }),
};

/** Seconds since 1970; the range is that of a JavaScript Date. In a search the largest date is infinite: it is that of no object. */
export const dateTime: Shape<number> = {
  read: (item, { searched }) => {
    const { value } = expect(item, itemType.dateTime);
    if (searched === true && value === largestDate) return Number.POSITIVE_INFINITY;
    const seconds = Number(value);
    if (Math.abs(seconds) > 8.64e12) throw new Refusal("InvalidField", `${tagName(item.tag)} is out of range`);
    return seconds;
  },
  write: (tag, value) => ({ tag, type: itemType.dateTime, value: BigInt(value) }),
};

const largestDate = 2n ** 63n - 1n;

/** Milliseconds since 1970, told with microseconds; versions before 2.0 have no such date. */
export const dateTimeExtended: Shape<number> = {
  read: (item) => Number(expect(item, itemType.dateTimeExtended).value / 1_000n),
  write: (tag, value, version) => {
    if (version < 20) throw new NotInVersion(tagName(tag));
    return { tag, type: itemType.dateTimeExtended, value: BigInt(value) * 1_000n };
  },
};

/** A number of the table; answers at an older version refuse values newer than it. */
export function enumeration(table: Enumeration): Shape<number> {
  return {
    read: (item) => {
      const { value } = expect(item, itemType.enumeration);
      if (!knows(table, value))
        throw new Refusal("InvalidField", `${tagName(item.tag)} has the unknown value ${value}`, "UnknownEnumeration");
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

/** Bits of a number that is kept as digits: those of longer ones take seconds to make. */
const digitsBitsMax = 65_536;

/** A big integer as decimal digits: for attributes, which are stored as JSON. */
export const bigIntegerText: Shape<string> = {
  read: (item) => {
    const { value } = expect(item, itemType.bigInteger);
    if (BigInt.asIntN(digitsBitsMax, value) === value) return value.toString();
    throw new Refusal("InvalidField", `${tagName(item.tag)} has more than ${digitsBitsMax} bits`, "NumericRange");
  },
  write: (tag, value) => ({ tag, type: itemType.bigInteger, value: BigInt(value) }),
};

/** Another form of the same value. */
export function mapped<Wire, Value>(
  shape: Shape<Wire>,
  from: (wire: Wire) => Value,
  to: (value: Value) => Wire,
): Shape<Value> {
  return {
    read: (item, reading) => from(shape.read(item, reading)),
    write: (tag, value, version) => shape.write(tag, to(value), version),
  };
}

/** An item kept as it is. */
export const anyItem: Shape<Item> = { read: (item) => item, write: (tag, value) => ({ ...value, tag }) };

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
