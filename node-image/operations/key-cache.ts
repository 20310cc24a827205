import type { KeyObject } from "node:crypto";
import type { Keyring } from "../keys/types.ts";
import type { Material } from "../objects/material.ts";
import { SecondChance } from "../objects/second-chance.ts";
import type { ManagedObject } from "../objects/types.ts";
import { sweeping } from "./sweeping.ts";

/** Keys and materials that were unsealed lately, so that an operation is a look-up and one computation. */
export interface KeyCache {
  /**
   * The key of an object as the store has it now; `open` unseals it if need be. What decides is the object in hand, not the
   * cache: state, rights and dates were checked on it, and a key is used only if its sealed bytes are still those.
   */
  keyOf(object: ManagedObject, keyring: Keyring, open: () => Promise<OpenedKey>): Promise<KeyObject>;
  /** The material in the same way, for handing it out: a copy, the caller's to zero. */
  materialOf(object: ManagedObject, keyring: Keyring, open: () => Material): Material;
  /** Forgets a key at once: it was destroyed or revoked, or who may use it has changed. */
  drop(id: string): void;
  clear(): void;
  readonly size: number;
}

/** A key that was opened. */
export interface OpenedKey {
  readonly key: KeyObject;
  /** Not of a key that another one had to unwrap: whether that may be done is decided each time, by that one's rights and state. */
  readonly mayBeKept: boolean;
}

/** Most keys that are kept, the least used one goes; and how long one is kept at most, used or not, also where nothing is asked for. */
export const keyCacheLimits = { keys: 10_000, ageMs: 300_000 } as const;
/** Larger materials are unsealed each time. */
const materialBytesMax = 512;

interface Entry {
  readonly sealed: Buffer;
  readonly keyring: Keyring;
  readonly until: number;
}

/** In OpenSSL's memory, which wipes it when nobody has it any more. */
interface KeptKey extends Entry {
  readonly key: KeyObject;
}

/** In memory of its own, which is wiped as it is dropped. */
interface KeptMaterial extends Entry {
  readonly head: Omit<Material, "bytes">;
  readonly bytes: Buffer;
}

/** An empty cache. */
export function keyCache(now: () => Date): KeyCache {
  const entries = new SecondChance<KeptKey>();
  const materials = new SecondChance<KeptMaterial>();
  const sweep = () => {
    const time = now().getTime();
    const over = ({ until }: Entry) => until <= time;
    entries.deleteWhere(over);
    for (const old of materials.deleteWhere(over)) wipe(old);
    return firstEnd([...entries.values(), ...materials.values()]);
  };
  const endsAt = sweeping(() => now().getTime(), keyCacheLimits.ageMs, sweep);
  return {
    keyOf: async ({ id, sealed }, keyring, open) => {
      const time = now().getTime();
      const found = entries.get(id);
      if (found !== undefined && isCurrent(found, { sealed, keyring, time })) return found.key;
      entries.delete(id);
      const { key, mayBeKept } = await open();
      if (sealed === undefined || !mayBeKept) return key;
      const until = time + keyCacheLimits.ageMs;
      entries.set(id, { sealed, keyring, key, until });
      trim(entries, time);
      endsAt(until);
      return key;
    },
    materialOf: ({ id, sealed }, keyring, open) => {
      const time = now().getTime();
      const found = materials.get(id);
      if (found !== undefined && isCurrent(found, { sealed, keyring, time })) {
        return { ...found.head, bytes: Buffer.from(found.bytes) };
      }
      wipe(materials.delete(id));
      const material = open();
      const { bytes, ...head } = material;
      if (sealed === undefined || bytes.length === 0 || bytes.length > materialBytesMax) return material;
      // A slab would be kept whole for each that is kept of it.
      const kept = Buffer.allocUnsafeSlow(bytes.length);
      bytes.copy(kept);
      const until = time + keyCacheLimits.ageMs;
      materials.set(id, { sealed, keyring, bytes: kept, until, head });
      for (const old of trim(materials, time)) wipe(old);
      endsAt(until);
      return material;
    },
    drop: (id) => {
      entries.delete(id);
      wipe(materials.delete(id));
    },
    clear: () => {
      entries.clear();
      for (const material of materials.values()) wipe(material);
      materials.clear();
    },
    get size() {
      return entries.size + materials.size;
    },
  };
}

function wipe(material: KeptMaterial | undefined): void {
  material?.bytes.fill(0);
}

/** The end of what ends first; undefined where nothing is kept. */
function firstEnd(entries: readonly Entry[]): number | undefined {
  return entries.length === 0 ? undefined : entries.reduce((first, { until }) => Math.min(first, until), Infinity);
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

/** Takes out what stands first and is too old, and what is too much. */
function trim<Kept extends Entry>(entries: SecondChance<Kept>, time: number): Kept[] {
  const out: (Kept | undefined)[] = [];
  for (let first = entries.first(); first !== undefined && first[1].until <= time; first = entries.first()) {
    out.push(entries.delete(first[0]));
  }
  while (entries.size > keyCacheLimits.keys) out.push(entries.shed());
  return out.filter((each) => each !== undefined);
}
