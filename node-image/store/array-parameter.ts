import { writeUuid } from "./uuid.ts";

/** Oids of element types, as PostgreSQL's catalog pg_type has them. */
const oid = { boolean: 16, bytea: 17, bigint: 20, text: 25, uuid: 2950 } as const;
const headBytes = 20;
const uuidBytes = 16;

/**
 * Arrays of one dimension as query parameters in PostgreSQL's binary form (array_send): as text each byte of bytea is two
 * digits, every quote is escaped, and the database reads all of it once more.
 */
export const arrayOf = {
  /** Canonical ones, as everything is that comes into the store. */
  uuids: (values: readonly string[]): Buffer => fixed(oid.uuid, uuidBytes, values, writeUuid),
  bigints: (values: readonly (number | bigint)[]): Buffer =>
    fixed(oid.bigint, 8, values, (into, value, at) => into.writeBigInt64BE(BigInt(value), at)),
  booleans: (values: readonly boolean[]): Buffer =>
    fixed(oid.boolean, 1, values, (into, value, at) => into.writeUInt8(value ? 1 : 0, at)),
  texts: (values: readonly string[]): Buffer =>
    varying(oid.text, { values, bytesOf: Buffer.byteLength, write: (into, value, at) => into.write(value, at) }),
  /** null: NULL. */
  byteas: (values: readonly (Buffer | null)[]): Buffer =>
    varying(oid.bytea, {
      values,
      bytesOf: (value) => value?.length ?? -1,
      write: (into, value, at) => void value?.copy(into, at),
    }),
} as const;

function fixed<Value>(
  type: number,
  size: number,
  values: readonly Value[],
  write: (into: Buffer, value: Value, at: number) => void,
): Buffer {
  const array = begun(type, values.length, values.length * (4 + size));
  let at = headBytes;
  for (const value of values) {
    array.writeInt32BE(size, at);
    write(array, value, at + 4);
    at += 4 + size;
  }
  return array;
}

interface Varying<Value> {
  readonly values: readonly Value[];
  /** -1: NULL. */
  readonly bytesOf: (value: Value) => number;
  readonly write: (into: Buffer, value: Value, at: number) => void;
}

function varying<Value>(type: number, { values, bytesOf, write }: Varying<Value>): Buffer {
  const sizes = values.map((value) => bytesOf(value));
  const array = begun(
    type,
    values.length,
    sizes.reduce((sum, size) => sum + 4 + Math.max(size, 0), 0),
  );
  let at = headBytes;
  for (const [index, value] of values.entries()) {
    const size = sizes[index] as number;
    array.writeInt32BE(size, at);
    if (size > 0) write(array, value, at + 4);
    at += 4 + Math.max(size, 0);
  }
  return array;
}

/** An array with its head: one dimension that begins at 1. PostgreSQL looks for NULLs itself; without elements there is no dimension. */
function begun(type: number, count: number, bodyBytes: number): Buffer {
  const array = Buffer.allocUnsafe(count === 0 ? 12 : headBytes + bodyBytes);
  array.writeInt32BE(count === 0 ? 0 : 1, 0);
  array.writeInt32BE(0, 4);
  array.writeInt32BE(type, 8);
  if (count === 0) return array;
  array.writeInt32BE(count, 12);
  array.writeInt32BE(1, 16);
  return array;
}
