import type { Clock } from "../../operator/ports/types.ts";

/** Time that goes on from one timer to the next, once all that the one before has begun is done. */
export class SteppedClock implements Clock {
  #nowMs = Date.now();
  readonly #timers = new Set<{ readonly atMs: number; readonly run: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sinceBoot() {
    return { boot: "bench", ms: this.#nowMs };
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** So many milliseconds; `done` resolves when what a timer has begun is over. */
  async advance(ms: number, done: () => Promise<void>): Promise<void> {
    const endMs = this.#nowMs + ms;
    await done();
    for (;;) {
      const dueMs = Math.min(...[...this.#timers].map(({ atMs }) => atMs));
      if (dueMs > endMs) break;
      this.#nowMs = Math.max(this.#nowMs, dueMs);
      for (const timer of [...this.#timers]) if (timer.atMs <= this.#nowMs && this.#timers.delete(timer)) timer.run();
      await done();
    }
    this.#nowMs = endMs;
  }
}
