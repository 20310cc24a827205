import assert from "node:assert/strict";
import { test } from "node:test";
import { decideTake, holderOf, leaseMs, majorityOf, type SeenShare } from "./lock-decision.ts";

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
    "does not take over from another process of its own site before that has lapsed",
    ["dc1"],
    seen({ dc1: by("dc1", "older") }),
    { kind: "refuse", because: "1 of 1 sites are needed: dc1 taken by dc1" },
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

test("shows the holder of most shares, and nobody when all have lapsed", () => {
  const shares = seen({ dc1: by("dc1"), dc2: by("dc2"), dc3: by("dc2") });
  assert.equal(holderOf(shares)?.holder, "dc2");
  assert.equal(holderOf(seen({ dc1: by("dc1") }, leaseMs)), undefined);
});
