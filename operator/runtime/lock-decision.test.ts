import assert from "node:assert/strict";
import { test } from "node:test";
import { decideTake, holderOf, inheritedWork, leaseMs, majorityOf, type SeenShare } from "./lock-decision.ts";

const self = { site: "dc1", instance: "me" };
const free = { holder: undefined, instance: undefined, operation: undefined, node: undefined };
const by = (holder: string, instance = "it") => ({ holder, instance, operation: "Join", node: "dc2-a" });

function seen(shares: Readonly<Record<string, SeenShare["share"]>>, unchangedMs = 1000): SeenShare[] {
  return Object.entries(shares).map(([site, share]) => ({ site, share, unchangedMs }));
}

const three = ["dc3", "dc1", "dc2"];
const cases: readonly [string, readonly string[], readonly SeenShare[], unknown][] = [
  [
    "takes all that are free, in the order of names",
    three,
    seen({ dc1: free, dc2: free, dc3: free }),
    { kind: "take", sites: ["dc1", "dc2", "dc3"] },
  ],
  [
    "needs only a majority to be readable",
    three,
    seen({ dc1: free, dc3: free }),
    { kind: "take", sites: ["dc1", "dc3"] },
  ],
  [
    "does nothing when it holds the majority",
    three,
    seen({ dc1: by("dc1", "me"), dc2: by("dc1", "me"), dc3: free }),
    { kind: "held" },
  ],
  ["goes on from a part", three, seen({ dc1: by("dc1", "me"), dc2: free }), { kind: "take", sites: ["dc1", "dc2"] }],
  [
    "takes the rest when another has only a minority",
    three,
    seen({ dc1: free, dc2: free, dc3: by("dc3") }),
    { kind: "take", sites: ["dc1", "dc2"] },
  ],
  [
    "takes what has lapsed",
    three,
    seen({ dc1: by("dc2"), dc2: by("dc2"), dc3: free }, leaseMs),
    { kind: "take", sites: ["dc1", "dc2", "dc3"] },
  ],
  ["counts only the sites that are not lost", ["dc1"], seen({ dc1: free }), { kind: "take", sites: ["dc1"] }],
  [
    "refuses while another holds the majority, and says who",
    three,
    seen({ dc1: free, dc2: by("dc2"), dc3: by("dc2") }),
    { kind: "refuse", because: "2 of 3 sites are needed: dc2, dc3 taken by dc2" },
  ],
  [
    "refuses with one site left of three",
    three,
    seen({ dc1: free }),
    { kind: "refuse", because: "2 of 3 sites are needed: dc2, dc3 cannot be read" },
  ],
  [
    "takes over at once from who led its own site before",
    ["dc1"],
    seen({ dc1: by("dc1", "older") }),
    { kind: "take", sites: ["dc1"] },
  ],
  [
    "refuses when no site counts",
    [],
    seen({ dc1: free }),
    { kind: "refuse", because: "no site counts: spec.recovery.lostSites names them all" },
  ],
];

for (const [name, counting, shares, expected] of cases) {
  test(name, () => assert.deepEqual(decideTake(self, counting, shares), expected));
}

test("two disjoint majorities are impossible for every number of sites", () => {
  for (let sites = 1; sites <= 7; sites++) assert.ok(2 * majorityOf(sites) > sites);
});

const inheritances: readonly [string, readonly SeenShare[], unknown][] = [
  ["a majority of shares", seen({ dc1: by("dc1", "older"), dc2: by("dc1", "older"), dc3: free }), true],
  ["one share, as of a lock that was given back in part", seen({ dc1: by("dc1", "older"), dc2: free }), false],
  ["shares of different terms", seen({ dc1: by("dc1", "older"), dc2: by("dc1", "oldest") }), false],
  ["shares that have lapsed", seen({ dc1: by("dc1", "older"), dc2: by("dc1", "older") }, leaseMs), false],
  ["shares of its own", seen({ dc1: by("dc1", "me"), dc2: by("dc1", "me") }), false],
  ["shares of another site", seen({ dc1: by("dc2"), dc2: by("dc2") }), false],
];
for (const [what, shares, goesOn] of inheritances) {
  test(`${goesOn ? "goes on" : "does not go on"} with the work of ${what}`, () =>
    assert.deepEqual(inheritedWork(self, three, shares), goesOn ? { operation: "Join", node: "dc2-a" } : undefined));
}

test("shows the holder of most shares, and nobody when all have lapsed", () => {
  const shares = seen({ dc1: by("dc1"), dc2: by("dc2"), dc3: by("dc2") });
  assert.equal(holderOf(shares)?.holder, "dc2");
  assert.equal(holderOf(seen({ dc1: by("dc1") }, leaseMs)), undefined);
});
