import assert from "node:assert/strict";
import { test } from "node:test";
import { type State, state } from "./enumerations.ts";
import { factOf, stateOf, type Trigger, transitions } from "./lifecycle.ts";
import { fact, type Json } from "./types.ts";

const now = new Date(1_000_000_000);
const having = (facts: number, attributes: Readonly<Record<string, readonly Json[]>> = {}) => ({
  facts,
  attributes: new Map(Object.entries(attributes)),
});

const stateNames = new Map(Object.entries(state).map(([name, value]) => [value, name]));
const { activated, deactivated, compromised, destroyed } = fact;

/** One way of facts to each state. */
const ways: readonly (readonly [State, number])[] = [
  [state.preActive, 0],
  [state.active, activated],
  [state.deactivated, activated | deactivated],
  [state.compromised, activated | compromised],
  [state.destroyed, destroyed],
  [state.destroyedCompromised, compromised | destroyed],
];

for (const [from, facts] of ways) {
  for (const [trigger, to] of Object.entries(transitions[from]) as [Trigger, State][]) {
    test(`${stateNames.get(from)} → ${trigger} → ${stateNames.get(to)}: the table and the facts agree`, () => {
      assert.equal(stateOf(having(facts), now), from);
      assert.equal(stateOf(having(facts | factOf[trigger]), now), to);
    });
  }
}

test("no fact that arrives later makes a destroyed or compromised object usable again", () => {
  const usable: readonly number[] = [state.preActive, state.active, state.deactivated];
  for (let facts = 0; facts < 16; facts++) {
    for (let later = 0; later < 16; later++) {
      if (usable.includes(stateOf(having(facts), now))) continue;
      const dates = { "Activation Date": [1], "Deactivation Date": [2_000_000] };
      assert.ok(!usable.includes(stateOf(having(facts | later, dates), now)));
    }
  }
});

const dates: readonly (readonly [string, Readonly<Record<string, readonly Json[]>>, number, State])[] = [
  ["an activation date in the past activates", { "Activation Date": [1_000_000] }, 0, state.active],
  ["one in the future does not", { "Activation Date": [1_000_001] }, 0, state.preActive],
  [
    "a deactivation date in the past deactivates an active object",
    { "Deactivation Date": [1] },
    activated,
    state.deactivated,
  ],
  ["but not one that was never active", { "Deactivation Date": [1] }, 0, state.preActive],
  ["a fact weighs more than a date", { "Deactivation Date": [2_000_000] }, activated | deactivated, state.deactivated],
];

for (const [name, attributes, facts, expected] of dates) {
  test(name, () => assert.equal(stateOf(having(facts, attributes), now), expected));
}
