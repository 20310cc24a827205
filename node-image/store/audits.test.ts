import assert from "node:assert/strict";
import { test } from "node:test";
import type { Audit } from "./audit.ts";
import { Audits } from "./audits.ts";
import { StoreError } from "./error.ts";

type Outcome = "whole" | "not whole" | StoreError;

const testedSeconds = 2 * 3_600 + 30;
const unavailable = new StoreError("unavailable", "PostgreSQL does not answer");

const cases: readonly (readonly [sentence: string, outcomes: readonly Outcome[], story: readonly string[]])[] = [
  [
    "is looked through soon after the start and then every hour",
    ["whole", "whole"],
    ["20 look", "20 trust", "3620 look", "3620 trust", "7220 look", "7220 trust"],
  ],
  [
    "that is not whole is not trusted, and looked through again soon, until it is",
    ["not whole", "not whole", "whole"],
    ["20 look", "20 distrust", "40 look", "40 distrust", "60 look", "60 trust", "3660 look", "3660 trust"],
  ],
  [
    "that cannot be looked through is neither trusted nor distrusted, and it is tried again soon",
    [unavailable, unavailable, "whole"],
    ["20 look", "40 look", "60 look", "60 trust", "3660 look", "3660 trust"],
  ],
];

for (const [sentence, outcomes, story] of cases) {
  test(`a database ${sentence}`, async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const told: string[] = [];
    let second = 0;
    const audits = new Audits(options([...outcomes], (what) => void told.push(`${second} ${what}`)));
    for (second = 1; second <= testedSeconds; second += 1) {
      t.mock.timers.tick(1_000);
      await settled();
    }
    audits.stop();
    assert.deepEqual(told, story);
  });
}

/** Looks that come to the outcomes one after another, and then find the database whole. */
function options(outcomes: Outcome[], tell: (what: string) => void): ConstructorParameters<typeof Audits>[0] {
  return {
    look: async () => {
      tell("look");
      const outcome = outcomes.shift() ?? "whole";
      if (outcome instanceof StoreError) throw outcome;
      return audit(outcome === "whole");
    },
    nowMs: () => 0,
    foundDamaged: () => undefined,
    distrust: () => tell("distrust"),
    trust: async () => tell("trust"),
  };
}

function audit(whole: boolean): Audit {
  return { objects: 0, operations: 0, damagedObjects: [], whole, findings: [], findingsTotal: 0 };
}

/** Whatever follows from what has happened until now. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
