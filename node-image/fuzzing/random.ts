/** Seeded choices: the same seed gives the same run. */
export interface Random {
  /** 0 ≤ result < 1. */
  fraction(): number;
  /** A whole number below `count`. */
  below(count: number): number;
  /** True once in so many times. */
  oneIn(count: number): boolean;
  pick<Value>(values: readonly Value[]): Value;
}

/** mulberry32: small, seeded, good enough to pick cases. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  const fraction = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count: number) => Math.floor(fraction() * count);
  return {
    fraction,
    below,
    oneIn: (count) => below(count) === 0,
    pick: <Value>(values: readonly Value[]) => {
      if (values.length === 0) throw new RangeError("nothing to pick from");
      return values[below(values.length)] as Value;
    },
  };
}
