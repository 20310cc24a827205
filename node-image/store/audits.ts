import type { Audit } from "./audit.ts";
import { asStoreError } from "./connection.ts";
import type { Alone } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import { RunningAudit } from "./running-audit.ts";

/** The whole database is looked through soon after the start and then at this pace. */
const firstMs = 20_000;
const everyMs = 3_600_000;
// A page takes some milliseconds, of the writer as well, and nothing waits for the end: a million objects take ten minutes.
const restMs = 50;

/** Options of `Audits`. */
export interface AuditsOptions {
  readonly ledger: Ledger;
  readonly alone: Alone;
  readonly nowMs: () => number;
  /** Throws when the database cannot be looked through now. */
  readonly mayBegin: () => void;
  readonly foundDamaged: (ids: readonly string[]) => void;
}

/** Looks through the whole database from time to time, one look after another. */
export class Audits {
  /** When the last one ended, in milliseconds since 1970. */
  lastMs: number | undefined;
  readonly #options: AuditsOptions;
  #running: Promise<Audit> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: AuditsOptions) {
    this.#options = options;
    this.#after(firstMs);
  }

  /** The one that is under way, or a new one. From then on a store that is not whole is not trusted. */
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
    const { ledger, alone, mayBegin, foundDamaged, nowMs } = this.#options;
    mayBegin();
    const found = await new RunningAudit({ ledger, alone, restMs }).run().catch((error) => {
      throw asStoreError(error);
    });
    foundDamaged(found.damagedObjects);
    if (!found.whole) ledger.distrust(found.findings.at(-1) ?? "the database is not as it was written");
    this.lastMs = nowMs();
    return found;
  }

  #after(afterMs: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      const again = (next: number) => () => this.#after(next);
      void this.now().then(again(everyMs), again(firstMs));
    }, afterMs).unref();
  }
}
