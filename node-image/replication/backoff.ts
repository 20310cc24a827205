const leastMs = 100;
const mostMs = 1_000;

/** How long to wait before a peer is called again: each time twice as long, up to a second, and not all nodes at once. */
export class Backoff {
  readonly #random: () => number;
  #ms = leastMs;

  /** `random`: from 0 to 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** After a session that lasted so long: a longer one begins anew. Milliseconds. */
  after(lastedMs: number): number {
    if (lastedMs > 2 * mostMs) this.#ms = leastMs;
    const waitMs = this.#ms * (0.5 + this.#random() / 2);
    this.#ms = Math.min(mostMs, this.#ms * 2);
    return waitMs;
  }
}
