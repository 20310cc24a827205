import type { NodeStore } from "../store/types.ts";

/** What was asked and is not answered after so long makes the other links look for what this one does not bring. */
export const overdueMs = 1_000;
/** So long after the last operation of anybody, links still look each second. */
const restMs = 3_000;
/** A link that is at rest looks all the same after so long. */
const lookMs = 10_000;

/** Options of `Pace`. */
export interface PaceOptions {
  readonly store: Pick<NodeStore, "vector">;
  readonly nowMs: () => number;
  /** Every peer is connected and has answered what it was asked a second ago. */
  readonly allHeard: () => boolean;
}

/**
 * Whether this node's links must look at their peers' vectors each second, or a sign of life is enough. What a peer writes it
 * tells by itself; vectors are looked at for what others tell of it, for which there is no need as long as all are heard.
 */
export class Pace {
  readonly #options: PaceOptions;
  #operations = -1;
  #movedMs = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** `lookedMs`: when the link has looked last. */
  mustLook(lookedMs: number): boolean {
    const { store, nowMs, allHeard } = this.#options;
    const now = nowMs();
    const operations = store
      .vector()
      .values()
      .reduce((sum, seq) => sum + seq, 0);
    if (operations !== this.#operations) this.#movedMs = now;
    this.#operations = operations;
    return now - this.#movedMs < restMs || now - lookedMs >= lookMs || !allHeard();
  }
}
