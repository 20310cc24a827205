import { isDeepStrictEqual } from "node:util";
import type { NodeSettings } from "@keyfleet/crds/kms-node.ts";
import { restartFields } from "@keyfleet/crds/restart-settings.ts";
import type { KmsCluster, KubernetesObject, Observed } from "../ports/types.ts";
import { rollingAnnotation, settingsBeforeAnnotation } from "./consent.ts";
import { isReached } from "./contradiction.ts";
import { conditionOf, type FleetFacts, type NodeFacts, objectOf } from "./facts.ts";
import { settingsAreInPod } from "./revision.ts";
import { type ResolvedSettings, resolvedSettings } from "./settings.ts";

/** A pod that has not been ready for longer than this does not come up by itself. */
const startPatienceMs = 60_000;

/**
 * The settings that a node shall have now, `turn` when it may have the new ones. One that serves, or is only coming up,
 * keeps those that need a restart until its turn comes, so that new ones are tried on one node first and no other node can
 * come up with bad ones. One that cannot serve with what it has gets the new ones at once; if it was not given any
 * lately, not while a node that may serve is just being given them, and never while some wait for the pod of another: these
 * reach it, or are taken back. Paused: everything stays.
 */
export function settingsNow(observed: Observed, fleet: FleetFacts, facts: NodeFacts, turn = false): ResolvedSettings {
  const wanted = resolvedSettings(observed.cluster, facts);
  const before = facts.node?.spec.settings as ResolvedSettings | undefined;
  if (before === undefined || isUnset(before)) return wanted;
  if (isPaused(observed.cluster)) return before;
  const others = fleet.nodes.filter(({ name, counts }) => counts && name !== facts.name);
  // Of one whose site is away nobody knows: it may serve with its old pod while the new settings wait.
  const isTrying = (other: NodeFacts) => isRolling(other) && (other.serving || !other.siteReachable);
  const tried = others.some((other) => settingsWait(other) || (!isRolling(facts) && isTrying(other)));
  // While this site's own API is away nobody knows that the node does not serve.
  const mayServe = facts.serving || !facts.siteReachable || comesUp(observed, facts);
  const keeps = facts.standing === "Member" && !turn && (mayServe || tried);
  return keeps ? { ...wanted, ...partOf(before) } : wanted;
}

/** What a node says that is only coming up, or going down. */
const onItsWay: ReadonlySet<string> = new Set(["Starting", "Ending", "Joining", "AwaitingMembership"]);

/**
 * Whether a node that does not serve has not shown that it cannot: its pod is away, or has been ready just now, or the node
 * says that it serves and others have a link to it, whatever was heard of its pod; or its KmsNode was made anew, and it has
 * not said anything since.
 */
function comesUp(observed: Observed, facts: NodeFacts): boolean {
  const { name, node, external } = facts;
  const serving = conditionOf(node, "Serving");
  const saysWhy = serving?.status === "False" && !onItsWay.has(serving.reason);
  if (!external && serving === undefined && observed.nowMs - madeAtMs(node) < startPatienceMs) return true;
  // The operator sees nothing of the machine of an External node.
  if (external || isRolling(facts) || saysWhy) return false;
  if (serving?.status === "True" && isReached(observed, name)) return true;
  const pod = objectOf(observed, "Pod", `${name}-0`);
  return pod === undefined || observed.nowMs - changedAtMs(pod) < startPatienceMs;
}

function madeAtMs(node: NodeFacts["node"]): number {
  return Date.parse(node?.metadata.creationTimestamp ?? "") || 0;
}

/** It was given another version or settings, and has not yet served with them: nobody else's turn begins before. */
export function isRolling({ node }: NodeFacts): boolean {
  return node?.metadata.annotations?.[rollingAnnotation] !== undefined;
}

/**
 * Whether a member gets with these settings others of those that need a restart: it is marked, because it may come to serve
 * with its old pod while the new ones still wait for the next, and the other sites see the mark only.
 */
export function isGiven({ node, standing, external }: NodeFacts, settings: ResolvedSettings): boolean {
  const before = node?.spec.settings;
  if (external || standing !== "Member" || before === undefined || isUnset(before)) return false;
  return !sameParts(before, settings);
}

/** The annotation of a node that gets these settings: what it had before the first that have not reached its pod. */
export function settingsBeforeMark(
  observed: Observed,
  facts: NodeFacts,
  settings: ResolvedSettings,
): Record<string, string> {
  const { node } = facts;
  if (node === undefined || !isGiven(facts, settings)) return {};
  const known = settingsAreInPod(observed, node) ? undefined : node.metadata.annotations?.[settingsBeforeAnnotation];
  return { [settingsBeforeAnnotation]: known ?? JSON.stringify(partOf(node.spec.settings)) };
}

/**
 * Whether settings that a node was given wait for its next pod, as far as its own site has told: also such as were taken
 * back, until its StatefulSet has let go of them.
 */
export function settingsWait(facts: NodeFacts): boolean {
  return settingsBefore(facts) !== undefined;
}

/** Whether a node has those settings again that it had before others which did not reach its pod. */
export function settingsAreBack(facts: NodeFacts): boolean {
  const before = settingsBefore(facts);
  return before !== undefined && facts.node !== undefined && sameParts(before, facts.node.spec.settings);
}

/** The settings of a node without those that wait for its next pod; undefined when none do. */
export function withoutWaiting(facts: NodeFacts): NodeSettings | undefined {
  const before = settingsBefore(facts);
  return before === undefined ? undefined : { ...facts.node?.spec.settings, ...partOf(before) };
}

/** What somebody made unreadable is none: then the settings go on to the pod. */
function settingsBefore({ node, external }: NodeFacts): NodeSettings | undefined {
  const text = node?.metadata.annotations?.[settingsBeforeAnnotation];
  if (external || text === undefined) return undefined;
  try {
    return Object(JSON.parse(text)) as NodeSettings;
  } catch {
    return undefined;
  }
}

/** When a pod was made, or became ready or not ready. */
function changedAtMs({ metadata, status }: KubernetesObject): number {
  const conditions = (status as { conditions?: readonly PodCondition[] } | undefined)?.conditions ?? [];
  const ready = conditions.find(({ type }) => type === "Ready")?.lastTransitionTime;
  return Math.max(...[ready, String(metadata.creationTimestamp)].map((time) => Date.parse(time ?? "") || 0));
}

interface PodCondition {
  readonly type: string;
  readonly lastTransitionTime?: string;
}

/** Whether a node still has other settings, of those that need a restart, than it shall have in the end. */
export function settingsLag(cluster: KmsCluster, facts: NodeFacts): boolean {
  const has = facts.node?.spec.settings;
  if (has === undefined || isUnset(has)) return false;
  return !sameParts(has, resolvedSettings(cluster, facts));
}

function sameParts(one: NodeSettings, other: NodeSettings): boolean {
  const plain = (settings: NodeSettings): unknown => JSON.parse(JSON.stringify(partOf(settings)));
  return isDeepStrictEqual(plain(one), plain(other));
}

/** Whether the administrator stopped all change that the specification drives. */
export function isPaused(cluster: KmsCluster): boolean {
  return cluster.spec.pause === "Orchestration";
}

/** Each field is named, so that one that was taken out is taken out. */
function partOf(settings: NodeSettings): Partial<ResolvedSettings> {
  const part = Object.fromEntries(restartFields.map((field) => [field, settings[field]]));
  return part as Partial<ResolvedSettings>;
}

function isUnset(settings: NodeSettings): boolean {
  return Object.keys(settings).length === 0;
}
