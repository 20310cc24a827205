/** A peer may take so long for its snapshot before it must have sent anything; each time that it was too slow twice as long. */
export const patienceMs = 60_000;
/** What it must send beyond that: a page of 1 MiB in 16 s. A link that a fleet may have brings twenty times as much. */
export const bytesPerMsMin = 64;
/** A link that is slower still is waited for in the end: nobody else may be left. */
const patienceMaxMs = 16 * patienceMs;

/**
 * How long one peer is waited for with its snapshot. Each answer has its deadline, and each may hold one object, and so last
 * for ever: so the sum of all waiting is measured by what came of it. Time that this node needs itself does not count.
 */
export class Patience {
  readonly #nowMs: () => number;
  #graceMs = patienceMs;
  #waitedMs = 0;
  #bytes = 0;
  #pending = 0;
  #sinceMs = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Whether the peer has had its time. */
  get isOver(): boolean {
    return this.#waitedMs > this.#graceMs + this.#bytes / bytesPerMsMin;
  }

  /** Waits for an answer; several at once are waited for together. */
  async over<Answer>(answer: Promise<Answer>): Promise<Answer> {
    if (this.#pending === 0) this.#sinceMs = this.#nowMs();
    this.#pending += 1;
    try {
      return await answer;
    } finally {
      const now = this.#nowMs();
      this.#waitedMs += now - this.#sinceMs;
      this.#sinceMs = now;
      this.#pending -= 1;
    }
  }

  /** So much of the peer's state has come; not what it may be stuffed with on its way. */
  came(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Nothing is asked for so long, because the peer has failed. */
  lost(ms: number): void {
    this.#waitedMs += ms;
  }

  /** From the beginning, with more patience. */
  renew(): void {
    this.#graceMs = Math.min(patienceMaxMs, 2 * this.#graceMs);
    this.#waitedMs = 0;
    this.#bytes = 0;
  }
}
