import { createSecretKey, type KeyObject } from "node:crypto";
import type { Keyring } from "../keys/types.ts";
import type { Material } from "../objects/material.ts";
import type { ManagedObject } from "../objects/types.ts";

/** Keys and materials that were unsealed lately, so that an operation is a look-up and one computation. */
export interface KeyCache {
  /**
   * The key of an object as the store has it now; `open` unseals it if need be. What decides is the object in hand, not the
   * cache: state, rights and dates were checked on it, and a key is used only if its sealed bytes are still those.
   */
  keyOf(object: ManagedObject, keyring: Keyring, open: () => Promise<KeyObject>): Promise<KeyObject>;
  /** The material in the same way, for handing it out: a copy, the caller's to zero. */
  materialOf(object: ManagedObject, keyring: Keyring, open: () => Material): Material;
  /** Forgets a key at once: it was destroyed or revoked, or who may use it has changed. */
  drop(id: string): void;
  clear(): void;
  readonly size: number;
}

/** Most keys that are kept, the least used one goes; and how long one is kept at most, used or not. */
export const keyCacheLimits = { keys: 10_000, ageMs: 300_000 } as const;
/** Larger materials are unsealed each time. */
const materialBytesMax = 512;

/** In OpenSSL's memory: of a material its bytes, and beside it what is no secret. */
interface Entry {
  readonly sealed: Buffer;
  readonly keyring: Keyring;
  readonly key: KeyObject;
  readonly until: number;
  readonly head?: Omit<Material, "bytes">;
}

/** An empty cache; dropped keys are wiped by OpenSSL when they are collected. */
export function keyCache(now: () => Date): KeyCache {
  const entries = new Map<string, Entry>();
  const materials = new Map<string, Entry>();
  return {
    keyOf: async ({ id, sealed }, keyring, open) => {
      const time = now().getTime();
      const found = recall(entries, id, { sealed, keyring, time });
      if (found !== undefined) return found.key;
      const key = await open();
      if (sealed !== undefined) entries.set(id, { sealed, keyring, key, until: time + keyCacheLimits.ageMs });
      trim(entries, time);
      return key;
    },
    materialOf: ({ id, sealed }, keyring, open) => {
      const time = now().getTime();
      const found = recall(materials, id, { sealed, keyring, time });
      if (found?.head !== undefined) return { ...found.head, bytes: found.key.export() };
      const material = open();
      const { bytes, ...head } = material;
      if (sealed === undefined || bytes.length === 0 || bytes.length > materialBytesMax) return material;
      const until = time + keyCacheLimits.ageMs;
      materials.set(id, { sealed, keyring, key: createSecretKey(bytes), until, head });
      trim(materials, time);
      return material;
    },
    drop: (id) => {
      entries.delete(id);
      materials.delete(id);
    },
    clear: () => {
      entries.clear();
      materials.clear();
    },
    get size() {
      return entries.size + materials.size;
    },
  };
}

/** What is kept, if it is still that of the object; it counts as used. */
function recall(
  kept: Map<string, Entry>,
  id: string,
  now: { sealed: Buffer | undefined; keyring: Keyring; time: number },
): Entry | undefined {
  const found = kept.get(id);
  if (found === undefined) return undefined;
  kept.delete(id);
  if (!isCurrent(found, now)) return undefined;
  kept.set(id, found);
  return found;
}

function isCurrent(
  { sealed, keyring, until }: Entry,
  now: { sealed: Buffer | undefined; keyring: Keyring; time: number },
): boolean {
  return (
    until > now.time &&
    keyring === now.keyring &&
    !keyring.closed &&
    now.sealed !== undefined &&
    sealed.equals(now.sealed)
  );
}

/** The first of the map is the one that was not used for the longest time. */
function trim(entries: Map<string, Entry>, time: number): void {
  for (const [id, { until }] of entries) {
    if (entries.size <= keyCacheLimits.keys && until > time) return;
    entries.delete(id);
  }
}
