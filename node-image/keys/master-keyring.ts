import { KeyError } from "./key-error.ts";
import { type MasterKey, macMatches, macWith, sealWith, unsealWith, versionOfBlob } from "./master-key.ts";
import type { Keyring } from "./types.ts";

/** A master key version as it rests on this node's disk: sealed by this node's own HSM. */
export interface MasterKeyRow {
  readonly version: number;
  readonly sealed: Buffer;
}

/** The keyring that the node's wiring holds: it can be exported, handed to a joiner, and dropped. */
export interface MasterKeyring extends Keyring {
  /** Master key versions in memory, oldest first; empty after close. */
  versions(): readonly MasterKey[];
  /** Rows to store; they hold nothing that this node's HSM did not seal. */
  exportRows(): readonly MasterKeyRow[];
  /** Forgets every key: from then on each call throws KeyError "closed". */
  close(): void;
}

/** Keyring over master keys and the rows they rest in; at least one version. */
export function keyringOf(keys: readonly MasterKey[], rows: readonly MasterKeyRow[]): MasterKeyring {
  return new MemoryKeyring(keys, rows);
}

/** Master key versions that one fleet may hold; a rotation a month fills it in twenty years. */
export const maxVersions = 256;

class MemoryKeyring implements MasterKeyring {
  readonly #keys: Map<number, MasterKey>;
  readonly #rows: readonly MasterKeyRow[];
  #newest: MasterKey | undefined;

  constructor(keys: readonly MasterKey[], rows: readonly MasterKeyRow[]) {
    const sorted = keys.toSorted((a, b) => a.version - b.version);
    if (sorted.length === 0 || sorted.length > maxVersions)
      throw new RangeError(`${sorted.length} master key versions; 1 to ${maxVersions} are possible`);
    this.#keys = new Map(sorted.map((key) => [key.version, key]));
    if (this.#keys.size < sorted.length) throw new KeyError("tampered", "one master key version is there twice");
    this.#rows = rows;
    this.#newest = sorted.at(-1);
  }

  get closed(): boolean {
    return this.#newest === undefined;
  }

  seal(plaintext: Buffer, context: Buffer): Buffer {
    return sealWith(this.#current(), plaintext, context);
  }

  unseal(blob: Buffer, context: Buffer): Buffer {
    this.#current();
    const version = versionOfBlob(blob);
    const key = this.#keys.get(version);
    if (key === undefined)
      throw new KeyError("unknownVersion", `sealed under master key version ${version}, which this node does not hold`);
    return unsealWith(key, blob, context);
  }

  mac(message: Buffer): Buffer {
    return macWith(this.#current(), message);
  }

  verifies(message: Buffer, mac: Buffer): boolean {
    this.#current();
    const key = mac.length < 4 ? undefined : this.#keys.get(mac.readUInt32BE(0));
    return key !== undefined && macMatches(key, message, mac);
  }

  versions(): readonly MasterKey[] {
    return [...this.#keys.values()];
  }

  exportRows(): readonly MasterKeyRow[] {
    return this.#rows;
  }

  close(): void {
    this.#keys.clear();
    this.#newest = undefined;
  }

  #current(): MasterKey {
    if (this.#newest === undefined)
      throw new KeyError("closed", "the master key is not in memory: the root of trust was lost or not yet opened");
    return this.#newest;
  }
}
