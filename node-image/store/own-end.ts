import type { NodeStore } from "./types.ts";

/** Where is kept since when PostgreSQL was running when the end was known last. */
const setting = "ownEndKnownSince";

/** What `OwnEnd` needs of the store. */
export interface OwnEndParts {
  readonly query: (text: string) => Promise<readonly Record<string, unknown>[]>;
  readonly settings: Pick<NodeStore, "setting" | "setSetting">;
}

/**
 * Whether this node's own log surely ends where its database says. A database cannot be exchanged while its PostgreSQL runs:
 * what one process knew holds for the next one as long as that was not started again.
 */
export class OwnEnd {
  /** Before the first write. */
  opening: () => Promise<void> = async () => undefined;
  readonly #parts: OwnEndParts;
  #known: boolean;

  /** `begins`: the log begins with this process. */
  constructor(begins: boolean, parts: OwnEndParts) {
    this.#known = begins;
    this.#parts = parts;
  }

  get known(): boolean {
    return this.#known;
  }

  /** At the start: takes over what an earlier process knew. */
  async recall(): Promise<void> {
    this.#known ||= (await this.#parts.settings.setting(setting)) === (await this.#since());
    this.keep();
  }

  know(): void {
    this.#known = true;
    this.keep();
  }

  /** After each connection: for the next process. When it fails that one has to ask its peers. */
  keep(): void {
    if (!this.#known) return;
    void this.#since()
      .then((since) => this.#parts.settings.setSetting(setting, since))
      .catch(() => undefined);
  }

  async #since(): Promise<string> {
    const [row] = await this.#parts.query("select pg_postmaster_start_time()::text as since");
    return row?.since as string;
  }
}
