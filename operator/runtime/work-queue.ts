import type { Clock, Log } from "../ports/types.ts";

/** How a key was handled: look again after so long, or only when something changes. */
export interface Handled {
  readonly requeueAfterMs?: number | undefined;
}

/** Handles one key; throws when it must be tried again. An error may say `requeueAfterMs` too, when there is more to do. */
export type HandleKey = (key: string, signal: AbortSignal) => Promise<Handled>;

export interface WorkQueueOptions {
  readonly handle: HandleKey;
  readonly clock: Clock;
  readonly log: Log;
  /** Keys handled at the same time. */
  readonly workers: number;
  /** After so long the pass is told to stop (its signal), and its key is tried again later. */
  readonly passCeilingMs: number;
}

/** Two passes over one key start at least so far apart: a bound on hot loops whatever causes them. */
const leastGapMs = 100;
/** Keys that wait; a site has a handful of KmsClusters. More are dropped and logged: the resync brings them back. */
const maxKeys = 10_000;
const firstRetryMs = 250;
const longestRetryMs = 30_000;

/**
 * Keys only, never events or objects: whoever handles a key reads the newest state. A key waits once however often it
 * is added, is handled by one worker at a time, and waits longer after each failure.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #due = new Map<string, { atMs: number; cancel: () => void }>();
  readonly #running = new Map<string, AbortController>();
  readonly #again = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #lastStartMs = new Map<string, number>();
  readonly #ready: string[] = [];
  #stopped = false;
  readonly #whenIdle: (() => void)[] = [];

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Handles the key soon; earlier calls for it that wait longer are replaced. */
  add(key: string, delayMs = 0): void {
    if (this.#stopped) return;
    if (this.#running.has(key) && delayMs === 0) {
      this.#again.add(key);
      return;
    }
    if (this.#ready.includes(key)) return;
    this.#schedule(key, delayMs);
  }

  /** Forgets what is known of a key that is gone. */
  forget(key: string): void {
    this.#due.get(key)?.cancel();
    this.#due.delete(key);
    this.#failures.delete(key);
    this.#lastStartMs.delete(key);
  }

  /** Keys that wait or are handled. */
  get depth(): number {
    return this.#due.size + this.#ready.length + this.#running.size;
  }

  /** Milliseconds that the longest pass under way has taken. */
  longestRunningMs(): number {
    const started = [...this.#running.keys()].map((key) => this.#lastStartMs.get(key) ?? 0);
    return started.length === 0 ? 0 : this.#options.clock.monotonicMs() - Math.min(...started);
  }

  /** Takes nothing more and tells passes under way to stop. */
  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#due.values()) cancel();
    this.#due.clear();
    this.#ready.length = 0;
    for (const controller of this.#running.values()) controller.abort(new Error("the operator stops"));
  }

  /** Resolves when no pass is under way. */
  idle(): Promise<void> {
    return this.#running.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  #schedule(key: string, delayMs: number): void {
    const { clock, log } = this.#options;
    const now = clock.monotonicMs();
    const atMs = Math.max(now + delayMs, (this.#lastStartMs.get(key) ?? -leastGapMs) + leastGapMs);
    const waiting = this.#due.get(key);
    if (waiting !== undefined && waiting.atMs <= atMs) return;
    if (waiting === undefined && this.#due.size >= maxKeys) {
      log.error("queue full, key dropped", { key, limit: maxKeys });
      return;
    }
    waiting?.cancel();
    const cancel = clock.after(atMs - now, () => {
      this.#due.delete(key);
      this.#ready.push(key);
      this.#next();
    });
    this.#due.set(key, { atMs, cancel });
  }

  #next(): void {
    while (this.#running.size < this.#options.workers) {
      const index = this.#ready.findIndex((key) => !this.#running.has(key));
      const [key] = index < 0 ? [] : this.#ready.splice(index, 1);
      if (key === undefined) return;
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    const { clock, handle, log, passCeilingMs } = this.#options;
    const controller = new AbortController();
    this.#running.set(key, controller);
    this.#lastStartMs.set(key, clock.monotonicMs());
    const cancelCeiling = clock.after(passCeilingMs, () => {
      log.error("pass takes too long, told to stop", { key, ceilingMs: passCeilingMs });
      controller.abort(new Error(`pass took more than ${passCeilingMs} ms`));
    });
    let delayMs: number | undefined;
    try {
      delayMs = (await handle(key, controller.signal)).requeueAfterMs;
      this.#failures.delete(key);
    } catch (error) {
      const { requeueAfterMs = longestRetryMs } = error as Handled;
      delayMs = Math.min(this.#retryDelay(key), requeueAfterMs);
      if (!this.#stopped) log.warn("pass failed, tried again", { key, problem: error, afterMs: delayMs });
    }
    cancelCeiling();
    this.#running.delete(key);
    if (this.#running.size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    if (this.#again.delete(key)) this.add(key);
    if (delayMs !== undefined) this.add(key, Math.max(delayMs, 1));
    this.#next();
  }

  #retryDelay(key: string): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    return Math.min(firstRetryMs * 2 ** Math.min(failures, 16), longestRetryMs);
  }
}
