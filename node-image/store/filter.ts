import { isDeepStrictEqual } from "node:util";
import type { Json, ManagedObject, ObjectFilter } from "../objects/types.ts";

/** Whether all of the filter holds for the object, as the database's search decides it. */
export function satisfies(object: ManagedObject, filter: ObjectFilter): boolean {
  if (filter.owner !== undefined && object.owner !== filter.owner) return false;
  if (filter.objectType !== undefined && object.objectType !== filter.objectType) return false;
  if ((object.facts & (filter.withoutFacts ?? 0)) !== 0) return false;
  return Object.entries(filter.attributes ?? {}).every(([name, wanted]) =>
    (object.attributes.get(name) ?? []).some((instance) => holds(instance, wanted)),
  );
}

/** The whole value, or for structures the members asked for. */
function holds(instance: Json, wanted: Json): boolean {
  if (!isStructure(instance) || !isStructure(wanted)) return isDeepStrictEqual(instance, wanted);
  return Object.entries(wanted).every(([key, value]) => isDeepStrictEqual(instance[key], value));
}

function isStructure(value: Json): value is { readonly [key: string]: Json } {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
