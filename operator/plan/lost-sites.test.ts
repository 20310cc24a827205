import { aCluster, fleetId, type NodeInTest, nowMs, type WorldInTest } from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";
import { oldPod, without } from "../testing/worlds.ts";
import { backupMark } from "./fresh-backup.ts";

const heldFor = (operation: string, node: string) => ({ heldByMe: true, holder: "dc1", operation, node });
const lost = (...sites: string[]) => aCluster((c) => (c.spec.recovery = { lostSites: sites }));
const paused = (change: (c: ReturnType<typeof aCluster>) => void = () => {}) =>
  aCluster((c) => {
    c.spec.pause = "Orchestration";
    change(c);
  });
const twoLost = { cluster: lost("dc2", "dc3"), unreachable: ["dc2", "dc3"] } as const;
const justMade = new Date(nowMs - 10_000).toISOString();

const breakGlass: readonly Case[] = [
  [
    "lets a node join although two sites are away",
    { ...twoLost, nodes: { "dc1-b": "waiting" } },
    ["lock for join of dc1-b"],
  ],
  [
    "does not wait for a join that a lost site began",
    { ...twoLost, nodes: { "dc1-b": "waiting", "dc2-a": "joining" } },
    ["lock for join of dc1-b"],
  ],
  [
    "restarts a node although those of lost sites do not serve",
    { cluster: lost("dc3"), unreachable: ["dc3"], objects: oldPod("dc1-a", "True"), lock: heldFor("restart", "dc1-a") },
    ["delete Pod dc1-a-0"],
  ],
  [
    "still waits for a site that is away and not named lost",
    { cluster: lost("dc3"), unreachable: ["dc2", "dc3"], nodes: { "dc1-b": "waiting" } },
    [],
    ["allSitesObserved dc2"],
  ],
  [
    "does not let nodes of a lost site join, nor wait for them",
    { ...twoLost, nodes: { "dc1-b": "waiting", "dc2-b": { stage: "new", createdAt: justMade } } },
    ["lock for join of dc1-b"],
  ],
  [
    "does not found a fleet: the lost site may have done so",
    { ...twoLost, others: "waiting" },
    [],
    ["allSitesObserved dc2", "allSitesObserved dc3"],
  ],
  [
    "changes nothing in the fleet from a site that is named lost",
    { site: "dc2", cluster: lost("dc2"), nodes: { "dc2-b": "waiting", "dc1-b": "waiting" } },
    [],
    ["siteCounts dc2"],
  ],
  ["says that a site which is named lost answers", { cluster: lost("dc2") }, [], ["siteCounts dc2"]],
];

const pause: readonly Case[] = [
  ["begins no join", { cluster: paused(), nodes: { "dc1-b": "waiting" } }, [], ["notPaused bank"]],
  [
    "finishes the join that was begun",
    { cluster: paused(), nodes: { "dc1-b": "joining" } },
    ["lock for join of dc1-b"],
  ],
  ["founds no fleet", { cluster: paused(), others: "waiting" }, [], ["notPaused bank"]],
  [
    "makes no new node",
    { cluster: paused((c) => c.spec.sites[0]?.nodes.push({ name: "dc1-c" })), nodes: { "dc1-c": "absent" } },
    [],
  ],
  [
    "begins no removal",
    {
      cluster: aCluster((c) => {
        c.spec = { ...without("dc1", "dc1-b").spec, pause: "Orchestration" };
      }),
      nodes: { "dc1-b": "member" },
    },
    [],
    ["notPaused bank"],
  ],
  ["begins no upgrade", { cluster: paused((c) => (c.spec.version = "0.2.0")) }, [], ["notPaused bank"]],
  ["restarts nothing that serves", { cluster: paused(), objects: oldPod("dc1-a", "True") }, []],
  [
    "goes on with repairs: a node that does not serve gets a new pod",
    {
      cluster: paused(),
      nodes: { "dc1-a": { stage: "member", serving: false } },
      objects: oldPod("dc1-a", "False"),
    },
    ["delete Pod dc1-a-0"],
  ],
];

/** A member that runs one version, in a fleet that uses the features of another. */
const runs = (version: string, featureLevel: string, serving = true): NodeInTest => ({
  ...{ stage: "member", serving, spec: { version, featureLevel } },
  status: { version, clusterId: fleetId },
  ...(serving ? {} : { bad: { Serving: ["VersionDiffers", `the fleet uses what only ${featureLevel} knows`] } }),
});

/** The upgrades of dc3 while the other two were burnt, and what its operator is asked for next. */
const burnt = (version: string, change: (c: ReturnType<typeof aCluster>) => void = () => {}): WorldInTest => ({
  site: "dc3",
  unreachable: ["dc1", "dc2"],
  cluster: aCluster((c) => {
    c.spec.version = version;
    c.spec.recovery = { lostSites: ["dc1", "dc2"] };
    change(c);
  }),
  nodes: { "dc3-a": runs("0.2.0", "0.2.0"), "dc3-b": runs("0.2.0", "0.2.0") },
});
const wantsBackup = (hoursAgo: number) => (c: ReturnType<typeof aCluster>) => {
  c.spec.upgrade = { backupMaxAgeHours: 24 };
  c.metadata.annotations = { [backupMark]: new Date(nowMs - hoursAgo * 3_600_000).toISOString() };
};

const versionsOfTheLost: readonly Case[] = [
  [
    "a node joins those of the new version",
    {
      ...burnt("0.2.0", (c) => c.spec.sites[2]?.nodes.push({ name: "dc3-c" })),
      nodes: {
        "dc3-a": runs("0.2.0", "0.2.0"),
        "dc3-b": runs("0.2.0", "0.2.0"),
        "dc3-c": { stage: "waiting", spec: { version: "0.2.0" }, status: { version: "0.2.0" } },
      },
    },
    ["lock for join of dc3-c"],
  ],
  ["the next minor version is one step", burnt("0.3.0"), ["lock for upgrade of dc3-a"]],
  ["that upgrade has not begun: a backup is asked for", burnt("0.3.0", wantsBackup(25)), [], ["freshBackup bank"]],
  ["and begins with a fresh one", burnt("0.3.0", wantsBackup(1)), ["lock for upgrade of dc3-a"]],
];

/** dc1 is back, two minor versions behind: its nodes refuse to serve, as the fleet uses what they do not know. */
const back = (version: string, change: (c: ReturnType<typeof aCluster>) => void = () => {}): WorldInTest => ({
  cluster: aCluster((c) => {
    c.spec.version = version;
    change(c);
  }),
  nodes: {
    ...{ "dc1-a": runs("0.1.0", "0.3.0", false), "dc1-b": runs("0.1.0", "0.3.0", false) },
    ...Object.fromEntries(["dc2-a", "dc2-b", "dc3-a", "dc3-b"].map((name) => [name, runs("0.3.0", "0.3.0")])),
  },
});

const returns: readonly Case[] = [
  ["a node too old to serve goes straight to the fleet's version", back("0.3.0"), ["lock for upgrade of dc1-a"]],
  ["also to the minor version after it", back("0.4.0"), ["lock for upgrade of dc1-a"]],
  ["no further than one step from what the fleet uses", back("0.5.0"), [], ["versionStep bank"]],
  ["nor to a version that could not serve either", back("0.2.0"), [], ["versionStep bank"]],
  [
    "and keeps its volume also where upgrades rebuild: it is no use to the others before it can serve",
    {
      ...back("0.3.0", (c) => (c.spec.upgrade = { strategy: "RemoveAndRebuild" })),
      lock: heldFor("upgrade", "dc1-a"),
    },
    ["dc1-a: Member"],
  ],
  [
    "it is not what an upgrade has begun with: a backup is asked for",
    back("0.4.0", wantsBackup(25)),
    [],
    ["freshBackup bank"],
  ],
  [
    "being brought to the version that the fleet has needs no backup",
    back("0.3.0", wantsBackup(25)),
    ["lock for upgrade of dc1-a"],
  ],
];

checkCases({ breakGlass, pause, versionsOfTheLost, returns });
