import type { Change } from "../objects/types.ts";
import type { Register, State } from "./law.ts";
import { digestOf } from "./row.ts";
import type { Operation } from "./types.ts";

/** What one operation does to its object. */
export interface Effect {
  readonly state: State;
  /** Material that comes with a create; it counts only where its create wins. */
  readonly sealed: Buffer | undefined;
}

/** The effect of an operation that `understands` has let through. */
export function effectOf(operation: Operation): Effect {
  return effectOfChange(operation, changeOf(operation));
}

/** The effect of an operation whose payload was made from this change. */
export function effectOfChange({ hlc, origin }: Pick<Operation, "hlc" | "origin">, change: Change): Effect {
  const stamp = { hlc: hlc.toString(), origin };
  const attributes = new Map<string, Register>();
  for (const name of Object.keys(change.attributes))
    attributes.set(name, { stamp, value: change.attributes[name] ?? null });
  const { facts } = change;
  if (change.kind !== "create") return { state: { born: undefined, facts, attributes }, sealed: undefined };
  const { owner, objectType, sealed } = change;
  return { state: { born: { stamp, owner, objectType, sealedDigest: digestOf(sealed) }, facts, attributes }, sealed };
}

/** The reverse of `encodeChange`. */
function changeOf({ kind, object, payload }: Operation): Change {
  const { v: _, sealed, ...body } = JSON.parse(payload.toString());
  const change = { ...body, kind, id: object };
  return kind === "create" ? { ...change, sealed: Buffer.from(sealed, "base64") } : change;
}
