import { isCorruption } from "./connection.ts";
import type { Log } from "./types.ts";

/** At this pace PostgreSQL is asked for what others have met: peers that pull, its own vacuum. */
const everyMs = 60_000;
/** Damaged objects that are remembered, so that each is reported once. */
const objectsMax = 1_000;
const rejoin = "remove this node and join it again with an empty volume";
const text = `select coalesce(bool_or(checksum_failures > 0), false) as damaged from pg_stat_database
  where datname = current_database() or datname is null`;

/** What was found damaged since the start: objects whose rows are not as they were written, pages of PostgreSQL's files. */
export class Damage {
  /** No later success takes it back: the volume is not to be trusted. */
  pages = false;
  readonly #objects = new Set<string>();
  readonly #log: Log;
  readonly #query: (text: string) => Promise<readonly Record<string, unknown>[]>;
  readonly #timer: NodeJS.Timeout;

  constructor(log: Log, query: (text: string) => Promise<readonly Record<string, unknown>[]>) {
    this.#log = log;
    this.#query = query;
    this.#timer = setInterval(() => void this.ask(), everyMs).unref();
  }

  /** How many there are. */
  get objects(): number {
    return this.#objects.size;
  }

  found(ids: Iterable<string>): void {
    for (const id of ids) {
      if (this.#objects.has(id) || this.#objects.size >= objectsMax) continue;
      this.#objects.add(id);
      const remedy = `its row is not as it was written: run keyfleet-node verify, then ${rejoin}`;
      this.#log({ level: "error", event: "objectDamaged", object: id, remedy });
    }
  }

  /** Told of every failure of PostgreSQL, whose text is not logged. */
  failed(error: unknown): void {
    if (isCorruption(error)) this.#foundPages((error as { readonly code: string }).code);
  }

  /** Whether anybody has met damaged pages; who does not answer is asked again. */
  async ask(): Promise<void> {
    const [row] = await this.#query(text).catch(() => []);
    if (row?.damaged === true) this.#foundPages("checksum");
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #foundPages(problem: string): void {
    if (this.pages) return;
    this.pages = true;
    const remedy = `look at the volume, then ${rejoin}: it takes everything from its peers`;
    this.#log({ level: "error", event: "pagesDamaged", problem, remedy });
  }
}
