/** An origin without progress for this long is fetched from any peer that is ahead: its own node or the way to it is down. */
export const stalledMs = 1_000;

/** Who fetches a log keeps others from it for so long; then it may be one that sends as little as it can. */
export const fetchMaxMs = 5_000;
/** Logs of which nothing is here yet and that are remembered as behind; there are never as many, whatever a peer says. */
const unknownMax = 10_000;

/** Decides when an origin is to be fetched from others than its own node, and by one peer link at a time unless it is slow. */
export class Gossip {
  readonly #nowMs: () => number;
  readonly #behind = new Map<string, { readonly sinceMs: number; readonly position: number }>();
  readonly #busy = new Map<string, { readonly untilMs: number }>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Runs `fetch` when a peer is ahead in the origin and nothing of it has come for a second. */
  async consider(
    origin: string,
    positions: { mine: number; theirs: number },
    fetch: () => Promise<void>,
  ): Promise<void> {
    const { mine, theirs } = positions;
    if (mine >= theirs) return;
    const behind = this.#behind.get(origin);
    if (behind === undefined && mine === 0 && this.#behind.size >= unknownMax) return;
    if (behind === undefined || mine > behind.position) {
      this.#behind.set(origin, { sinceMs: this.#nowMs(), position: mine });
      return;
    }
    const now = this.#nowMs();
    if (now - behind.sinceMs < stalledMs || now < (this.#busy.get(origin)?.untilMs ?? 0)) return;
    const turn = { untilMs: now + fetchMaxMs };
    this.#busy.set(origin, turn);
    try {
      await fetch();
    } finally {
      if (this.#busy.get(origin) === turn) this.#busy.delete(origin);
    }
  }
}
