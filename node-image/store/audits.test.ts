import assert from "node:assert/strict";
import { test } from "node:test";
import type { Audit } from "./audit.ts";
import { Audits, type AuditsOptions } from "./audits.ts";
import { StoreError } from "./error.ts";

type Outcome = "whole" | "not whole" | StoreError;

const testedSeconds = 2 * 3_600 + 30;
const unavailable = new StoreError("unavailable", "away");
const damaged = new StoreError("damaged", "a page");
const noMasterKey = new StoreError("noMasterKey", "not joined");

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
    "that cannot be looked through is neither trusted nor distrusted; that is told, and it is tried again soon",
    [unavailable, unavailable, damaged, "whole"],
    [
      "20 look",
      "20 auditFailed: away, null h",
      "40 look",
      "60 look",
      "60 auditFailed: a page, null h",
      "80 look",
      "80 trust",
      "3680 look",
      "3680 trust",
    ],
  ],
  [
    "that for hours no look gets through is told of every hour, with how long ago the last one did",
    ["whole", ...Array(400).fill(unavailable)],
    ["20 look", "20 trust", "3620 auditFailed: away, 1 h", "7220 auditFailed: away, 2 h"],
  ],
  [
    "of a node without a master key is looked through again and again, and nobody is told",
    Array(400).fill(noMasterKey),
    ["20 look"],
  ],
];

for (const [sentence, outcomes, story] of cases) {
  test(`a database ${sentence}`, async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const told: string[] = [];
    let second = 0;
    const nowMs = () => second * 1_000;
    const audits = new Audits(options([...outcomes], nowMs, (what) => void told.push(`${second} ${what}`)));
    for (second = 1; second <= testedSeconds; second += 1) {
      t.mock.timers.tick(1_000);
      await settled();
    }
    audits.stop();
    const repeated = outcomes.length > 100 ? told.filter((one, at) => at === 0 || !one.endsWith("look")) : told;
    assert.deepEqual(repeated, story);
  });
}

test("a clock that is set back by years hides no failure", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const told: string[] = [];
  const clock = { ms: 40 * 365 * 86_400_000 };
  const audits = new Audits(
    options(
      ["whole", ...Array(9).fill(unavailable)],
      () => clock.ms,
      (what) => void told.push(what),
    ),
  );
  const looks = async () => {
    t.mock.timers.tick(20_000);
    await settled();
    return audits.now().catch(() => undefined);
  };
  await looks();
  assert.deepEqual(told.splice(0).at(-1), "auditFailed: away, 0 h");
  clock.ms = 0;
  await looks();
  assert.deepEqual(told.at(-1), "auditFailed: away, 0 h");
  audits.stop();
});

/** Looks that come to the outcomes one after another, and then find the database whole. */
function options(outcomes: Outcome[], nowMs: () => number, tell: (what: string) => void): AuditsOptions {
  return {
    look: async () => {
      tell("look");
      const outcome = outcomes.shift() ?? "whole";
      if (outcome instanceof StoreError) throw outcome;
      return audit(outcome === "whole");
    },
    nowMs,
    log: ({ event, problem, hoursSinceLast }) => tell(`${event}: ${problem}, ${hoursSinceLast} h`),
    foundDamaged: () => undefined,
    distrust: async () => tell("distrust"),
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
