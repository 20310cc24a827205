import type { Clock } from "../ports/types.ts";

/** A clock that is put right slowly moves by less than that from one pass to the next; anything more is a jump. */
const jumpMs = 10_000;

/** Tells for how long a machine's clock has not jumped, by comparing it with one that never does. */
export class SteadyClock {
  readonly #clock: Clock;
  #aheadMs: number;
  #sinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#aheadMs = this.#ahead();
    this.#sinceMs = clock.monotonicMs();
  }

  /** Milliseconds since it was first looked at or has last jumped. What a jump before that did to it nobody here knows. */
  steadyMs(): number {
    const aheadMs = this.#ahead();
    const nowMs = this.#clock.monotonicMs();
    if (Math.abs(aheadMs - this.#aheadMs) > jumpMs) this.#sinceMs = nowMs;
    this.#aheadMs = aheadMs;
    return nowMs - this.#sinceMs;
  }

  #ahead(): number {
    return this.#clock.nowMs() - this.#clock.monotonicMs();
  }
}
