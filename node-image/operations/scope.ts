import { heldStatements } from "../access/entitlement.ts";
import { recordOwner } from "../access/standing.ts";
import { seconds } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Description, Json, ObjectFilter } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { delegates } from "./delegation.ts";
import { callerStanding } from "./find.ts";

/** Objects that were granted to one principal by name; beyond it a grant on all of an owner is what is wanted. */
const grantedMax = 10_000;

/** Where a caller may search. */
export interface Scope {
  readonly filter: Pick<ObjectFilter, "owner" | "also">;
  /** Whether an object that a store offered is in it. */
  includes(object: Description): boolean;
}

/** The caller's own objects, those it was granted Locate for, and for administrators and auditors all; undefined if more than `most` were granted. */
export async function searchScope(context: Context, most: number): Promise<Scope | undefined> {
  const { principals, administrator, auditor } = await callerStanding(context);
  if (administrator || auditor) return { filter: { owner: undefined }, includes: ({ owner }) => owner !== recordOwner };
  const { identity } = context.caller;
  if (context.delegation !== undefined) {
    const includes = ({ id, owner }: Description) => owner === identity && delegates(context, "Locate", id);
    return { filter: { owner: identity }, includes };
  }
  const statements = principals.map((principal) => `Locate ${principal}`);
  const granted = await context.store.locate({ owner: undefined, granted: statements }, Math.min(most, grantedMax));
  if (granted.length === 0) return { filter: { owner: identity }, includes: ({ owner }) => owner === identity };
  if (granted.length > grantedMax) {
    throw new Refusal(
      "PermissionDenied",
      `You were granted more than ${grantedMax} single objects: ask for grants by owner`,
    );
  }
  if (granted.length > most) return undefined;
  const { owners, ids } = await heldOf(granted, statements, context);
  return {
    filter: { owner: identity, also: { owners, ids: [...ids] } },
    includes: ({ id, owner }) => owner === identity || ids.has(id) || owners.includes(owner),
  };
}

/** What one of the statements holds for now, of all that had one: owners with all of theirs, and single objects. */
async function heldOf(granted: readonly string[], statements: readonly string[], context: Context) {
  const now = seconds(context.now());
  const owners: string[] = [];
  const ids = new Set<string>();
  for await (const page of context.store.descriptions(granted)) {
    for (const object of page) {
      const held = heldStatements(object.attributes, now);
      if (!statements.some((statement) => held.has(statement))) continue;
      if (isRecord(object)) owners.push(...textOf(object.attributes.get(".identity")?.[0]));
      else ids.add(object.id);
    }
  }
  return { owners, ids };
}

function isRecord({ owner }: Description): boolean {
  return owner === recordOwner;
}

function textOf(value: Json | undefined): string[] {
  return typeof value === "string" ? [value] : [];
}
