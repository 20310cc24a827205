import type { TimeBounds } from "./types.ts";

/** The header `Date` has whole seconds. */
const resolutionMs = 1_000;

/**
 * What the clock of an API server says, by the header `Date` of its answers. It is carried on from one answer to the next by
 * a clock that never jumps, so that a jump of this machine's own clock shows at once, not only after the next answer.
 */
export class ServerClock {
  readonly #monotonicMs: () => number;
  /** Of the last answer: the server's time, and between which moments of the monotonic clock it was written. */
  #last: { readonly dateMs: number; readonly sentMs: number; readonly receivedMs: number } | undefined;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** An answer came to what was sent at that moment of the monotonic clock; without a date that can be read nothing is learnt. */
  answered(date: string | undefined, sentMs: number): void {
    const dateMs = Date.parse(date ?? "");
    if (!Number.isNaN(dateMs)) this.#last = { dateMs, sentMs, receivedMs: this.#monotonicMs() };
  }

  /** What it says now, as exactly as the way of the last answer allows; undefined before there was one. */
  now(): TimeBounds | undefined {
    if (this.#last === undefined) return undefined;
    const { dateMs, sentMs, receivedMs } = this.#last;
    const nowMs = this.#monotonicMs();
    return { earliestMs: dateMs + nowMs - receivedMs, latestMs: dateMs + resolutionMs + nowMs - sentMs };
  }
}
