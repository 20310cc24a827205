import type { Clock } from "../ports/types.ts";

/** Turns of the microtask queue after which everything that waits for nothing but its turn has run. */
const turns = 40;

/** Virtual time: timers run in order while it is moved on. Nothing real is waited for. */
export class SimulatedClock implements Clock {
  #nowMs: number;
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];

  constructor(nowMs = Date.parse("2026-11-24T00:00:00Z")) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sinceBoot() {
    return { boot: "boot", ms: this.#nowMs };
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Moves time on by so many milliseconds. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const due = this.#timers.filter(({ atMs }) => atMs <= endMs);
      if (due.length === 0) break;
      const next = due.reduce((first, timer) => (timer.atMs < first.atMs ? timer : first));
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      for (let turn = 0; turn < turns; turn++) await undefined;
    }
    this.#nowMs = endMs;
  }
}
