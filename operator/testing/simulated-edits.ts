import { compareVersions, isOneStep } from "../desired/version.ts";
import { backupMark } from "../plan/fresh-backup.ts";
import type { KmsCluster, KmsClusterSpec } from "../ports/types.ts";
import { pick } from "./random.ts";
import { uselessLibrary } from "./simulated-node.ts";
import { withoutOwnSettings, withSetting, withSite, withWorkingSettings } from "./simulated-settings-edits.ts";
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
/** More than these no fleet may have. */
export const mostOfFleet = 20;
/** What the names of a site's nodes end with. */
export const nodeLetters = "abcdefgh";
const versions = ["0.1.0", "0.2.0", "0.3.0", "0.4.0"] as const;

/** Windows that an administrator may name, and whether they are open in that minute. */
const windows: readonly (readonly [cron: string, duration: string, isOpen: (minute: number) => boolean])[] = [
  ["* * * * *", "1h", () => true],
  ["*/5 * * * *", "2m", (minute) => minute % 5 < 2],
  ["0 2 29 2 *", "1h", () => false], // not in the time of a schedule
  ["no time at all", "1h", () => false],
];

/** Whether a window of a schedule is open at that time. */
export function isInWindow({ cron }: { readonly cron: string }, nowMs: number): boolean {
  const minute = Math.floor(nowMs / 60_000) % 60;
  return windows.some(([known, , isOpen]) => known === cron && isOpen(minute));
}

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
  /** The new node has settings of its own that do not work: it never joins before they are put right. */
  addBroken: (spec, world) => {
    const added = edits.add?.(spec, world);
    const known = new Set(names(spec));
    const name = added === undefined ? undefined : names(added).find((one) => !known.has(one));
    if (added === undefined || name === undefined) return undefined;
    return withNodes(added, name.slice(0, 3), (nodes) =>
      nodes.map((node) => (node.name === name ? { ...node, settings: { hsm: { library: "/bad.so" } } } : node)),
    );
  },
  swapForBroken: (spec, world) => {
    const added = edits.addBroken?.(spec, world);
    return added === undefined ? undefined : edits.remove?.(added, world);
  },
  /** What does not serve is given up. */
  dropBroken: (spec, { sites }) => {
    const nodes = sites.flatMap(({ nodes, volumes }) =>
      [...nodes.keys()].filter((name) => !volumes.get(name)?.serving),
    );
    const name = nodes.find((one) => names(spec).includes(one));
    if (name === undefined || names(spec).length <= 2) return undefined;
    return withNodes(spec, name.slice(0, 3), (entries) => entries.filter((node) => node.name !== name));
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
  /** Lost for good, with one of its nodes. */
  giveUpLost: (spec, { sites, random }) => {
    const lost = sites.filter(({ alive }) => !alive).map(({ name }) => name);
    const nodes = names(spec).filter((name) => lost.includes(name.slice(0, 3)));
    if (nodes.length === 0 || names(spec).length <= 2) return undefined;
    const name = pick(random, nodes);
    const named = { ...spec, recovery: { lostSites: lost } };
    return withNodes(named, name.slice(0, 3), (entries) => entries.filter((node) => node.name !== name));
  },
  /** Whoever names a site lost may be wrong about it. */
  nameWrongly: (spec, { random }) => ({ ...spec, recovery: { lostSites: [pick(random, spec.sites).name] } }),
  retry: (spec, { random }) => withRequest(spec, { retry: `t${Math.floor(random() * 1000)}` }),
  noRequests: ({ upgrade: { requests: _requests, ...upgrade } = {}, ...spec }) => ({ ...spec, upgrade }),
  window: (spec, { random }) => {
    const [cron, duration] = pick(random, windows);
    return { ...spec, upgrade: { ...spec.upgrade, windows: [{ cron, duration }] } };
  },
  noWindows: (spec) => ({ ...spec, upgrade: { ...spec.upgrade, windows: [] } }),
  soak: (spec, { random }) => ({
    ...spec,
    upgrade: { ...spec.upgrade, soakSeconds: pick(random, [0, 1, 30, 120]) },
  }),
  soonest: (spec) => ({ ...spec, upgrade: { ...spec.upgrade, soakSeconds: 0 } }),
  durability: (spec, { random }) => ({ ...spec, durability: pick(random, ["EverySite", "OtherSite", "Local"]) }),
  administrators: (spec, { random }) => ({
    ...spec,
    clients: { ...spec.clients, administrators: [`CN=kms-admin-${Math.floor(random() * 3)}`] },
  }),
  missingBundle: (spec) => ({
    ...spec,
    clients: { ...spec.clients, caBundleRefs: [{ name: "bank-clients" }, { name: "nobody-made-it" }] },
  }),
  environment: (spec, { random }) =>
    withSite(spec, pick(random, spec.sites).name, (site) => ({
      ...site,
      environment: site.environment === "Cloud" ? "OnPremises" : "Cloud",
    })),
  emptySite: (spec, { random }) => {
    const site = pick(random, spec.sites);
    if (names(spec).length - site.nodes.length < 2) return undefined;
    return withSite(spec, site.name, (entry) => ({ ...entry, nodes: [] }));
  },
  setting: (spec, { random }) => withSetting(spec, random),
  otherSetting: (spec, { random }) => withSetting(spec, random),
  noOwnSettings: (spec) => withoutOwnSettings(spec),
  rebuild: (spec) => ({ ...spec, upgrade: { ...spec.upgrade, strategy: "RemoveAndRebuild" } }),
  inPlace: (spec) => ({ ...spec, upgrade: { ...spec.upgrade, strategy: "InPlace" } }),
};

/** Edits that only a theme asks for, so that schedules of all kinds stay what they were. */
const editsOfThemes: Readonly<Record<string, Edit>> = {
  /** A site whose nodes have left is taken out (docs/operations.md). */
  dropSite: (spec, { sites }) => {
    const hasLeft = (name: string) => sites.find((site) => site.name === name)?.nodes.size === 0;
    return withoutSite(spec, ({ name, nodes }) => nodes.length === 0 && hasLeft(name));
  },
  /** The API server takes that too as soon as no node is named there. */
  dropSiteEarly: (spec) => withoutSite(spec, ({ nodes }) => nodes.length === 0),
  /** One that is not named comes, with a node. */
  addSite: (spec, { sites }) => {
    const added = sites.find(({ name }) => !isNamed(spec, name));
    if (added === undefined) return undefined;
    return withNodes(withSites(spec, [added]), added.name, () => [{ name: `${added.name}-a` }]);
  },
  uselessSettings: (spec) => withLibrary(spec, uselessLibrary),
  /** Up to the size that the API server takes; there may be more members, of which some leave. */
  addToFull: (spec, { random }) => {
    if (names(spec).length >= mostOfFleet) return undefined;
    const site = pick(random, spec.sites);
    const free = [...nodeLetters].map((letter) => `${site.name}-${letter}`);
    const name = free.find((one) => !names(spec).includes(one));
    return name === undefined ? undefined : withNodes(spec, site.name, (nodes) => [...nodes, { name }]);
  },
  swapInFull: (spec, world) => {
    const removed = edits.remove?.(spec, world);
    return removed === undefined ? undefined : editsOfThemes.addToFull?.(removed, world);
  },
  askForBackup: (spec) => ({ ...spec, upgrade: { ...spec.upgrade, backupMaxAgeHours: 1 } }),
};

/** Edits that set the most in motion are made three times as often as the others. */
const oftenest = [
  "add",
  "remove",
  "swap",
  "upgrade",
  "rebuild",
  "inPlace",
  "otherSettings",
  "breakSettings",
  "nameLost",
];

const everyEdit: readonly string[] = [...Object.keys(edits), ...oftenest, ...oftenest, "consent"];

/** One random edit of the document in that site; the name of the edit, or undefined when it was none. */
export function editAtRandom(site: SimulatedSite, world: EditWorld, among = everyEdit): string | undefined {
  const name = pick(world.random, among);
  // Nobody looks at the copy of a site that the document does not name.
  if (!isNamed(site.cluster.spec, site.name)) return undefined;
  if (name === "consent") return consentAtRandom(site, world);
  if (name === "backUp") return backedUp(site, world);
  const next = { ...edits, ...editsOfThemes }[name]?.(site.cluster.spec, world);
  if (next === undefined || JSON.stringify(next) === JSON.stringify(site.cluster.spec)) return undefined;
  site.putCluster(edited(site.cluster, next));
  return name;
}

/** Consent that nodes which have departed wipe their volume. */
function consentAtRandom(site: SimulatedSite, { random }: EditWorld): string | undefined {
  const wanted = names(site.cluster.spec);
  if (wanted.length === 0) return undefined;
  site.putCluster(withConsent(site.cluster, [pick(random, wanted)]));
  return "consent";
}

/** Somebody says when the last backup was made: within the last two hours. */
function backedUp(site: SimulatedSite, { random }: EditWorld): string {
  const atMs = Date.parse(site.now()) - Math.floor(random() * 2 * 3_600_000);
  const annotations = { ...site.cluster.metadata.annotations, [backupMark]: new Date(atMs).toISOString() };
  site.putCluster({ ...site.cluster, metadata: { ...site.cluster.metadata, annotations } });
  return "backUp";
}

/** The document with consent that these nodes, once departed, wipe their volume and come back. */
export function withConsent(cluster: KmsCluster, nodes: readonly string[]): KmsCluster {
  const annotations = { ...cluster.metadata.annotations, "keyfleet.io/rejoin": nodes.join() };
  return { ...cluster, metadata: { ...cluster.metadata, annotations } };
}

/** The document with another specification, as the API server stores it. */
export function edited(cluster: KmsCluster, spec: KmsClusterSpec): KmsCluster {
  const generation = (cluster.metadata.generation ?? 0) + 1;
  return { ...cluster, metadata: { ...cluster.metadata, generation }, spec };
}

/** What an administrator puts right when all faults are over: nothing lost, nothing paused, a version that can be reached. */
export function mended(spec: KmsClusterSpec, level: string, soakSeconds = 1): KmsClusterSpec {
  const { upgrade: _upgrade, recovery: _recovery, pause: _pause, ...rest } = withWorkingSettings(spec);
  const canReach = isOneStep(level, spec.version) && compareVersions(spec.version, level) >= 0;
  return {
    ...{ ...rest, version: canReach ? spec.version : level, upgrade: { soakSeconds } },
    clients: { ...spec.clients, caBundleRefs: [{ name: "bank-clients" }] },
  };
}

function withoutSite(spec: KmsClusterSpec, isMeant: (site: Site) => boolean): KmsClusterSpec | undefined {
  const dropped = spec.sites.find(isMeant);
  return dropped === undefined ? undefined : { ...spec, sites: spec.sites.filter((site) => site !== dropped) };
}

/** The document with these sites in it, without nodes where it did not name them. */
export function withSites(spec: KmsClusterSpec, sites: readonly SimulatedSite[]): KmsClusterSpec {
  const missing = sites.filter(({ name }) => !isNamed(spec, name));
  const added = missing.map(({ name }): Site => ({ name, environment: "OnPremises", nodes: [] }));
  return { ...spec, sites: [...spec.sites, ...added] };
}

/** Whether a specification names a site. */
export function isNamed(spec: KmsClusterSpec, site: string): boolean {
  return spec.sites.some(({ name }) => name === site);
}

/** Names of all nodes of a specification. */
export function names(spec: KmsClusterSpec): string[] {
  return spec.sites.flatMap(({ nodes }) => nodes.map(({ name }) => name));
}

type Site = KmsClusterSpec["sites"][number];
type Nodes = Site["nodes"];

function withNodes(spec: KmsClusterSpec, site: string, change: (nodes: Nodes) => Nodes): KmsClusterSpec {
  return withSite(spec, site, (entry) => ({ ...entry, nodes: change(entry.nodes) }));
}

function withRequest(spec: KmsClusterSpec, request: Record<string, string>): KmsClusterSpec {
  return { ...spec, upgrade: { ...spec.upgrade, requests: { ...spec.upgrade?.requests, ...request } } };
}

function withLibrary(spec: KmsClusterSpec, library: string): KmsClusterSpec {
  return { ...spec, defaults: { ...spec.defaults, hsm: { ...spec.defaults?.hsm, library } } };
}
