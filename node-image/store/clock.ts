/** Beyond this a peer's clock is not followed: its operations wait until it is set right. */
export const aheadMaxMs = 24 * 3_600_000;

const counterBits = 16n;

/** Hybrid logical clock: wall milliseconds and a counter; later than everything it has made or followed. */
export class LogicalClock {
  readonly #nowMs: () => number;
  #last = 0n;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** The next time stamp, strictly later than all before. */
  tick(): bigint {
    const wall = BigInt(Math.floor(this.#nowMs())) << counterBits;
    this.#last = wall > this.#last ? wall : this.#last + 1n;
    return this.#last;
  }

  /** Makes every later tick later than `hlc` too. */
  follow(hlc: bigint): void {
    if (hlc > this.#last) this.#last = hlc;
  }

  /** Whether `hlc` is so far in the future that following it would do harm. */
  refuses(hlc: bigint): boolean {
    return Number(hlc >> counterBits) > this.#nowMs() + aheadMaxMs;
  }

  /** How far the log's time runs ahead of this machine's. */
  aheadMs(): number {
    return Math.max(0, Number(this.#last >> counterBits) - this.#nowMs());
  }
}
