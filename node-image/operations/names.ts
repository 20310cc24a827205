import { holds } from "../objects/merge.ts";
import { holderOf, suffixed } from "../objects/names.ts";
import { Refusal, type RefusalCode } from "../objects/refusal.ts";
import { sameValue } from "../objects/same-value.ts";
import { fact, type Json, type ManagedObject } from "../objects/types.ts";
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

/** The object's names as they are shown: one that another object has claimed first carries a suffix. */
export async function effectiveNames(object: ManagedObject, context: Context): Promise<Json[]> {
  const names = object.attributes.get("Name") ?? [];
  const shown: Json[] = [];
  for (const name of names) {
    const holder = name === null ? undefined : holderOf(name, await claimants(name, object.owner, context));
    shown.push(holder === undefined || holder.id === object.id ? name : suffixed(name, object.id));
  }
  return shown;
}

/** Objects that claim one name, where they were looked up before. */
export interface Claimed {
  readonly name: Json;
  readonly owner: string;
  readonly objects: readonly ManagedObject[];
}

/** Whether the object goes by all of the names, or parts of names. */
export async function goesBy(
  object: ManagedObject,
  names: readonly Json[],
  context: Context,
  claimed?: Claimed,
): Promise<boolean> {
  if (names.length === 0) return true;
  const [name, ...others] = names;
  if (claimed !== undefined && others.length === 0 && claimed.owner === object.owner) {
    const known = sameValue(claimed.name, name);
    if (known && holderOf(claimed.name, claimed.objects)?.id === object.id) return true;
  }
  const shown = await effectiveNames(object, context);
  return names.every((name) => shown.some((each) => holds(each, name)));
}

async function claimants(name: Json, owner: string, context: Context): Promise<readonly ManagedObject[]> {
  const ids = await context.store.locate({ owner, withoutFacts: fact.destroyed, attributes: { Name: name } });
  if (ids.length === 0) return [];
  const objects = await context.store.objects(ids);
  return objects.filter(({ facts }) => (facts & fact.destroyed) === 0);
}
