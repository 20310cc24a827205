import type { Clock } from "../ports/types.ts";

/** A clock that stands still until it is told to go on. */
export class FakeClock implements Clock {
  #nowMs: number;
  /** How far the wall clock has been set away from that. */
  #jumpedMs = 0;
  /** In the order of their times. */
  readonly #timers: { atMs: number; run: () => void }[] = [];

  constructor(nowMs = Date.parse("2026-11-24T00:00:00Z")) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs + this.#jumpedMs;
  }

  /** Sets the wall clock to another time, as a person or NTP does; no time passes by it. */
  jump(ms: number): void {
    this.#jumpedMs += ms;
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.length;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sinceBoot() {
    return { boot: "boot", ms: this.#nowMs };
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run };
    const at = this.#timers.findLastIndex(({ atMs }) => atMs <= timer.atMs);
    this.#timers.splice(at + 1, 0, timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  /** Lets time pass: timers run in order, and what they start gets to run before the next one, until `settled` resolves. */
  async advance(ms: number, settled: () => Promise<void> = settle): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settled();
    for (;;) {
      const next = this.#timers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers.shift();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      await settled();
    }
    this.#nowMs = endMs;
    await settled();
  }
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
