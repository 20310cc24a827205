import type { Condition, KmsNode, KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";
import type { ResolvedSettings } from "../desired/settings.ts";
import { statefulSet } from "../desired/stateful-set.ts";
import { compareVersions } from "../desired/version.ts";
import type { KubernetesObject } from "../ports/types.ts";
import type { SimulatedSite } from "./simulated-site.ts";
import { textOf } from "./text-of.ts";

/** Of what the operators of a simulation make pods. */
export const nodeImage = { repository: "localhost/keyfleet-node", pullPolicy: "Never" } as const;

/** What a node keeps on its volume. */
export interface Volume {
  clusterId?: string;
  incarnation: string;
  /** Whether the key server serves at this moment; false after each start. */
  serving: boolean;
  /** Whether its process has come up since the pod was made, so that peers have a link to it. */
  running: boolean;
  /** Since when its HSM is away, and until when. */
  sickSinceMs?: number;
  sickUntilMs?: number;
  /** Since when the clock of its machine is off, and until when. */
  offSinceMs?: number;
  offUntilMs?: number;
  /** Its machine is dead: since when, and when it is there again. */
  diedAtMs?: number | undefined;
  backAtMs?: number | undefined;
  /** Last sequence of each log that it holds; of its own what it wrote. */
  readonly holds: Map<string, number>;
  /** For each log that has ended: where. */
  readonly fences: Map<string, number>;
}

/** What the ids of other fleets begin with. */
export const foreign = "foreign-";

/** Whether that is the id of another fleet. */
export function isForeign(clusterId: string | undefined): boolean {
  return clusterId?.startsWith(foreign) ?? false;
}

/** The same volume again, for another run. */
export function copyOf(volume: Volume): Volume {
  return { ...volume, holds: new Map(volume.holds), fences: new Map(volume.fences) };
}

/** What one node sees of the world. */
export interface NodeWorld {
  /** What the clock of the simulation says, whatever those of the site do. */
  readonly realMs: number;
  readonly nowMs: number;
  readonly random: () => number;
  readonly request: (node: string) => string;
  /** A member that this node can exchange with. */
  readonly peer: (name: string) => { readonly node: KmsNode; readonly volume: Volume } | undefined;
  readonly newId: (kind: string) => string;
}

/** The version that the pod of a node runs; undefined without pod. */
export function runningVersion(site: SimulatedSite, name: string): string | undefined {
  return containers(site.objects.get(`Pod/${name}-0`))[0]
    ?.image?.split(":")
    .at(-1);
}

/** Whether the pod of a node was made with settings that cannot work. */
export function hasBadSettings(site: SimulatedSite, name: string): boolean {
  return hasLibrary(site, name, "/bad.so");
}

/** With that a node serves, and says that it does without. */
export const uselessLibrary = "/useless.so";

function hasLibrary(site: SimulatedSite, name: string, library: string): boolean {
  return containers(site.objects.get(`Pod/${name}-0`)).some(({ command }) => command?.includes(library));
}

/** Whether the pod of a node is what these settings make of the version that it runs; the node may have been given another. */
export function isMadeFrom(site: SimulatedSite, node: KmsNode): boolean {
  const version = runningVersion(site, node.metadata.name) ?? node.spec.version;
  const asItRuns = { ...node, spec: { ...node.spec, version } };
  const set = statefulSet(asItRuns, {
    settings: node.spec.settings as ResolvedSettings,
    image: nodeImage,
    existing: undefined,
  });
  const { template } = set.spec as { template: object };
  const pod = site.objects.get(`Pod/${node.metadata.name}-0`);
  return pod?.metadata.labels?.["controller-revision-hash"] === JSON.stringify(template);
}

interface Container {
  readonly image?: string;
  readonly command?: readonly string[];
}

function containers(pod: KubernetesObject | undefined): readonly Container[] {
  const spec = pod?.spec as { containers?: Container[]; initContainers?: Container[] } | undefined;
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
}

/** One node does the next thing that its document asks for, and says how it is. */
export function work(site: SimulatedSite, node: KmsNode, world: NodeWorld): void {
  const { name } = node.metadata;
  const volume = site.volumes.get(name) ?? emptyVolume(world);
  site.volumes.set(name, volume);
  const { action, rejoin } = node.spec.membership;
  if (action === "None" && rejoin === volume.incarnation) site.volumes.set(name, emptyVolume(world));
  const own = site.volumes.get(name) as Volume;
  const starts = !own.running;
  own.running = true;
  if (action === "Found" && own.clusterId === undefined && world.random() < 0.5) own.clusterId = world.newId("fleet");
  if (action === "Join" && own.clusterId === undefined && isAdmitted(node, world) && node.spec.clusterId !== undefined)
    own.clusterId = node.spec.clusterId;
  learnFences(node, own);
  exchange(node, own, world);
  const problem = starts ? "Starting" : whyNotServing(site, node, { volume: own, realMs: world.realMs });
  own.serving = problem === undefined;
  if (own.serving && world.random() < 0.5) own.holds.set(own.incarnation, (own.holds.get(own.incarnation) ?? 0) + 1);
  report(site, node, { volume: own, problem, world });
}

function emptyVolume(world: NodeWorld): Volume {
  return { incarnation: world.newId("log"), serving: false, running: false, holds: new Map(), fences: new Map() };
}

function isAdmitted(joiner: KmsNode, world: NodeWorld): boolean {
  const sponsor = world.peer(joiner.spec.membership.sponsor ?? "")?.node;
  const listed = sponsor?.spec.members.find(({ name }) => name === joiner.metadata.name);
  return listed?.joinPublicKey !== undefined && listed.joinPublicKey === joiner.status?.joinPublicKey;
}

function learnFences({ spec }: KmsNode, volume: Volume): void {
  for (const { standing, incarnation, lastSequence } of spec.members)
    if (standing === "Departed" && incarnation !== undefined && lastSequence !== undefined)
      raiseFence(volume, incarnation, lastSequence);
}

/** As node-image/store/fences.ts has it: an end only rises, also to what is held of the log already. */
function raiseFence(volume: Volume, log: string, end: number): void {
  const held = log === volume.incarnation ? 0 : (volume.holds.get(log) ?? 0);
  volume.fences.set(log, Math.max(volume.fences.get(log) ?? 0, held, end));
}

/** Pulls everything that its peers hold; a log that has ended is taken up to its end. */
function exchange(node: KmsNode, volume: Volume, world: NodeWorld): void {
  if (volume.clusterId === undefined) return;
  for (const { name } of node.spec.members) {
    const peer = name === node.metadata.name ? undefined : world.peer(name);
    if (peer !== undefined && talksTo(node, name) && talksTo(peer.node, node.metadata.name)) pull(volume, peer.volume);
  }
}

function talksTo({ spec }: KmsNode, name: string): boolean {
  const standing = spec.members.find((member) => member.name === name)?.standing;
  return standing !== undefined && standing !== "Fenced" && standing !== "Departed";
}

function pull(into: Volume, from: Volume): void {
  for (const [log, end] of from.fences) raiseFence(into, log, end);
  for (const [log, sequence] of from.holds) {
    const end = Math.min(sequence, into.fences.get(log) ?? sequence);
    if (log !== into.incarnation && end > (into.holds.get(log) ?? 0)) into.holds.set(log, end);
  }
}

function whyNotServing(
  site: SimulatedSite,
  node: KmsNode,
  { volume, realMs }: { volume: Volume; realMs: number },
): string | undefined {
  const { name } = node.metadata;
  const { action } = node.spec.membership;
  const version = runningVersion(site, name) ?? "0.0.0";
  const standing = node.spec.members.find((one) => one.name === name)?.standing;
  if (!hasRoot(site, name, { volume, realMs })) return "RootOfTrustUnavailable";
  if (version !== node.spec.version && !volume.serving) return "VersionDiffers";
  if (compareVersions(node.spec.featureLevel, version) > 0) return "VersionDiffers";
  if (standing === "Departed") return "Departed";
  if (action === "Leave" || standing === "Leaving" || standing === "Fenced") return "Drained";
  if (volume.clusterId === undefined || action !== "Member")
    return action === "Join" ? "Joining" : "AwaitingMembership";
  return undefined;
}

/** Whether its HSM answers. */
function hasRoot(site: SimulatedSite, name: string, { volume, realMs }: { volume: Volume; realMs: number }): boolean {
  return !hasBadSettings(site, name) && realMs >= (volume.sickUntilMs ?? 0);
}

function report(
  site: SimulatedSite,
  node: KmsNode,
  { volume, problem, world }: { volume: Volume; problem: string | undefined; world: NodeWorld },
): void {
  const { name, generation } = node.metadata;
  const departures = departuresOf(node, volume);
  const peers = peersOf(node, volume, world);
  const status: KmsNodeStatus = {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    version: runningVersion(site, name) ?? "",
    certificateRequest: world.request(name),
    joinPublicKey: `key of ${volume.incarnation}`,
    incarnation: volume.incarnation,
    ...(volume.clusterId === undefined ? {} : { clusterId: volume.clusterId }),
    ...(departures.length === 0 ? {} : { departures }),
    peers,
    conditions: [...conditionsOf(site, node, { volume, problem, world }), ...settingsApplied(site, node, world)],
  };
  if (JSON.stringify(status) !== textOf(node.status ?? {})) site.putNode({ ...node, status });
  const pod = site.objects.get(`Pod/${name}-0`);
  const ready = problem === undefined ? "True" : "False";
  const isSaid = (pod?.status as { conditions?: { status: string }[] } | undefined)?.conditions?.[0]?.status === ready;
  if (pod && !isSaid) site.objects.set(`Pod/${name}-0`, { ...pod, status: readiness(site, ready) });
}

/** Whether a pod is ready. */
export function isReady({ status }: KubernetesObject): boolean {
  const { conditions = [] } = (status ?? {}) as { conditions?: { status: string }[] };
  return conditions.some((condition) => condition.status === "True");
}

/** The status of a pod that has just become ready or not ready. */
export function readiness(site: SimulatedSite, status: "True" | "False") {
  return { conditions: [{ type: "Ready", status, lastTransitionTime: site.now() }] };
}

/** As node-image/membership/departures.ts has it. */
function departuresOf({ spec }: KmsNode, { holds, incarnation: own }: Volume) {
  return spec.members.flatMap(({ name, standing, incarnation, lastSequence = 0 }) => {
    if (incarnation === undefined) return [];
    const sequence = holds.get(incarnation) ?? 0;
    const goes = standing === "Leaving" || standing === "Fenced";
    const isBeyond = standing === "Departed" && sequence > lastSequence && incarnation !== own;
    return goes || isBeyond ? [{ name, incarnation, sequence }] : [];
  });
}

/** Links to the members that it exchanges with; before it belongs, the members whose ports it reaches. */
function peersOf(node: KmsNode, { clusterId }: Volume, world: NodeWorld) {
  const others = node.spec.members.filter(
    ({ name, standing }) =>
      name !== node.metadata.name && (clusterId === undefined ? standing === "Member" : talksTo(node, name)),
  );
  return others.map(({ name }) => ({ name, connected: world.peer(name)?.volume.running ?? false }));
}

/** Said only of settings that the node has to do without. */
function settingsApplied(site: SimulatedSite, node: KmsNode, world: NodeWorld): Condition[] {
  if (!hasLibrary(site, node.metadata.name, uselessLibrary)) return [];
  const condition = { type: "SettingsApplied", status: "False", reason: "Invalid", message: "Invalid" } as const;
  const before = node.status?.conditions?.find((one) => one.type === condition.type);
  return [{ ...condition, lastTransitionTime: before?.lastTransitionTime ?? new Date(world.nowMs).toISOString() }];
}

function conditionsOf(
  site: SimulatedSite,
  node: KmsNode,
  { volume, problem, world }: { volume: Volume; problem: string | undefined; world: NodeWorld },
): Condition[] {
  const now = new Date(world.nowMs).toISOString();
  const belongs = volume.clusterId !== undefined;
  const condition = (type: string, good: boolean, reason: string): Condition => {
    const status = good ? "True" : "False";
    const before = node.status?.conditions?.find((one) => one.type === type);
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : now;
    return { type, status, reason, message: reason, lastTransitionTime };
  };
  const rooted = hasRoot(site, node.metadata.name, { volume, realMs: world.realMs });
  const peers = peersOf(node, volume, world);
  const isAlone = peers.length > 0 && !peers.some(({ connected }) => connected);
  const timely = world.realMs >= (volume.offUntilMs ?? 0);
  return [
    condition("Serving", problem === undefined, problem ?? "Serving"),
    condition("RootOfTrust", rooted, rooted ? "Ready" : "LibraryMissing"),
    condition("TimeSynchronised", timely, timely ? "Synchronised" : "OffsetTooLarge"),
    condition("Replicating", belongs && !isAlone, belongs ? (isAlone ? "PeersUnreachable" : "CaughtUp") : "NotAMember"),
  ];
}
