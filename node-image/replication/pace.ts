import type { NodeStore } from "../store/types.ts";
import type { Surroundings } from "./surroundings.ts";

/** What was asked and is not answered after so long makes the other links look for what this one does not bring. */
export const overdueMs = 1_000;
/** Links that do not rest look at their peers so often. */
export const lookMs = 1_000;
/** A link at rest looks at the whole vector all the same after so long. */
export const wholeLookMs = 300_000;
/** So long after the last operation of anybody, links still look each second. */
const restMs = 3_000;
/** At rest one link after another has its turn, so long after the one before; nothing else of the exchange happens more often. */
export const turnMs = 2_000;
// Timers are late, and never early.
const toleranceMs = 100;

/** Options of `Pace`. */
export interface PaceOptions {
  readonly store: Pick<NodeStore, "vector">;
  readonly nowMs: () => number;
  readonly surroundings: Pick<Surroundings, "after" | "random">;
  /** Some peer is connected and has not answered what it was asked a second ago. */
  readonly anySilent: () => boolean;
}

/**
 * When this node's links look at their peers. While anything is written anywhere, or a peer falls silent, each does each
 * second. At rest there is one look in two seconds for the whole node, at one peer after another: what a peer writes it tells
 * by itself, and what any of them got from others the looks come to. So a fleet at rest costs each node the same, however
 * many members it has.
 */
export class Pace {
  readonly #options: PaceOptions;
  readonly #waiting = new Map<object, () => void>();
  #operations = -1;
  #movedMs: number;
  #turnAtMs = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#movedMs = options.nowMs();
  }

  /** Nothing was written for three seconds, and nobody is silent. */
  get resting(): boolean {
    const { nowMs, anySilent } = this.#options;
    return nowMs() - this.#movedMs >= restMs && !anySilent();
  }

  /** Resolves when it is the link's turn to look: at rest after those that wait already, else within a second. */
  async turn(link: object): Promise<void> {
    if (this.resting) await new Promise<void>((resolve) => this.#waiting.set(link, resolve));
  }

  /** The link is gone: it waits no longer. */
  leave(link: object): void {
    this.#waiting.get(link)?.();
    this.#waiting.delete(link);
  }

  /** Something is written here: whoever waits for a turn looks within a second, not all in the same moment. */
  wake(): void {
    if (this.#waiting.size === 0) return;
    const { nowMs, surroundings } = this.#options;
    this.#movedMs = nowMs();
    for (const look of this.#waiting.values()) surroundings.after(surroundings.random() * lookMs, look);
    this.#waiting.clear();
  }

  /** To be called each second or more often, at rest each two seconds. */
  tick(): void {
    const { store, nowMs } = this.#options;
    const now = nowMs();
    let operations = 0;
    for (const seq of store.vector().values()) operations += seq;
    if (operations !== this.#operations) this.#movedMs = now;
    this.#operations = operations;
    if (!this.resting) this.wake();
    else if (now - this.#turnAtMs >= turnMs - toleranceMs) this.#nextTurn();
  }

  #nextTurn(): void {
    this.#turnAtMs = this.#options.nowMs();
    const [next] = this.#waiting.keys();
    if (next !== undefined) this.leave(next);
  }
}
