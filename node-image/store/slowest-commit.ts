import type { Log } from "./types.ts";

const windowMs = 60_000;
/** A transaction that takes longer says that the disk is slow: every write of every client waits for it. */
export const slowCommitMs = 1_000;

/** The slowest transaction of the last minute. */
export class SlowestCommit {
  readonly #log: Log;
  #worst: { readonly ms: number; readonly atMs: number } = { ms: 0, atMs: 0 };
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(log: Log) {
    this.#log = log;
  }

  get ms(): number {
    return performance.now() - this.#worst.atMs > windowMs ? 0 : this.#worst.ms;
  }

  /** A transaction took so long; one that is too slow is told of, at most once a minute. */
  took(ms: number): void {
    const now = performance.now();
    if (ms >= this.ms) this.#worst = { ms, atMs: now };
    if (ms < slowCommitMs || now - this.#toldMs < windowMs) return;
    this.#toldMs = now;
    this.#log({ level: "warn", event: "slowDisk", commitMs: Math.round(ms) });
  }
}
