import { createHash, createHmac, randomFillSync } from "node:crypto";
import { uint32 } from "./bytes.ts";

/** A random generator that takes seeds without trusting them. */
export interface RandomSource {
  /** The caller zeroes what it gets. */
  retrieve(bytes: number): Buffer;
  seed(data: Buffer): void;
}

/**
 * The system's generator, mixed (XOR) with a second stream that depends on a secret of this process and on all seeds so far.
 * So a seed can only add: whoever chooses seeds knows neither of the two, and the result is as good as the better one.
 */
export function randomSource(system: (into: Buffer) => Buffer = randomFillSync): RandomSource {
  const state = system(Buffer.alloc(32));
  return {
    seed: (data) => {
      const next = createHmac("sha256", state).update("seed").update(data).digest();
      state.set(next);
      next.fill(0);
    },
    retrieve: (bytes) => {
      const result = system(Buffer.alloc(bytes));
      const key = createHmac("sha256", state).update("retrieve").digest();
      for (let at = 0; at < bytes; at += 32) {
        const block = createHmac("sha256", key).update(uint32(at)).digest();
        for (let i = 0; i < block.length && at + i < bytes; i++)
          result[at + i] = (result[at + i] ?? 0) ^ (block[i] ?? 0);
        block.fill(0);
      }
      // One way: who learns the state later does not learn what was given out (backtracking resistance).
      const next = createHash("sha256").update("next").update(state).digest();
      state.set(next);
      next.fill(0);
      key.fill(0);
      return result;
    },
  };
}
