import assert from "node:assert/strict";
import { test } from "node:test";
import type { Renewal } from "../store/ledger.ts";
import { OwnLog } from "./own-log.ts";

/** A store whose log "one" goes to 7, as far as OwnLog sees it. */
function aStore() {
  const store = {
    incarnation: "one",
    ownEndKnown: false,
    renewals: [] as Renewal[],
    vector: () => new Map([["one", 7]]),
    setOwnEndKnown: () => {
      store.ownEndKnown = true;
    },
    renew: async (renewal: Renewal) => {
      store.renewals.push(renewal);
      store.incarnation = "two";
      store.ownEndKnown = true;
      return true;
    },
  };
  return store;
}

interface Case {
  readonly sentence: string;
  readonly others: readonly string[];
  /** Who has said that it holds no more, of which log. */
  readonly said: readonly (readonly [identity: string, incarnation: string])[];
  readonly renews: boolean;
}

const cases: readonly Case[] = [
  { sentence: "a fleet of one goes on with its log", others: [], said: [], renews: false },
  {
    sentence: "all members hold no more: it goes on",
    others: ["a", "b"],
    said: [
      ["a", "one"],
      ["b", "one"],
    ],
    renews: false,
  },
  { sentence: "one member is not heard: another log begins", others: ["a", "b"], said: [["a", "one"]], renews: true },
  { sentence: "nobody is heard: another log begins", others: ["a"], said: [], renews: true },
  { sentence: "what is said of another log does not count", others: ["a"], said: [["a", "none"]], renews: true },
  { sentence: "who is no member does not count", others: ["a"], said: [["x", "one"]], renews: true },
];

for (const { sentence, others, said, renews } of cases) {
  test(`before the first write: ${sentence}`, async () => {
    const store = aStore();
    const ownLog = new OwnLog({ store, others: () => others, nowMs: () => 0, log: () => undefined });
    for (const [identity, incarnation] of said) ownLog.agreed(identity, incarnation);
    await ownLog.open();
    assert.deepEqual(store.renewals, renews ? [{ former: "one", head: 7, why: "notAsked" }] : []);
    assert.equal(store.ownEndKnown, true);
  });
}

test("a member that comes while others are asked is asked too", async () => {
  const store = aStore();
  const others = ["a"];
  const ownLog = new OwnLog({ store, others: () => others, nowMs: () => 0, log: () => undefined });
  others.push("b");
  ownLog.agreed("a", "one");
  assert.equal(store.ownEndKnown, false);
  ownLog.agreed("b", "one");
  assert.equal(store.ownEndKnown, true);
});

test("a starting node waits three seconds for all members' word, and not at all once it has it", () => {
  let nowMs = 5_000;
  const store = aStore();
  const ownLog = new OwnLog({ store, others: () => ["a"], nowMs: () => nowMs, log: () => undefined });
  assert.equal(ownLog.asked, false);
  nowMs += 2_999;
  assert.equal(ownLog.asked, false);
  nowMs += 1;
  assert.equal(ownLog.asked, true);
  nowMs = 5_000;
  ownLog.agreed("a", "one");
  assert.equal(ownLog.asked, true);
});
