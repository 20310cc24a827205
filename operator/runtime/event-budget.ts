import type { Clock } from "../ports/types.ts";

/** So many events of a fleet are written at once, which a whole upgrade does not use up. */
const atOnce = 200;
/** Then one in so long. */
const thenEveryMs = 5_000;

/** Whether one more event of a fleet may be written: a site or a node that flaps must not fill an API server with its news. */
export class EventBudget {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #left = atOnce;
  #countedMs: number;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
    this.#countedMs = clock.monotonicMs();
  }

  /** Takes one, if there is one. */
  take(): boolean {
    const earned = Math.floor((this.#clock.monotonicMs() - this.#countedMs) / thenEveryMs);
    this.#countedMs += earned * thenEveryMs;
    this.#left = Math.min(this.#left + earned, atOnce);
    if (this.#left === 0) return false;
    this.#left--;
    return true;
  }
}
