import type { Random } from "../testing/random-stream.ts";

type Rows = readonly Record<string, unknown>[];

/** What a peer whose database was changed, or somebody in its place, answers instead of the truth. */
export interface Lie {
  /** The function of schema mesh that it is told about. */
  readonly of: "vector" | "pull";
  readonly tell: (truth: Rows, before: Rows, random: Random) => Rows;
}

/** By name; `before` is what was answered the last time. None of it can be shown by an operation or a root of the fleet. */
export const lies: Readonly<Record<string, Lie>> = {
  oldPage: { of: "pull", tell: (truth, before, random) => (random.chance(0.5) ? before : truth) },
  reversedPage: { of: "pull", tell: (truth, _before, random) => (random.chance(0.5) ? truth.toReversed() : truth) },
  repeatedPage: { of: "pull", tell: (truth, before) => [...before, ...truth, ...truth] },
  halfAPage: { of: "pull", tell: (truth, _before, random) => truth.slice(random.between(0, 1) * (truth.length >> 1)) },
  holdsMore: { of: "vector", tell: (truth, _before, random) => ofOne(truth, random, (seq) => ({ seq: `${seq + 5}` })) },
  prunedMore: {
    of: "vector",
    tell: (truth, _before, random) => ofOne(truth, random, (seq) => ({ seq: `${seq + 5}`, base: `${seq + 5}` })),
  },
  anotherEnd: { of: "vector", tell: (truth, _before, random) => ofOne(truth, random, () => ({ mac: "AAAA" })) },
};

function ofOne(truth: Rows, random: Random, change: (seq: number) => Record<string, string>): Rows {
  const liedAbout = random.between(0, truth.length - 1);
  return truth.map((row, at) => (at === liedAbout ? { ...row, ...change(Number(row.seq)) } : row));
}
