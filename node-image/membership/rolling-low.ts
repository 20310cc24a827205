const windowMs = 60_000;

/**
 * The lowest value of the last one to two minutes, by name: the round trip of a network, without what a busy machine
 * adds to single measurements. Names that are not measured any more are forgotten.
 */
export class RollingLow {
  #recent = new Map<string, number>();
  #before = new Map<string, number>();
  #turnedAtMs = Number.NEGATIVE_INFINITY;

  /** Takes a measurement and gives the lowest. */
  take(name: string, value: number, nowMs: number): number {
    if (nowMs - this.#turnedAtMs >= windowMs) this.#turn(nowMs);
    const low = Math.min(value, this.#recent.get(name) ?? value);
    this.#recent.set(name, low);
    return Math.min(low, this.#before.get(name) ?? low);
  }

  #turn(nowMs: number): void {
    this.#before = this.#recent;
    this.#recent = new Map();
    this.#turnedAtMs = nowMs;
  }
}
