/** What may be asked of the sidecar, by its number on the wire. Numbers are never reused. */
export const operations = {
  seal: 1,
  unseal: 2,
  random: 3,
  status: 4,
  makeJoinKey: 5,
  unwrapJoin: 6,
} as const;

export type OperationName = keyof typeof operations;

/** How an answer begins: 0 carries a result, every other number a refusal with a text. */
export const outcomes = { done: 0, unavailable: 1, refused: 2, tampered: 3, timeout: 4 } as const;

export type OutcomeName = keyof typeof outcomes;
export type RefusalCode = Exclude<OutcomeName, "done">;

/** How many fields each operation's request carries: seal and unseal take (bytes, aad), random a u32, the join operations as named. */
export const fieldCounts: Readonly<Record<OperationName, number>> = {
  seal: 2,
  unseal: 2,
  random: 1,
  status: 0,
  makeJoinKey: 0,
  unwrapJoin: 1,
};

/** Most random bytes that one request may ask for. */
export const maxRandomBytes = 4096;

const operationNames = new Map<number, OperationName>(
  Object.entries(operations).map(([name, number]) => [number, name as OperationName]),
);
const outcomeNames = new Map<number, OutcomeName>(
  Object.entries(outcomes).map(([name, number]) => [number, name as OutcomeName]),
);

/** The operation with this number, or undefined when there is none. */
export function operationOf(number: number): OperationName | undefined {
  return operationNames.get(number);
}

/** The outcome with this number, or undefined when there is none. */
export function outcomeOf(number: number): OutcomeName | undefined {
  return outcomeNames.get(number);
}

/** Packs byte fields as u32 length + bytes each, into memory that nothing else shares (so that it can be zeroed). */
export function packFields(fields: readonly Uint8Array[]): Buffer {
  const packed = Buffer.alloc(fields.reduce((total, field) => total + 4 + field.length, 0));
  let at = 0;
  for (const field of fields) {
    at = packed.writeUInt32BE(field.length, at);
    packed.set(field, at);
    at += field.length;
  }
  return packed;
}

/** Views of exactly `count` fields inside the payload; undefined when the payload is not exactly that. */
export function unpackFields(payload: Buffer, count: number): Buffer[] | undefined {
  const fields: Buffer[] = [];
  let at = 0;
  while (fields.length < count) {
    if (at + 4 > payload.length) return undefined;
    const end = at + 4 + payload.readUInt32BE(at);
    if (end > payload.length) return undefined;
    fields.push(payload.subarray(at + 4, end));
    at = end;
  }
  return at === payload.length ? fields : undefined;
}
