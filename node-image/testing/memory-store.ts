import { merged, satisfies } from "../objects/merge.ts";
import type { ManagedObject, Store } from "../objects/types.ts";

/** A Store in memory with the merge rules of the real one: facts OR-ed, lists replaced, material gone once destroyed. */
export function memoryStore(): Store {
  const objects = new Map<string, ManagedObject>();
  return {
    holder: "00000000-0000-4000-8000-000000000001",
    onRemote: () => undefined,
    object: async (id) => objects.get(id),
    objects: async (ids) => ids.flatMap((id) => objects.get(id) ?? []),
    descriptions: async function* (ids) {
      yield ids.flatMap((id) => objects.get(id) ?? []);
    },
    locate: async (filter) =>
      [...objects.values()]
        .filter((object) => satisfies(object, filter))
        .map(({ id }) => id)
        .reverse(),
    write: async (changes) => {
      // All or nothing: everything is checked before anything is kept.
      const after = new Map<string, ManagedObject>();
      for (const change of changes)
        after.set(change.id, merged(after.get(change.id) ?? objects.get(change.id), change));
      for (const [id, object] of after) objects.set(id, object);
    },
  };
}
