import { holds } from "../objects/merge.ts";
import { type Claim, claimOf, firstOf, suffixed } from "../objects/names.ts";
import { Refusal, type RefusalCode } from "../objects/refusal.ts";
import { sameValue } from "../objects/same-value.ts";
import { type Description, fact, type Json } from "../objects/types.ts";
import type { Context } from "./context.ts";

/** Names to be given. */
export interface NameRequest {
  readonly context: Context;
  readonly code: RefusalCode;
  /** Whose objects must not have them; the caller unless said. */
  readonly owner?: string;
  /** The object that is to get them. */
  readonly except?: string;
}

/**
 * Does the write only if none of the names is in use by the owner's other objects (3.2). Names are unique per owner, so
 * that nobody learns another's; those of destroyed objects are free again. Two nodes at the same time: see `effectiveNames`.
 */
export async function withFreeNames<Result>(
  names: readonly Json[],
  request: NameRequest,
  write: () => Promise<Result>,
): Promise<Result> {
  const { context, owner = context.caller.identity } = request;
  const [name, ...others] = names.filter((value) => value !== null);
  if (name === undefined) return write();
  return context.serial(`name ${owner} ${JSON.stringify(name)}`, async () => {
    const users = await claimants(name, owner, context);
    if (users.some(({ id }) => id !== request.except)) {
      throw new Refusal(
        request.code,
        "Another object has this Name: choose another, or destroy that object first",
        "NonUniqueNameAttribute",
      );
    }
    return withFreeNames(others, request, write);
  });
}

/** What must be known of an object to say what it goes by. */
export interface Named {
  readonly id: string;
  readonly owner: string;
  readonly names: readonly Json[];
}

/** The object's names as they are shown: one that another object has claimed first carries a suffix. */
export async function effectiveNames({ id, owner, names }: Named, context: Context): Promise<Json[]> {
  const shown: Json[] = [];
  for (const name of names) {
    const claims = name === null ? [] : (await claimants(name, owner, context)).flatMap(({ claim }) => claim ?? []);
    const holder = firstOf(claims);
    shown.push(holder === undefined || holder === id ? name : suffixed(name, id));
  }
  return shown;
}

/** The object with those of its names by which it may be found: whether it goes by them is for `goesBy` to say. */
export function namedBy({ id, owner, attributes }: Description, wanted: readonly Json[]): Named {
  if (wanted.length === 0) return { id, owner, names: [] };
  const canBe = (name: Json) => [name, suffixed(name, id)].some((each) => wanted.some((one) => holds(each, one)));
  return { id, owner, names: (attributes.get("Name") ?? []).filter((name) => name !== null && canBe(name)) };
}

/** Who holds one name, where that was found out before. */
export interface Claimed {
  readonly name: Json;
  readonly owner: string;
  readonly holder: string | undefined;
}

/** Whether the object goes by all of the names, or parts of names. */
export async function goesBy(
  object: Named,
  names: readonly Json[],
  context: Context,
  claimed?: Claimed,
): Promise<boolean> {
  if (names.length === 0) return true;
  const [name, ...others] = names;
  if (claimed !== undefined && others.length === 0 && claimed.owner === object.owner) {
    if (claimed.holder === object.id && sameValue(claimed.name, name)) return true;
  }
  const shown = await effectiveNames(object, context);
  return names.every((name) => shown.some((each) => holds(each, name)));
}

interface Claimant {
  readonly id: string;
  readonly claim: Claim | undefined;
}

/** Who was found by the name, of each no more than its claim: an owner's objects may be many and large. */
async function claimants(name: Json, owner: string, context: Context): Promise<readonly Claimant[]> {
  const ids = await context.store.locate({ owner, withoutFacts: fact.destroyed, attributes: { Name: name } });
  const found: Claimant[] = [];
  if (ids.length === 0) return found;
  for await (const page of context.store.descriptions(ids)) {
    const living = page.filter(({ facts }) => (facts & fact.destroyed) === 0);
    found.push(...living.map((object) => ({ id: object.id, claim: claimOf(object, name) })));
  }
  return found;
}
