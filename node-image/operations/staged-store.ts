import { merged, satisfies } from "../objects/merge.ts";
import type { Change, ManagedObject, Store } from "../objects/types.ts";

/** A store whose writes are seen by whoever asks it, and become true all at once or never. */
export interface StagedStore {
  readonly store: Store;
  /** Writes everything that was staged; all or nothing. */
  commit(): Promise<void>;
}

/** Lays a stage over a store: for batches that must leave nothing when they fail (KMIP Undo). */
export function stagedStore(base: Store): StagedStore {
  const changes: Change[] = [];
  const staged = new Map<string, ManagedObject>();
  const objects = async (ids: readonly string[]) => {
    const below = await base.objects(ids.filter((id) => !staged.has(id)));
    const found = new Map(below.map((object) => [object.id, object]));
    return ids.flatMap((id) => staged.get(id) ?? found.get(id) ?? []);
  };
  return {
    store: {
      // A node whose disk was set back takes another one, perhaps in the middle of the batch.
      get holder() {
        return base.holder;
      },
      onRemote: (marker, listener) => base.onRemote(marker, listener),
      object: async (id) => staged.get(id) ?? (await base.object(id)),
      objects,
      locate: async (filter) => {
        const own = [...staged.values()].filter((object) => satisfies(object, filter)).map(({ id }) => id);
        const below = await base.locate(filter);
        return [...own.reverse(), ...below.filter((id) => !staged.has(id))];
      },
      write: async (wanted) => {
        const before = new Map((await objects(wanted.map(({ id }) => id))).map((object) => [object.id, object]));
        const after = new Map<string, ManagedObject>();
        for (const change of wanted)
          after.set(change.id, merged(after.get(change.id) ?? before.get(change.id), change));
        for (const [id, object] of after) staged.set(id, object);
        changes.push(...wanted);
      },
    },
    commit: async () => {
      if (changes.length > 0) await base.write(changes);
    },
  };
}
