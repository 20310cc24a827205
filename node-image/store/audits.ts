import type { Audit } from "./audit.ts";
import { asStoreError } from "./connection.ts";

/** The whole database is looked through soon after the start and then at this pace; as soon again while it is not whole. */
const soonMs = 20_000;
const everyMs = 3_600_000;

/** Options of `Audits`. */
export interface AuditsOptions {
  /** Looks the whole database through; rejects when it cannot now. */
  readonly look: () => Promise<Audit>;
  readonly nowMs: () => number;
  readonly foundDamaged: (ids: readonly string[]) => void;
  /** From now on nothing is served or written, */
  readonly distrust: (why: string) => void;
  /** until this is called, after a look that found the database whole. */
  readonly trust: () => Promise<void>;
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
      else distrust(found.findings.at(-1) ?? "the database is not as it was written");
      this.lastMs = nowMs();
      return found;
    } catch (error) {
      throw asStoreError(error);
    }
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
