import { compareVersions, isOneStep } from "../desired/version.ts";
import type { KmsCluster, KmsClusterSpec } from "../ports/types.ts";
import { pick } from "./random.ts";
import type { SimulatedSite } from "./simulated-site.ts";

/** What an administrator may do to the document, each as one edit. Only what the API server would take. */
type Edit = (spec: KmsClusterSpec, world: EditWorld) => KmsClusterSpec | undefined;

/** What an administrator knows when he edits. */
export interface EditWorld {
  readonly random: () => number;
  readonly sites: readonly SimulatedSite[];
  /** Feature level of the fleet, as its status and nodes show it. */
  readonly level: string;
}

const mostNodes = 8;
const versions = ["0.1.0", "0.2.0", "0.3.0", "0.4.0"] as const;

const edits: Readonly<Record<string, Edit>> = {
  add: (spec, { random }) => {
    if (names(spec).length >= mostNodes) return undefined;
    const site = pick(random, spec.sites);
    const free = ["a", "b", "c", "d"].map((letter) => `${site.name}-${letter}`);
    const name = free.find((one) => !names(spec).includes(one));
    if (name === undefined) return undefined;
    return withNodes(spec, site.name, (nodes) => [...nodes, { name }]);
  },
  remove: (spec, { random }) => {
    const all = names(spec);
    if (all.length <= 2) return undefined;
    const name = pick(random, all);
    return withNodes(spec, name.slice(0, 3), (nodes) => nodes.filter((node) => node.name !== name));
  },
  swap: (spec, world) => {
    const added = edits.add?.(spec, world);
    return added === undefined ? undefined : edits.remove?.(added, world);
  },
  upgrade: (spec, { level }) => {
    const next = versions[versions.indexOf(level as (typeof versions)[number]) + 1];
    return next === undefined ? undefined : { ...spec, version: next };
  },
  rollBack: (spec, { level }) => ({ ...spec, version: level }),
  leap: (spec, { random }) => ({ ...spec, version: pick(random, versions) }),
  requestRollback: (spec, { random }) => withRequest(spec, { rollback: `r${Math.floor(random() * 1000)}` }),
  askForApproval: (spec) => ({ ...spec, upgrade: { ...spec.upgrade, approval: "Manual" } }),
  approve: (spec, { random }) => withRequest(spec, { approve: `a${Math.floor(random() * 1000)}` }),
  pause: (spec) => ({ ...spec, pause: spec.pause === "Orchestration" ? "None" : "Orchestration" }),
  breakSettings: (spec) => withLibrary(spec, "/bad.so"),
  mendSettings: (spec) => withLibrary(spec, "/good.so"),
  otherSettings: (spec, { random }) => withLibrary(spec, `/good-${Math.floor(random() * 3)}.so`),
  nameLost: (spec, { sites }) => {
    const lost = sites.filter(({ alive }) => !alive).map(({ name }) => name);
    return { ...spec, recovery: { lostSites: lost } };
  },
  rebuild: (spec) => ({ ...spec, upgrade: { ...spec.upgrade, strategy: "RemoveAndRebuild" } }),
  inPlace: (spec) => ({ ...spec, upgrade: { ...spec.upgrade, strategy: "InPlace" } }),
};

/** One random edit of the document in that site; the name of the edit, or undefined when it was none. */
export function editAtRandom(site: SimulatedSite, world: EditWorld): string | undefined {
  const name = pick(world.random, Object.keys(edits));
  const next = edits[name]?.(site.cluster.spec, world);
  if (next === undefined || JSON.stringify(next) === JSON.stringify(site.cluster.spec)) return undefined;
  site.putCluster(edited(site.cluster, next));
  return name;
}

/** The document with another specification, as the API server stores it. */
export function edited(cluster: KmsCluster, spec: KmsClusterSpec): KmsCluster {
  const generation = (cluster.metadata.generation ?? 0) + 1;
  return { ...cluster, metadata: { ...cluster.metadata, generation }, spec };
}

/** What an administrator puts right when all faults are over: nothing lost, nothing paused, a version that can be reached. */
export function mended(spec: KmsClusterSpec, level: string): KmsClusterSpec {
  const { upgrade: _upgrade, recovery: _recovery, pause: _pause, ...rest } = spec;
  const works = spec.defaults?.hsm?.library === "/bad.so" ? withLibrary(rest, "/good.so") : rest;
  const canReach = isOneStep(level, spec.version) && compareVersions(spec.version, level) >= 0;
  return { ...works, version: canReach ? spec.version : level, upgrade: { soakSeconds: 1 } };
}

/** Names of all nodes of a specification. */
export function names(spec: KmsClusterSpec): string[] {
  return spec.sites.flatMap(({ nodes }) => nodes.map(({ name }) => name));
}

type Nodes = KmsClusterSpec["sites"][number]["nodes"];

function withNodes(spec: KmsClusterSpec, site: string, change: (nodes: Nodes) => Nodes): KmsClusterSpec {
  const sites = spec.sites.map((entry) => (entry.name === site ? { ...entry, nodes: change(entry.nodes) } : entry));
  return { ...spec, sites };
}

function withRequest(spec: KmsClusterSpec, request: Record<string, string>): KmsClusterSpec {
  return { ...spec, upgrade: { ...spec.upgrade, requests: { ...spec.upgrade?.requests, ...request } } };
}

function withLibrary(spec: KmsClusterSpec, library: string): KmsClusterSpec {
  return { ...spec, defaults: { ...spec.defaults, hsm: { ...spec.defaults?.hsm, library } } };
}
