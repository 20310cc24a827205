import type { ManagedObject, Store } from "../objects/types.ts";

/** Objects of one write, and those that may wait for theirs; beyond it a Get waits until its own is written. */
const writeMax = 500;
const waitingMax = 10_000;

/** Whether no client has been given it yet (KMIP 1.4, 3.34). */
export function isFresh({ attributes }: Pick<ManagedObject, "attributes">): boolean {
  return attributes.get("Fresh")?.[0] === true;
}

/**
 * Turns Fresh false for objects that were served, many in one write, after their clients have their answers. Until it is
 * written this node tells it all the same: `seen` for whoever reads an object, `recorded` before a search by it.
 */
export class ServedObjects {
  readonly #store: Store;
  readonly #log: (fields: Readonly<Record<string, string | number | boolean>>) => void;
  readonly #waiting = new Set<string>();
  #writing: Promise<void> | undefined;

  constructor(parts: {
    readonly store: Store;
    readonly log: (fields: Readonly<Record<string, string | number | boolean>>) => void;
  }) {
    this.#store = parts.store;
    this.#log = parts.log;
  }

  /** Whether these are that store's objects, and not those of a batch that may be undone. */
  isFor(store: Store): boolean {
    return store === this.#store;
  }

  /** The object was served; a promise where the caller must wait for the writing. */
  note(id: string): Promise<void> | undefined {
    this.#waiting.add(id);
    this.#writing ??= this.#write();
    return this.#waiting.size > waitingMax ? this.#writing : undefined;
  }

  /** The object as it is told: no longer fresh if it was served a moment ago. */
  seen(object: ManagedObject): ManagedObject {
    if (this.#waiting.size === 0 || !this.#waiting.has(object.id)) return object;
    return { ...object, attributes: new Map(object.attributes).set("Fresh", [false]) };
  }

  /** Resolves when all that was noted is in the store, or could not be written. */
  async recorded(): Promise<void> {
    await this.#writing;
  }

  /** Writes until nothing waits. What cannot be written is fresh again: reading is not stopped by it. */
  async #write(): Promise<void> {
    while (this.#waiting.size > 0) {
      const ids = [...this.#waiting].slice(0, writeMax);
      try {
        const fresh: string[] = [];
        for await (const page of this.#store.descriptions(ids)) fresh.push(...page.filter(isFresh).map(({ id }) => id));
        await this.#store.write(fresh.map((id) => ({ kind: "change", id, facts: 0, attributes: { Fresh: [false] } })));
      } catch (error) {
        this.#log({ level: "warn", event: "fresh-not-recorded", objects: ids.length, error: (error as Error).name });
      }
      for (const id of ids) this.#waiting.delete(id);
    }
    this.#writing = undefined;
  }
}
