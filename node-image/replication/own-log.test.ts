import assert from "node:assert/strict";
import { test } from "node:test";
import type { Renewal } from "../store/ledger.ts";
import { OwnLog, type OwnLogOptions } from "./own-log.ts";
import type { MeshMember } from "./types.ts";

/** A store whose log "one" goes to 7, as far as OwnLog sees it. */
function aStore() {
  const store = {
    incarnation: "one",
    ownEndKnown: false,
    renewals: [] as Renewal[],
    /** To whom which name is proved to have been given. */
    proved: [] as string[],
    ownName: {
      isProved: async (identity: string, incarnation: string) => store.proved.includes(`${incarnation} ${identity}`),
      prove: async (identity: string, incarnation: string) => void store.proved.push(`${incarnation} ${identity}`),
    },
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

const self = { name: "self", identity: "CN=self" };

function anOwnLog(store: ReturnType<typeof aStore>, options: Partial<OwnLogOptions>): OwnLog {
  const defaults = { store, self, others: () => [], members: () => [], nowMs: () => 0, log: () => undefined };
  return new OwnLog({ ...defaults, ...options });
}

interface Case {
  readonly sentence: string;
  readonly others: readonly string[];
  /** Whose database was seen to hold no more, and who has acknowledged, of which log. */
  readonly agreed: readonly (readonly [identity: string, incarnation: string])[];
  readonly acknowledged: readonly (readonly [identity: string, incarnation: string])[];
  readonly renews: boolean;
}

const one = (...names: string[]) => names.map((name) => [name, "one"] as const);
const cases: readonly Case[] = [
  { sentence: "a fleet of one goes on with its log", others: [], agreed: [], acknowledged: [], renews: false },
  {
    sentence: "all members hold no more, and none has more on its way: it goes on",
    others: ["a", "b"],
    agreed: one("a", "b"),
    acknowledged: one("b", "a"),
    renews: false,
  },
  {
    sentence: "one member is not heard: another log begins",
    others: ["a", "b"],
    agreed: one("a"),
    acknowledged: one("a"),
    renews: true,
  },
  {
    sentence: "one member's database says that it holds no more, its key server nothing: another log begins",
    others: ["a", "b"],
    agreed: one("a", "b"),
    acknowledged: one("a"),
    renews: true,
  },
  {
    sentence: "one member has acknowledged, its database was not asked: another log begins",
    others: ["a", "b"],
    agreed: one("b"),
    acknowledged: one("a", "b"),
    renews: true,
  },
  { sentence: "nobody is heard: another log begins", others: ["a"], agreed: [], acknowledged: [], renews: true },
  {
    sentence: "what is said of another log does not count",
    others: ["a"],
    agreed: [["a", "none"]],
    acknowledged: one("a"),
    renews: true,
  },
  {
    sentence: "what is acknowledged of another log does not count",
    others: ["a"],
    agreed: one("a"),
    acknowledged: [["a", "none"]],
    renews: true,
  },
  {
    sentence: "who is no member does not count",
    others: ["a"],
    agreed: one("x"),
    acknowledged: one("x"),
    renews: true,
  },
];

for (const { sentence, others, agreed, acknowledged, renews } of cases) {
  test(`before the first write: ${sentence}`, async () => {
    const store = aStore();
    const ownLog = anOwnLog(store, { others: () => others });
    for (const [identity, incarnation] of agreed) ownLog.agreed(identity, incarnation);
    for (const [identity, incarnation] of acknowledged) ownLog.acknowledged(identity, incarnation);
    await ownLog.open();
    assert.deepEqual(store.renewals, renews ? [{ former: "one", head: 7, why: "notAsked" }] : []);
    assert.equal(store.ownEndKnown, true);
  });
}

/** Says all that a member has to say. */
function says(ownLog: OwnLog, identity: string): void {
  ownLog.agreed(identity, "one");
  ownLog.acknowledged(identity, "one");
}

test("a member that comes while others are asked is asked too", async () => {
  const store = aStore();
  const others = ["a"];
  const ownLog = anOwnLog(store, { others: () => others });
  others.push("b");
  says(ownLog, "a");
  assert.equal(store.ownEndKnown, false);
  says(ownLog, "b");
  assert.equal(store.ownEndKnown, true);
});

test("a starting node waits three seconds for all members' word, and not at all once it has it", () => {
  let nowMs = 5_000;
  const store = aStore();
  const ownLog = anOwnLog(store, { others: () => ["a"], nowMs: () => nowMs });
  assert.equal(ownLog.asked, false);
  nowMs += 2_999;
  assert.equal(ownLog.asked, false);
  nowMs += 1;
  assert.equal(ownLog.asked, true);
  nowMs = 5_000;
  says(ownLog, "a");
  assert.equal(ownLog.asked, true);
});

const member = (name: string, incarnation: string): MeshMember => {
  return { name, site: "dc1", identity: `CN=${name}`, standing: "Member", incarnation };
};
const claims: readonly (readonly [
  sentence: string,
  proved: readonly string[],
  members: readonly MeshMember[],
  renews: boolean,
])[] = [
  ["a name that nobody else has is taken for this node's", [], [member("self", "one"), member("a", "three")], false],
  ["the name of another's log is not", [], [member("self", "zero"), member("a", "one")], true],
  ["one that was given to another node is not", ["one CN=a"], [member("a", "one")], true],
  ["one that was given to this node is, whoever else says to have it", ["one CN=self"], [member("a", "one")], false],
];
for (const [sentence, proved, members, renews] of claims)
  test(`at the start ${sentence}`, async () => {
    const store = aStore();
    store.proved.push(...proved);
    await anOwnLog(store, { members: () => members }).claim();
    assert.deepEqual(store.renewals, renews ? [{ former: "one", head: Number.MAX_SAFE_INTEGER, why: "setBack" }] : []);
    assert.ok(store.proved.includes(`${store.incarnation} CN=self`), "from then on it is proved");
  });
