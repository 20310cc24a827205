import { heldStatements } from "../access/entitlement.ts";
import { recordOwner } from "../access/standing.ts";
import { seconds } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json, ManagedObject, ObjectFilter } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { delegates } from "./delegation.ts";
import { callerStanding } from "./find.ts";

/** Objects that were granted to one principal by name; beyond it a grant on all of an owner is what is wanted. */
const grantedMax = 10_000;

/** Where a caller may search. */
export interface Scope {
  readonly filter: Pick<ObjectFilter, "owner" | "also">;
  /** Whether an object that a store offered is in it. */
  includes(object: ManagedObject): boolean;
}

/** The caller's own objects, those it was granted Locate for, and for administrators and auditors all. */
export async function searchScope(context: Context): Promise<Scope> {
  const { principals, administrator, auditor } = await callerStanding(context);
  if (administrator || auditor) return { filter: { owner: undefined }, includes: ({ owner }) => owner !== recordOwner };
  const { identity } = context.caller;
  if (context.delegation !== undefined) {
    const includes = ({ id, owner }: ManagedObject) => owner === identity && delegates(context, "Locate", id);
    return { filter: { owner: identity }, includes };
  }
  const statements = principals.map((principal) => `Locate ${principal}`);
  const granted = await context.store.locate({ owner: undefined, granted: statements });
  if (granted.length === 0) return { filter: { owner: identity }, includes: ({ owner }) => owner === identity };
  if (granted.length > grantedMax) {
    throw new Refusal(
      "PermissionDenied",
      `You were granted more than ${grantedMax} single objects: ask for grants by owner`,
    );
  }
  const now = seconds(context.now());
  const valid = (await context.store.objects(granted)).filter(({ attributes }) => {
    const held = heldStatements(attributes, now);
    return statements.some((statement) => held.has(statement));
  });
  const [records, objects] = [valid.filter(isRecord), valid.filter((each) => !isRecord(each))];
  const owners = records.flatMap(({ attributes }) => textOf(attributes.get(".identity")?.[0]));
  const ids = new Set(objects.map(({ id }) => id));
  return {
    filter: { owner: identity, also: { owners, ids: [...ids] } },
    includes: ({ id, owner }) => owner === identity || ids.has(id) || owners.includes(owner),
  };
}

function isRecord({ owner }: ManagedObject): boolean {
  return owner === recordOwner;
}

function textOf(value: Json | undefined): string[] {
  return typeof value === "string" ? [value] : [];
}
