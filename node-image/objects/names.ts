import { hash } from "node:crypto";
import { sameValue } from "./same-value.ts";
import { type Description, fact, type Json } from "./types.ts";

/**
 * Names are unique among the objects of one owner. Two nodes that cannot hear each other may both give a name; once they
 * have met, the object that claimed it first holds it, and the other is called by the name and a suffix from its identifier.
 * That follows from the merged objects alone, so every node says the same, in whatever order it has heard of them.
 */
export function holderOf(name: Json, objects: readonly Description[]): string | undefined {
  return firstOf(objects.flatMap((object) => claimOf(object, name) ?? []));
}

/** That an object claims a name: all that must be known of it to say who holds the name. */
export interface Claim {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
}

/** The object's claim of the name, if it has one. */
export function claimOf(object: Description, name: Json): Claim | undefined {
  return claimsName(object, name) ? { id: object.id, atMs: claimedAt(object, name) } : undefined;
}

/** The identifier of the object that holds a name, by all claims of it. */
export function firstOf(claims: readonly Claim[]): string | undefined {
  return claims.reduce<Claim | undefined>((first, each) => {
    return first === undefined || isEarlier(each, first) ? each : first;
  }, undefined)?.id;
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

function claimsName({ attributes, facts }: Description, name: Json): boolean {
  if ((facts & fact.destroyed) !== 0) return false;
  return (attributes.get("Name") ?? []).some((each) => sameValue(each, name));
}

function isEarlier(one: Claim, other: Claim): boolean {
  return one.atMs === other.atMs ? one.id < other.id : one.atMs < other.atMs;
}

function claimedAt({ attributes }: Description, name: Json): number {
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
