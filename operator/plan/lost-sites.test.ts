import { aCluster, nowMs } from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";
import { oldPod, without } from "../testing/worlds.ts";

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

checkCases({ breakGlass, pause });
