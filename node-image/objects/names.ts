import { hash } from "node:crypto";
import { sameValue } from "./same-value.ts";
import { fact, type Json, type ManagedObject } from "./types.ts";

/**
 * Names are unique among the objects of one owner. Two nodes that cannot hear each other may both give a name; once they
 * have met, the object that claimed it first holds it, and the other is called by the name and a suffix from its identifier.
 * That follows from the merged objects alone, so every node says the same, in whatever order it has heard of them.
 */
export function holderOf(name: Json, objects: readonly ManagedObject[]): ManagedObject | undefined {
  const claims = objects.filter((object) => claimsName(object, name));
  return claims.reduce<ManagedObject | undefined>((first, each) => {
    return first === undefined || isEarlier(each, first, name) ? each : first;
  }, undefined);
}

/** The name that an object goes by which does not hold the name it claims. */
export function suffixed(name: Json, id: string): Json {
  const structure = name as { readonly nameValue: string };
  return { ...structure, nameValue: `${structure.nameValue}~${suffixOf(id)}` };
}

/** The name without such a suffix, and the end of the identifier that the suffix says; undefined when it has none. */
export function unsuffixed(name: Json): { readonly name: Json; readonly isOf: (id: string) => boolean } | undefined {
  const structure = name as { readonly nameValue?: Json };
  const match = typeof structure?.nameValue === "string" ? /^(.+)~([0-9a-f]{12})$/s.exec(structure.nameValue) : null;
  if (match === null) return undefined;
  return { name: { ...structure, nameValue: match[1] as string }, isOf: (id) => suffixOf(id) === match[2] };
}

/** Rows that say when names were given (milliseconds since 1970); they decide nothing but who was first. */
export function claimRows(names: readonly Json[], nowMs: number): Record<string, Json[]> {
  const rows: Record<string, Json[]> = Object.create(null);
  for (const name of names) if (name !== null) rows[claimRow(name)] = [nowMs];
  return rows;
}

function claimsName({ attributes, facts }: ManagedObject, name: Json): boolean {
  if ((facts & fact.destroyed) !== 0) return false;
  return (attributes.get("Name") ?? []).some((each) => sameValue(each, name));
}

function isEarlier(one: ManagedObject, other: ManagedObject, name: Json): boolean {
  const [first, second] = [claimedAt(one, name), claimedAt(other, name)];
  return first === second ? one.id < other.id : first < second;
}

function claimedAt({ attributes }: ManagedObject, name: Json): number {
  const claimed = attributes.get(claimRow(name))?.[0];
  if (typeof claimed === "number") return claimed;
  const initial = attributes.get("Initial Date")?.[0];
  return typeof initial === "number" ? initial * 1_000 : 0;
}

function claimRow(name: Json): string {
  const { nameValue, nameType } = name as { readonly nameValue?: Json; readonly nameType?: Json };
  const digest = hash("sha256", JSON.stringify([nameType, nameValue]), "hex");
  return `.named ${digest.slice(0, 32)}`;
}

function suffixOf(id: string): string {
  return id.slice(-12);
}
