import type { Keyring } from "../keys/types.ts";
import type { Json } from "../objects/types.ts";
import { asStoreError } from "./connection.ts";
import { isUuid } from "./operation.ts";
import { isProvedBy } from "./proved.ts";
import type { Vector } from "./types.ts";

/** Where they are kept; replication's view of it is in mesh.sql. */
export const fencesSetting = "fences";
/** Logs of departed nodes whose ends are remembered; more are not taken. */
const fencesMax = 10_000;

/** Where the log of a departed node ends, as a member says it: the MAC shows that a member has. */
export type SaidFence = readonly [origin: string, seq: number, mac: string];

/** Options of `Fences`. */
export interface FencesOptions {
  /** Throws StoreError "noMasterKey" as long as there is none. */
  readonly keyring: () => Keyring;
  /** Keeps them beyond the process. */
  readonly save: (text: Json) => Promise<void>;
  /** How far this node holds a log of another; 0 for its own. */
  readonly held: (origin: string) => number;
}

/**
 * Where the logs of departed nodes end. The end of a log only rises, and it outlives the entry in the list of members that
 * told of it: the name comes back with a new log, and nothing beyond the end of the old one is ever taken.
 *
 * A node that was away while the others agreed may hold more of the log than they did: acknowledged writes. What it holds
 * when it hears of the end is the end for it, and by it for all: the highest that any member says.
 */
export class Fences {
  readonly #options: FencesOptions;
  readonly #ends = new Map<string, number>();
  readonly #macs = new Map<string, string>();
  /** What was found in the database and is not proved yet. */
  #found: readonly SaidFence[] = [];
  #saving: Promise<void> | undefined;
  #unsaved = false;

  constructor(options: FencesOptions) {
    this.#options = options;
  }

  /** Origin → last sequence. */
  get ends(): Vector {
    return this.#ends;
  }

  /** Begins with what an earlier process has saved; without the master key it counts from `trust` on, before which nothing is taken in. */
  restore(saved: Json | undefined, keyring: Keyring | undefined): void {
    this.#found = asFences(saved);
    if (keyring !== undefined) this.trust(keyring);
  }

  /**
   * With the master key: believes of what was restored what a member has said. The rest somebody has written into the
   * database, to have a member's log refused: it is left out and written over. Who could do that could also take an end
   * away; peers say it again before anything of the log can come. Throws KeyError "closed".
   */
  trust(keyring: Keyring): void {
    const proved = this.#found.filter((fence) => isProved(keyring, fence));
    this.#unsaved ||= proved.length < this.#found.length;
    for (const [origin, seq, mac] of proved) {
      if (seq <= (this.#ends.get(origin) ?? -1)) continue;
      this.#ends.set(origin, seq);
      this.#macs.set(origin, mac);
    }
    this.#found = [];
    this.#saveLater();
  }

  /** What the list of members says; lower ends than are known change nothing. Returns whether any rose. */
  raise(ends: Vector): boolean {
    const risen = [...ends].filter(([origin, seq]) => this.#rise(origin, seq));
    this.#saveLater();
    return risen.length > 0;
  }

  /** The same of what a peer knows; what no member has said is left out. Throws StoreError "noMasterKey". */
  take(said: unknown): boolean {
    const keyring = this.#options.keyring();
    const proved = asFences(said).filter((fence) => isSaid(keyring, fence));
    return this.raise(new Map(proved.map(([origin, seq]) => [origin, seq])));
  }

  /** Resolves when all that is known is saved, or could not be: then it is tried again at the next occasion. */
  async saved(): Promise<void> {
    while (this.#saving !== undefined) await this.#saving;
  }

  #rise(origin: string, said: number): boolean {
    const known = this.#ends.get(origin);
    const seq = Math.max(said, this.#options.held(origin));
    if (known === undefined ? this.#ends.size >= fencesMax : seq <= known) return false;
    this.#ends.set(origin, seq);
    this.#macs.delete(origin);
    this.#unsaved = true;
    return true;
  }

  #saveLater(): void {
    if (!this.#unsaved || this.#saving !== undefined) return;
    this.#saving = this.#save()
      .catch(() => {
        this.#unsaved = true;
      })
      .finally(() => {
        this.#saving = undefined;
      });
  }

  async #save(): Promise<void> {
    while (this.#unsaved) {
      const keyring = this.#options.keyring();
      this.#unsaved = false;
      for (const [origin, seq] of this.#ends)
        if (!this.#macs.has(origin)) this.#macs.set(origin, keyring.mac(authenticated(origin, seq)).toString("base64"));
      await this.#options.save([...this.#ends].map(([origin, seq]) => [origin, seq, this.#macs.get(origin) ?? ""]));
    }
  }
}

function isSaid(keyring: Keyring, fence: SaidFence): boolean {
  try {
    return isProved(keyring, fence);
  } catch (error) {
    throw asStoreError(error);
  }
}

/** Whether a member of the fleet has said so. Throws KeyError "closed". */
function isProved(keyring: Keyring, [origin, seq, mac]: SaidFence): boolean {
  return isProvedBy(keyring, authenticated(origin, seq), mac);
}

/** The bytes under the MAC; the first four tell them from an operation and a row. */
function authenticated(origin: string, seq: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.write("KFF1");
  bytes.write(origin.replaceAll("-", ""), 4, "hex");
  bytes.writeBigUInt64BE(BigInt(seq), 20);
  return bytes;
}

function asFences(value: unknown): readonly SaidFence[] {
  return Array.isArray(value) ? value.slice(0, fencesMax).filter(isFence) : [];
}

function isFence(value: unknown): value is SaidFence {
  if (!Array.isArray(value)) return false;
  const [origin, seq, mac] = value as unknown[];
  return (
    typeof origin === "string" &&
    isUuid(origin) &&
    Number.isSafeInteger(seq) &&
    (seq as number) >= 0 &&
    typeof mac === "string"
  );
}
