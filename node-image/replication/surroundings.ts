import { connectPeer } from "./peer-connection.ts";

/** All that the exchange with peers asks of the world besides its store: simulations give it another world. */
export interface Surroundings {
  readonly connect: typeof connectPeer;
  /** Runs the work after so many milliseconds, with 0 once all that has arrived is read; what it returns calls it off. */
  readonly after: (ms: number, work: () => void) => () => void;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** Real connections, real time, real chance. */
export const realSurroundings: Surroundings = {
  connect: connectPeer,
  after: (ms, work) => {
    if (ms === 0) {
      const immediate = setImmediate(work);
      return () => clearImmediate(immediate);
    }
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};
