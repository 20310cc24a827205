import type { KeyObject } from "node:crypto";
import type { Keyring } from "../keys/types.ts";
import type { ManagedObject } from "../objects/types.ts";

/** Keys that were unsealed lately, so that an operation is a look-up and one computation. */
export interface KeyCache {
  /**
   * The key of an object as the store has it now; `open` unseals it if need be. What decides is the object in hand, not the
   * cache: state, rights and dates were checked on it, and a key is used only if its sealed bytes are still those.
   */
  keyOf(object: ManagedObject, keyring: Keyring, open: () => Promise<KeyObject>): Promise<KeyObject>;
  /** Forgets a key at once: it was destroyed or revoked, or who may use it has changed. */
  drop(id: string): void;
  clear(): void;
  readonly size: number;
}

/** Most keys that are kept, the least used one goes; and how long one is kept at most, used or not. */
export const keyCacheLimits = { keys: 10_000, ageMs: 300_000 } as const;

interface Entry {
  readonly sealed: Buffer;
  readonly keyring: Keyring;
  readonly key: KeyObject;
  readonly until: number;
}

/** An empty cache; dropped keys are wiped by OpenSSL when they are collected. */
export function keyCache(now: () => Date): KeyCache {
  const entries = new Map<string, Entry>();
  return {
    keyOf: async (object, keyring, open) => {
      const { id, sealed } = object;
      const time = now().getTime();
      const found = entries.get(id);
      entries.delete(id);
      if (found !== undefined && isCurrent(found, { sealed, keyring, time })) {
        entries.set(id, found);
        return found.key;
      }
      const key = await open();
      if (sealed !== undefined) entries.set(id, { sealed, keyring, key, until: time + keyCacheLimits.ageMs });
      trim(entries, time);
      return key;
    },
    drop: (id) => void entries.delete(id),
    clear: () => entries.clear(),
    get size() {
      return entries.size;
    },
  };
}

function isCurrent(
  { sealed, keyring, until }: Entry,
  now: { sealed: Buffer | undefined; keyring: Keyring; time: number },
): boolean {
  return until > now.time && keyring === now.keyring && now.sealed !== undefined && sealed.equals(now.sealed);
}

/** The first of the map is the one that was not used for the longest time. */
function trim(entries: Map<string, Entry>, time: number): void {
  for (const [id, { until }] of entries) {
    if (entries.size <= keyCacheLimits.keys && until > time) return;
    entries.delete(id);
  }
}
