import type { Json } from "../objects/types.ts";
import { nothing, type Register, type Stamp, type State } from "./law.ts";
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
  const body = JSON.parse(operation.payload.toString()) as Body;
  const stamp = { hlc: operation.hlc.toString(), origin: operation.origin };
  const attributes = new Map(
    Object.entries(body.attributes).map(([name, value]): [string, Register] => [name, { stamp, value }]),
  );
  const changed = { ...nothing, facts: body.facts, attributes };
  if (operation.kind !== "create") return { state: changed, sealed: undefined };
  const sealed = Buffer.from(body.sealed as string, "base64");
  return { state: { ...changed, born: bornAs(body, stamp, sealed) }, sealed };
}

interface Body {
  readonly facts: number;
  readonly attributes: Readonly<Record<string, readonly Json[] | null>>;
  readonly owner?: string;
  readonly objectType?: number;
  readonly sealed?: string;
}

function bornAs(body: Body, stamp: Stamp, sealed: Buffer): State["born"] {
  return {
    stamp,
    owner: body.owner as string,
    objectType: body.objectType as number,
    sealedDigest: digestOf(sealed),
  };
}
