import { fact, type Json } from "../objects/types.ts";

/** When and by whom: hybrid logical clock in decimal digits, and the incarnation. No two operations share one. */
export interface Stamp {
  readonly hlc: string;
  readonly origin: string;
}

/** What the create of an object says of it; never changes afterwards. */
export interface Born {
  readonly stamp: Stamp;
  readonly owner: string;
  readonly objectType: number;
  /** SHA-256 of the sealed material, base64. */
  readonly sealedDigest: string;
}

/** The last word on one attribute; null: removed. */
export interface Register {
  readonly stamp: Stamp;
  readonly value: readonly Json[] | null;
}

/** All that the operations on one object come to. Without `born` the create has not arrived: the object is not to be seen. */
export interface State {
  readonly born: Born | undefined;
  /** Union of `fact` bits. */
  readonly facts: number;
  readonly attributes: ReadonlyMap<string, Register>;
}

/** The state of an object of which nothing is known: joining it changes nothing. */
export const nothing: State = { born: undefined, facts: 0, attributes: new Map() };

/**
 * The least state that holds both. Commutative, associative and idempotent, so nodes that hold the same operations are
 * equal in whatever order and however often they came: facts are united, the earlier create wins, and for each
 * attribute the later change.
 */
export function join(one: State, other: State): State {
  if (one === nothing) return other;
  if (other === nothing) return one;
  const attributes = new Map(one.attributes);
  for (const [name, register] of other.attributes) {
    const present = attributes.get(name);
    if (present === undefined || compareStamps(present.stamp, register.stamp) < 0) attributes.set(name, register);
  }
  return { born: earlier(one.born, other.born), facts: one.facts | other.facts, attributes };
}

/** Whether the sealed material must be gone. */
export function isDestroyed(state: State): boolean {
  return (state.facts & fact.destroyed) !== 0;
}

/** Total order of operations: by clock, then by incarnation. */
export function compareStamps(one: Stamp, other: Stamp): number {
  if (one.hlc.length !== other.hlc.length) return one.hlc.length - other.hlc.length;
  if (one.hlc !== other.hlc) return one.hlc < other.hlc ? -1 : 1;
  return one.origin === other.origin ? 0 : one.origin < other.origin ? -1 : 1;
}

// Two creates of one object cannot happen; if they do, the same one wins everywhere.
function earlier(one: Born | undefined, other: Born | undefined): Born | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return compareStamps(one.stamp, other.stamp) <= 0 ? one : other;
}
