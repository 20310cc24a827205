import assert from "node:assert/strict";
import { test } from "node:test";
import type { Member } from "@keyfleet/crds/kms-node.ts";
import {
  aCluster,
  aNode,
  anObserved,
  aView,
  desiredInTest,
  inWords,
  type NodeInTest,
  nowMs,
} from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";
import { manyNodes, without } from "../testing/worlds.ts";
import { planNext } from "./plan.ts";

const heldFor = (node: string, operation = "remove") => ({ heldByMe: true, holder: "dc1", operation, node });
/** A fleet of so many nodes whose last is exchanged for another. */
const swapped = (count: number) => ({
  ...manyNodes(count),
  spec: {
    ...manyNodes(count).spec,
    sites: manyNodes(count + 1).spec.sites.map((site) => ({
      ...site,
      nodes: site.nodes.filter(({ name }) => name !== `dc1-${count - 1}`),
    })),
  },
});
const withoutDc3 = aCluster(({ spec }) => (spec.sites = spec.sites.slice(0, 2)));
const withoutB = without("dc1", "dc1-b");
const ago = (ms: number) => new Date(nowMs - ms).toISOString();
const log = "log-of-dc1-b";

/** A member that says how far it holds the log of dc1-b. */
const holds = (sequence: number): NodeInTest => ({
  stage: "member",
  status: { departures: [{ name: "dc1-b", incarnation: log, sequence }] },
});
const all = (sequence: number) =>
  Object.fromEntries(["dc1-a", "dc2-a", "dc2-b", "dc3-a", "dc3-b"].map((name) => [name, holds(sequence)]));
const leaving = (change: Partial<NodeInTest> = {}): NodeInTest => ({
  stage: "member",
  spec: { membership: { action: "Leave" } },
  annotations: { "keyfleet.io/leaving-since": ago(5_000) },
  ...change,
});
const drained = leaving({
  serving: false,
  bad: { Serving: ["Drained", "no client is served"] },
  status: { departures: [{ name: "dc1-b", incarnation: log, sequence: 7 }] },
});
const listed = (standing: "Leaving" | "Fenced" | "Departed", more = {}) => ({
  "dc1-b": { standing, incarnation: log, ...more },
});
const held = heldFor("dc1-b");
const withC = aCluster(({ spec }) => spec.sites[0]?.nodes.push({ name: "dc1-c" }));
/** Six members, and so many that have departed. */
const departed = (count: number): Record<string, Partial<Member>> => ({
  ...Object.fromEntries(["dc1-a", "dc1-b", "dc2-a", "dc2-b", "dc3-a", "dc3-b"].map((name) => [name, {}])),
  ...Object.fromEntries(Array.from({ length: count }, (_, at) => [`dc1-old${at}`, { standing: "Departed" as const }])),
});
const departedC = { "dc1-c": { standing: "Departed" as const, incarnation: "old" } };
const gone = { cluster: withoutB, listed: listed("Departed", { lastSequence: 7 }) } as const;

const beginning: readonly Case[] = [
  ["takes the lock first", { cluster: withoutB, nodes: { "dc1-b": "member" } }, ["lock for remove of dc1-b"]],
  ["tells the node to leave", { cluster: withoutB, nodes: { "dc1-b": "member" }, lock: held }, ["dc1-b: Leave"]],
  ["leaves it to the site of the node", { site: "dc2", cluster: withoutB, nodes: { "dc1-b": "member" } }, []],
  [
    "not while a wanted member does not serve",
    { cluster: withoutB, nodes: { "dc1-b": "member", "dc2-a": { stage: "member", serving: false } } },
    [],
    ["fleetKeepsServing dc1-b"],
  ],
  [
    "not of a site that has gone from the document before its nodes: they may serve",
    { cluster: withoutDc3, listed: { "dc3-a": { standing: "Member" } } },
    [],
    ["allSitesObserved dc3"],
  ],
  [
    "nor goes on with it when the site goes meanwhile",
    { cluster: withoutDc3, listed: { "dc3-a": { standing: "Leaving" } } },
    [],
    ["allSitesObserved dc3"],
  ],
  [
    "not while a site cannot be seen",
    { cluster: withoutB, nodes: { "dc1-b": "member" }, unreachable: ["dc3"] },
    [],
    ["allSitesObserved dc3"],
  ],
  [
    "before what comes with it when the fleet is full: that has to wait for its place",
    { cluster: swapped(20), nodes: { "dc1-20": "waiting", "dc1-19": "member" } },
    ["lock for remove of dc1-19"],
    ["sizeLimit dc1-20"],
  ],
  [
    "and that joins when its place is free",
    { cluster: swapped(20), nodes: { "dc1-20": "waiting", "dc1-19": "absent" } },
    ["lock for join of dc1-20"],
  ],
  [
    "nobody joins under a name for which no list has room; it is said which names are free",
    { cluster: withC, nodes: { "dc1-c": "waiting" }, listed: departed(58) },
    [],
    ["sizeLimit dc1-c"],
  ],
  [
    "one that has departed comes back under its name all the same",
    {
      cluster: withC,
      nodes: { "dc1-c": { stage: "waiting", status: { incarnation: "new" } } },
      listed: { ...departed(57), ...departedC },
    },
    ["lock for join of dc1-c"],
  ],
  [
    "a dead one too, of a full fleet",
    { cluster: swapped(20), nodes: { "dc1-20": "waiting", "dc1-19": { stage: "member", serving: false } } },
    ["lock for remove of dc1-19"],
    ["sizeLimit dc1-20"],
  ],
  [
    "after what comes with it has joined: capacity is kept",
    {
      cluster: aCluster(
        (c) =>
          (c.spec.sites[0] = { name: "dc1", environment: "OnPremises", nodes: [{ name: "dc1-a" }, { name: "dc1-c" }] }),
      ),
      nodes: { "dc1-b": "member", "dc1-c": "waiting" },
    },
    ["lock for join of dc1-c"],
  ],
  [
    "not while what comes with it cannot join",
    {
      cluster: aCluster(
        (c) =>
          (c.spec.sites[0] = { name: "dc1", environment: "OnPremises", nodes: [{ name: "dc1-a" }, { name: "dc1-c" }] }),
      ),
      nodes: { "dc1-b": "member", "dc1-c": { stage: "waiting", bad: { RootOfTrust: ["PinIncorrect", "wrong PIN"] } } },
    },
    [],
    ["capacityKept dc1-b"],
  ],
  [
    "never the last node of a site that serves while another of the site is wanted",
    { cluster: withoutB, nodes: { "dc1-b": "member", "dc1-a": { stage: "member", serving: false } } },
    [],
    ["siteKeepsServing dc1-b"],
  ],
  [
    "lets another keep the lock that it needs while gates of the removal are closed",
    {
      cluster: withoutB,
      nodes: {
        "dc1-a": { stage: "member", annotations: { "keyfleet.io/rolling": "0.1.0" } },
        "dc1-b": { stage: "member", serving: false },
        "dc2-a": { stage: "member", serving: false },
      },
      lock: { ...heldFor("dc1-a"), operation: "settings" },
    },
    ["dc1-a: Member"],
    ["fleetKeepsServing dc1-b"],
  ],
  [
    "the dead before those that serve",
    {
      cluster: aCluster((c) => (c.spec.sites[0] = { name: "dc1", environment: "OnPremises", nodes: [] })),
      nodes: { "dc1-a": "member", "dc1-b": { stage: "member", serving: false } },
    },
    ["lock for remove of dc1-b"],
  ],
  [
    "a dead node of a lost site is fenced by the first site that counts",
    {
      cluster: aCluster((c) => {
        c.spec = { ...without("dc3", "dc3-b").spec, recovery: { lostSites: ["dc3"] } };
      }),
      nodes: { "dc3-b": "member" },
      unreachable: ["dc3"],
      lock: heldFor("dc3-b"),
    },
    ["dc1-a: Member", "dc1-b: Member"],
  ],
  [
    "one whose KmsNode is gone, of a site without other nodes, is fenced by another site",
    {
      cluster: aCluster((c) => (c.spec.sites[2] = { name: "dc3", environment: "Cloud", nodes: [] })),
      listed: { "dc3-b": { standing: "Member", incarnation: "log-of-dc3-b" } },
      lock: heldFor("dc3-b"),
    },
    ["dc1-a: Member", "dc1-b: Member"],
  ],
];

const going: readonly Case[] = [
  [
    "gives the lock back when the site of the node, which was lost as it began, counts again",
    {
      cluster: without("dc3", "dc3-b"),
      nodes: { "dc3-b": "member" },
      listed: { "dc3-b": { standing: "Fenced", incarnation: "log-of-dc3-b" } },
      lock: heldFor("dc3-b"),
    },
    ["unlock"],
  ],
  [
    "takes the lock again after a crash",
    { cluster: withoutB, nodes: { "dc1-b": leaving() } },
    ["lock for remove of dc1-b"],
  ],
  [
    "waits until the node has drained",
    { cluster: withoutB, nodes: { "dc1-b": leaving() }, lock: held },
    [],
    ["lastTouchedRecovered dc1-b"],
  ],
  [
    "waits until every member holds all that it wrote",
    {
      cluster: withoutB,
      nodes: { ...all(7), "dc2-b": holds(6), "dc1-b": drained },
      lock: held,
      listed: listed("Leaving"),
    },
    [],
    ["lastTouchedRecovered dc1-b"],
  ],
  [
    "fences it when every member holds all that it wrote",
    { cluster: withoutB, nodes: { ...all(7), "dc1-b": drained }, lock: held, listed: listed("Leaving") },
    ["dc1-a: Member", "dc1-b: Leave"],
  ],
  [
    "does not take the word of another life for that",
    {
      cluster: withoutB,
      nodes: {
        ...all(7),
        "dc2-a": { stage: "member", status: { departures: [{ name: "dc1-b", incarnation: "other", sequence: 7 }] } },
        "dc1-b": drained,
      },
      lock: held,
      listed: listed("Leaving"),
    },
    [],
  ],
  [
    "waits a while for one that neither serves nor drains",
    { cluster: withoutB, nodes: { ...all(5), "dc1-b": leaving({ serving: false }) }, lock: held },
    [],
  ],
  [
    "fences one that neither serves nor drains after a minute",
    {
      cluster: withoutB,
      nodes: {
        ...all(5),
        "dc1-b": leaving({ serving: false, annotations: { "keyfleet.io/leaving-since": ago(61_000) } }),
      },
      lock: held,
    },
    ["dc1-a: Member", "dc1-b: Leave"],
  ],
  [
    "waits until the members hold the same of a fenced one",
    {
      cluster: withoutB,
      nodes: { ...all(7), "dc3-a": holds(8), "dc1-b": drained },
      lock: held,
      listed: listed("Fenced"),
    },
    [],
    ["lastTouchedRecovered dc1-b"],
  ],
  [
    "lets it depart when all members hold the same",
    { cluster: withoutB, nodes: { ...all(7), "dc1-b": drained }, lock: held, listed: listed("Fenced") },
    ["dc1-a: Member", "dc1-b: Leave"],
  ],
  [
    "begins nothing else meanwhile",
    { cluster: withoutB, nodes: { "dc1-b": drained, "dc3-b": "waiting" }, lock: heldFor("dc3-b", "join") },
    ["unlock"],
  ],
  [
    "goes on although the node is in the specification again",
    { nodes: { ...all(7), "dc1-b": drained }, listed: listed("Leaving") },
    ["lock for remove of dc1-b"],
  ],
];

const afterwards: readonly Case[] = [
  [
    "keeps the volume and deletes the rest of a node that has departed",
    { ...gone, nodes: { "dc1-b": drained } },
    ["apply PersistentVolumeClaim data-dc1-b-0", "delete KmsNode dc1-b"],
  ],
  ["gives the lock back then", { ...gone, lock: held }, ["unlock"]],
  [
    "keeps the lock while a member has not heard of it",
    { ...gone, nodes: { "dc1-b": drained, "dc3-a": { stage: "member", spec: { members: [] } } }, lock: held },
    [],
    ["lastTouchedRecovered dc1-b"],
  ],
  [
    "does not let it come back with its old volume",
    { listed: listed("Departed"), nodes: { "dc1-b": { stage: "waiting", status: { incarnation: log } } } },
    [],
    ["rejoinConsent dc1-b"],
  ],
  [
    "lets it come back as a new node by consent",
    {
      cluster: aCluster((c) => (c.metadata.annotations = { "keyfleet.io/rejoin": "dc9-x, dc1-b" })),
      listed: listed("Departed"),
      nodes: { "dc1-b": { stage: "waiting", status: { incarnation: log } } },
    },
    ["apply KmsNode dc1-b"],
  ],
  [
    "lets a node of the same name with an empty volume join, as the life after that one",
    {
      listed: listed("Departed"),
      nodes: { "dc1-b": { stage: "waiting", status: { incarnation: "log-2" } } },
      lock: heldFor("dc1-b", "join"),
    },
    [`dc1-b: Join via dc1-a after ${log}`],
  ],
  [
    "tells a removed node that returns with its site to stop",
    {
      ...gone,
      nodes: {
        "dc1-b": { stage: "member", status: { incarnation: log } },
        "dc3-a": { stage: "member", spec: { members: [] } },
      },
    },
    ["apply KmsNode dc1-b"],
  ],
];

checkCases({ beginning, going, afterwards });

for (const [standing, does] of [
  ["Leaving", ["sign dc1-b"]],
  ["Fenced", []],
  ["Departed", []],
] as const)
  test(`a certificate that is due, of a node that is ${standing}: ${does.length === 0 ? "not signed any more" : "signed"}`, () => {
    // Held by another, so that no step of the removal is taken beside it.
    const lock = { holder: "dc2", operation: "remove", node: "dc1-b" };
    const nodes = { ...all(7), "dc1-b": drained };
    const world = { cluster: withoutB, nodes, lock, listed: listed(standing, { lastSequence: 7 }) };
    const { plan } = aView(world, ({ metadata }) => (metadata.name === "dc1-b" ? "a third is left" : undefined));
    assert.deepEqual(
      inWords(plan).does.filter((one) => one.startsWith("sign")),
      does,
    );
  });

/** dc1-b was taken out of dc1 and put into dc2 before it has left: what an operator plans, and for whom it makes objects. */
function moved(site: string, { departed = false, lostSites = [] as string[] } = {}) {
  const cluster = aCluster(({ spec }) => {
    spec.sites[0]?.nodes.pop();
    spec.sites[1]?.nodes.push({ name: "dc1-b" });
    spec.recovery = { lostSites };
  });
  const list = departed ? listed("Departed", { lastSequence: 7 }) : {};
  const observed = anObserved({ site, cluster, nodes: { "dc1-b": "absent" }, listed: list });
  const stays = departed ? { membership: { action: "Leave" as const }, members: [] } : { members: [] };
  const node = aNode("dc1-b", "dc1", { stage: "member", serving: !departed, spec: stays });
  const sites = observed.sites.map((view) => (view.name === "dc1" ? { ...view, nodes: [...view.nodes, node] } : view));
  const all = { ...observed, sites };
  const desired = desiredInTest(all);
  const made = desired.nodes.map(({ facts }) => facts.name).filter((name) => name === "dc1-b");
  return { made: made.length, does: inWords(planNext(desired, all, () => undefined)).does };
}

test("a name that is taken out of one site and put into another leaves the first before the second makes anything of it", () => {
  assert.ok(moved("dc1").does.includes("lock for remove of dc1-b"));
  assert.equal(moved("dc2").made, 0);
  assert.ok(moved("dc1", { departed: true }).does.includes("delete KmsNode dc1-b"));
  assert.equal(moved("dc2", { departed: true }).made, 0);
  assert.equal(moved("dc2", { departed: true, lostSites: ["dc1"] }).made, 1, "a lost site is not waited for");
});
