import assert from "node:assert/strict";
import { test } from "node:test";
import { Pace } from "./pace.ts";

interface Moment {
  readonly nowMs: number;
  readonly lookedMs: number;
  readonly operations: number;
  readonly allHeard?: boolean;
}

const cases: readonly (readonly [string, readonly Moment[], boolean])[] = [
  ["a link looks when the node has just started", [{ nowMs: 0, lookedMs: 0, operations: 0 }], true],
  [
    "it rests when nothing came for three seconds",
    [
      { nowMs: 0, lookedMs: 0, operations: 5 },
      { nowMs: 3_000, lookedMs: 2_000, operations: 5 },
    ],
    false,
  ],
  [
    "it looks again when anything came, from whomever",
    [
      { nowMs: 0, lookedMs: 0, operations: 5 },
      { nowMs: 60_000, lookedMs: 59_000, operations: 6 },
    ],
    true,
  ],
  [
    "it looks when another peer is not heard: others may tell of that one",
    [
      { nowMs: 0, lookedMs: 0, operations: 5 },
      { nowMs: 4_000, lookedMs: 3_000, operations: 5, allHeard: false },
    ],
    true,
  ],
  [
    "it looks all the same after ten seconds",
    [
      { nowMs: 0, lookedMs: 0, operations: 5 },
      { nowMs: 60_000, lookedMs: 50_000, operations: 5 },
    ],
    true,
  ],
];

for (const [sentence, moments, wanted] of cases)
  test(sentence, () => {
    let moment: Moment = { nowMs: 0, lookedMs: 0, operations: 0 };
    const pace = new Pace({
      store: { vector: () => new Map([["one", moment.operations]]) },
      nowMs: () => moment.nowMs,
      allHeard: () => moment.allHeard ?? true,
    });
    const answers = moments.map((each) => {
      moment = each;
      return pace.mustLook(each.lookedMs);
    });
    assert.equal(answers.at(-1), wanted);
  });
