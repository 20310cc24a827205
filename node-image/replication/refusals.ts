/** The reason where a peer says to have of a log what it does not give. */
export const notShown = "notShown";
const refusedForMs = 15_000;
/** Beyond it all are forgotten, and what is wrong with them is found anew. */
const refusedMax = 10_000;

/** Logs of which nothing is taken from one peer for a while, and why. */
export class Refusals {
  readonly #nowMs: () => number;
  readonly #refused = new Map<string, { readonly reason: string; readonly untilMs: number }>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Whether there is none; those that are over count until they were asked for. */
  get none(): boolean {
    return this.#refused.size === 0;
  }

  /** By origin. */
  reasons(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#refused].map(([origin, { reason }]) => [origin, reason]));
  }

  /** What the peer says of its logs, without what it did not show. */
  shown<Head>(heads: ReadonlyMap<string, Head>): ReadonlyMap<string, Head> {
    if (this.none) return heads;
    return new Map(
      [...heads].filter(([origin]) => this.#refused.get(origin)?.reason !== notShown || !this.has(origin)),
    );
  }

  refuse(origin: string, reason: string): void {
    if (this.#refused.size >= refusedMax) this.#refused.clear();
    this.#refused.set(origin, { reason, untilMs: this.#nowMs() + refusedForMs });
  }

  has(origin: string): boolean {
    const refused = this.#refused.get(origin);
    if (refused !== undefined && this.#nowMs() < refused.untilMs) return true;
    this.#refused.delete(origin);
    return false;
  }

  clear(): void {
    this.#refused.clear();
  }
}
