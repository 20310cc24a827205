/** Beyond this a peer's clock is not followed: its operations wait until it is set right. */
export const aheadMaxMs = 24 * 3_600_000;
/** By so much this machine's clock may differ from what is known of the others' before that is believed. */
const wrongMs = 3_600_000;
/** What a peer said of its clock counts for so long after another has. */
const keptMs = 900_000;
/** What a single peer says of the time is not taken for that of all before others had so long to be heard. */
export const settledMs = 3_000;

const counterBits = 16n;

/** A peer's clock less this process's steady time, and when it was heard by the latter. */
interface HeardClock {
  readonly offsetMs: number;
  readonly atMs: number;
}

/**
 * Hybrid logical clock: wall milliseconds and a counter; later than everything it has made or followed.
 *
 * A time too far ahead in a log stops that log at all others until it has come, and nobody can take it back. So a machine's
 * clock that is an hour wrong, as the greater part of the members' clocks say, is not used: theirs are, run on by the steady
 * time of this process, which nobody sets. As long as no peer was heard, what is made is not stamped more than an hour
 * later than the latest time in the database.
 */
export class LogicalClock {
  readonly #wallMs: () => number;
  readonly #steadyMs: () => number;
  readonly #heard = new Map<string, HeardClock>();
  /** When a peer was heard first. */
  #firstMs: number | undefined;
  /** The machine's clock is right between these, each less the steady time. */
  #bounds: { readonly low: number; readonly high: number } | undefined;
  /** The latest time in the database before the first tick, less the steady time. */
  #known: number | undefined;
  #ticked = false;
  #last = 0n;

  /** `steadyMs`: of this process, monotonic. */
  constructor(wallMs: () => number, steadyMs: () => number = () => performance.now()) {
    this.#wallMs = wallMs;
    this.#steadyMs = steadyMs;
  }

  /** The next time stamp, strictly later than all before. */
  tick(): bigint {
    this.#ticked = true;
    const wall = BigInt(Math.floor(this.#bounded())) << counterBits;
    this.#last = wall > this.#last ? wall : this.#last + 1n;
    return this.#last;
  }

  /** Makes every later tick later than `hlc` too. */
  follow(hlc: bigint): void {
    if (hlc > this.#last) this.#last = hlc;
    if (!this.#ticked) this.#known = Number(this.#last >> counterBits) - this.#steadyMs();
  }

  /**
   * Whether `hlc` is so far in the future that following it would do harm. Where what is followed runs further ahead already,
   * what goes on from there does none; nothing gets there by small steps.
   */
  refuses(hlc: bigint): boolean {
    const [latestMs, followedMs] = [this.#latestMs() + aheadMaxMs, this.#followedMs()];
    return Number(hlc >> counterBits) > (followedMs > latestMs ? followedMs + wrongMs : latestMs);
  }

  /** Whether what is heard of the time, if anything, is that of more than whoever happened to come first. */
  get isSettled(): boolean {
    return this.#heard.size !== 1 || this.#steadyMs() - (this.#firstMs ?? this.#steadyMs()) >= settledMs;
  }

  /**
   * Whether the log's time runs so far ahead of what the peers say of the time, of which more than one was heard or nobody
   * else is, that they take nothing more of it.
   */
  get isRefused(): boolean {
    return this.#bounds !== undefined && this.isSettled && this.#followedMs() > this.#latestMs() + aheadMaxMs;
  }

  /** How far the log's time runs ahead of this machine's. */
  aheadMs(): number {
    return Math.max(0, this.#followedMs() - this.#wallMs());
  }

  #followedMs(): number {
    return Number(this.#last >> counterBits);
  }

  /** What a peer's clock says at this moment, or its latest operation where that is days later; milliseconds since 1970. */
  hear(peer: string, clockMs: number): void {
    if (!Number.isFinite(clockMs)) return;
    const atMs = this.#steadyMs();
    this.#firstMs ??= atMs;
    this.#heard.set(peer, { offsetMs: clockMs - atMs, atMs });
    for (const [other, heard] of this.#heard) if (atMs - heard.atMs > keptMs) this.#heard.delete(other);
    const offsets = [...this.#heard.values()].map(({ offsetMs }) => offsetMs).sort((one, other) => one - other);
    // Where this machine's own is put among them, it is the middle one between these two; of two clocks the earlier counts.
    const middle = offsets.length >> 1;
    const [low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY] = [offsets[middle - 1], offsets[middle]];
    this.#bounds = { low, high };
  }

  /** This machine's clock, or that of the others where it is wrong. */
  #nowMs(): number {
    const wall = this.#wallMs();
    if (this.#bounds === undefined) return wall;
    const steady = this.#steadyMs();
    const [low, high] = [steady + this.#bounds.low, steady + this.#bounds.high];
    if (wall > high + wrongMs) return high;
    return wall < low - wrongMs ? low : wall;
  }

  /**
   * The latest that it may be. Nobody stamps by a clock that is far ahead, so to judge by one does no harm; to judge by one
   * far behind stops the logs of all others. Of a single peer nobody knows whose clock is wrong.
   */
  #latestMs(): number {
    const { low, high } = this.#bounds ?? { low: 0, high: 0 };
    const isAlone = low === Number.NEGATIVE_INFINITY && this.isSettled;
    const alone = isAlone ? this.#steadyMs() + high : Number.NEGATIVE_INFINITY;
    return Math.max(this.#wallMs(), this.#nowMs(), alone);
  }

  #bounded(): number {
    const now = this.#nowMs();
    if (this.#bounds !== undefined || this.#known === undefined) return now;
    return Math.min(now, this.#known + this.#steadyMs() + wrongMs);
  }
}
