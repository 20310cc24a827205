import { sameValue } from "./same-value.ts";
import { type Change, type Description, fact, type Json, type ManagedObject, type ObjectFilter } from "./types.ts";

/** The object after a change, by the merge rules of the log: facts OR-ed, lists replaced, material gone once destroyed. Throws when there is nothing to change. */
export function merged(before: ManagedObject | undefined, change: Change): ManagedObject {
  if (change.kind === "create") {
    // Two creates of one object are for records that every node makes alike: the first stays, attributes are the later's.
    if (before !== undefined) return merged(before, { ...change, kind: "change" });
    return { ...change, attributes: new Map(Object.entries(structuredClone(change.attributes))) };
  }
  if (before === undefined) throw new Error(`object ${change.id} does not exist`);
  const attributes = new Map(before.attributes);
  for (const [name, instances] of Object.entries(change.attributes)) {
    if (instances === null) attributes.delete(name);
    else attributes.set(name, structuredClone(instances));
  }
  const facts = before.facts | change.facts;
  const gone = (facts & fact.destroyed) !== 0;
  return { ...before, facts, attributes, sealed: gone ? undefined : before.sealed };
}

/** Whether the object is among those that the filter asks for. */
export function satisfies(object: Description, filter: ObjectFilter): boolean {
  const owners = [filter.owner, ...(filter.also?.owners ?? [])];
  const inScope = filter.owner === undefined || owners.includes(object.owner) || filter.also?.ids.includes(object.id);
  if (inScope !== true) return false;
  if (filter.granted?.some((each) => grantedStatements(object).includes(each)) === false) return false;
  if ((object.facts & (filter.withoutFacts ?? 0)) !== 0) return false;
  if (filter.objectType !== undefined && object.objectType !== filter.objectType) return false;
  return Object.entries(filter.attributes ?? {}).every(([name, wanted]) =>
    (object.attributes.get(name) ?? []).some((instance) => holds(instance, wanted)),
  );
}

/** Statements of the rows ".grant Locate PRINCIPAL", sorted: what a search by `granted` looks at. */
export function grantedStatements({ attributes }: { readonly attributes: ReadonlyMap<string, unknown> }): string[] {
  const rows = [...attributes.keys()].filter((name) => name.startsWith(".grant Locate "));
  return rows.map((name) => name.slice(".grant ".length)).sort();
}

/** Whether the instance is the one that is wanted: the whole value, or for structures the given members. */
export function holds(instance: Json, wanted: Json): boolean {
  const structures = [instance, wanted].every(
    (value) => value !== null && typeof value === "object" && !Array.isArray(value),
  );
  if (!structures) return sameValue(instance, wanted);
  return Object.entries(wanted as object).every(([key, value]) =>
    sameValue((instance as Record<string, Json>)[key], value),
  );
}
