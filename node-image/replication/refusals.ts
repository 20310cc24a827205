/** The reason where a peer says to have of a log what it does not give. */
export const notShown = "notShown";
/** Where a log is refused for what it is, not for what one peer says of it: nobody waits for it, as nobody takes it. */
const lasting: ReadonlySet<string | undefined> = new Set(["forked", "clockTooFarAhead"]);
const refusedForMs = 15_000;
/** Beyond it all are forgotten, and what is wrong with them is found anew. */
const refusedMax = 10_000;

/** Logs of which nothing is taken from one peer for a while, and why; then each is asked for again, and kept until that is answered. */
export class Refusals {
  readonly #nowMs: () => number;
  readonly #refused = new Map<string, { readonly reason: string; readonly untilMs: number }>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get none(): boolean {
    return this.#refused.size === 0;
  }

  /** By origin. */
  reasons(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#refused].map(([origin, { reason }]) => [origin, reason]));
  }

  /** What the peer says of its logs, without what it did not show. */
  shown<Head>(heads: ReadonlyMap<string, Head>): ReadonlyMap<string, Head> {
    return this.#without(heads, (origin) => this.#refused.get(origin)?.reason === notShown && this.has(origin));
  }

  /** What the peer says of its logs, without those that nobody takes. */
  taken<Head>(heads: ReadonlyMap<string, Head>): ReadonlyMap<string, Head> {
    return this.#without(heads, (origin) => lasting.has(this.#refused.get(origin)?.reason));
  }

  /** Returns whether it is news. */
  refuse(origin: string, reason: string): boolean {
    const before = this.#refused.get(origin)?.reason;
    if (this.#refused.size >= refusedMax) this.#refused.clear();
    this.#refused.set(origin, { reason, untilMs: this.#nowMs() + refusedForMs });
    return before !== reason;
  }

  /** Whether nothing of the log is to be asked for now. */
  has(origin: string): boolean {
    return this.#nowMs() < (this.#refused.get(origin)?.untilMs ?? Number.NEGATIVE_INFINITY);
  }

  /** What is over, and of which the peer has nothing to give any more, is forgotten: nobody will ask for it again. */
  settle(gives: (origin: string) => boolean): void {
    for (const origin of this.#refused.keys()) if (!this.has(origin) && !gives(origin)) this.#refused.delete(origin);
  }

  clear(): void {
    this.#refused.clear();
  }

  #without<Head>(heads: ReadonlyMap<string, Head>, isOut: (origin: string) => boolean): ReadonlyMap<string, Head> {
    return this.none ? heads : new Map([...heads].filter(([origin]) => !isOut(origin)));
  }
}
