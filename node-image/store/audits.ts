import type { Audit } from "./audit.ts";
import { asStoreError } from "./connection.ts";
import type { StoreError } from "./error.ts";
import { whyNotWhole } from "./findings.ts";
import type { Log } from "./types.ts";

/** The whole database is looked through soon after the start and then at this pace; as soon again while it is not whole. */
const soonMs = 20_000;
const everyMs = 3_600_000;
/** A failure that goes on is told again at this pace. */
const tellMs = 3_600_000;
const remedy =
  "look at the volume and the log of PostgreSQL; until a look comes to its end nobody knows whether all is as it was written";

/** Options of `Audits`. */
export interface AuditsOptions {
  /** Looks the whole database through; rejects when it cannot now. */
  readonly look: () => Promise<Audit>;
  readonly nowMs: () => number;
  readonly log: Log;
  readonly foundDamaged: (ids: readonly string[]) => void;
  /** From now on nothing is served or written, */
  readonly distrust: (why: string) => Promise<void>;
  /** until this is called, after a look that found the database whole. */
  readonly trust: () => Promise<void>;
}

/** Looks through the whole database from time to time, one look after another. */
export class Audits {
  /** When the last one ended, in milliseconds since 1970. */
  lastMs: number | undefined;
  /** Why a later one did not come to its end. */
  problem: string | undefined;
  #told: { readonly problem: string; readonly atMs: number } | undefined;
  readonly #options: AuditsOptions;
  #running: Promise<Audit> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: AuditsOptions) {
    this.#options = options;
    this.#after(soonMs);
  }

  /** The one that is under way, or a new one. A store that it does not find whole is not trusted until another one does. */
  now(): Promise<Audit> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #run(): Promise<Audit> {
    const { look, distrust, trust, foundDamaged, nowMs } = this.#options;
    try {
      const found = await look();
      foundDamaged(found.damagedObjects);
      if (found.whole) await trust();
      else await distrust(whyNotWhole({ texts: found.findings }));
      this.lastMs = nowMs();
      this.problem = undefined;
      this.#told = undefined;
      return found;
    } catch (error) {
      throw this.#failed(asStoreError(error));
    }
  }

  #failed(error: StoreError): StoreError {
    this.problem = error.message;
    // A node that has not joined yet holds nothing to look through.
    if (error.code !== "noMasterKey") this.#tell(error.message);
    return error;
  }

  #tell(problem: string): void {
    const nowMs = this.#options.nowMs();
    // A clock that was set back tells at once.
    if (this.#told?.problem === problem && Math.abs(nowMs - this.#told.atMs) < tellMs) return;
    this.#told = { problem, atMs: nowMs };
    const hours = this.lastMs === undefined ? null : Math.max(0, Math.floor((nowMs - this.lastMs) / 3_600_000));
    this.#options.log({ level: "warn", event: "auditFailed", problem, hoursSinceLast: hours, remedy });
  }

  #after(afterMs: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      void this.now().then(
        ({ whole }) => this.#after(whole ? everyMs : soonMs),
        () => this.#after(soonMs),
      );
    }, afterMs).unref();
  }
}
