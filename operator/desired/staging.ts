import { isDeepStrictEqual } from "node:util";
import type { NodeSettings } from "@keyfleet/crds/kms-node.ts";
import type { KmsCluster, KubernetesObject, Observed } from "../ports/types.ts";
import { rollingAnnotation } from "./consent.ts";
import { conditionOf, type NodeFacts, objectOf } from "./facts.ts";
import { type ResolvedSettings, resolvedSettings } from "./settings.ts";

/** Settings that reach a running node only by a restart of its pod. All others are reloaded live. */
export const restartFields = [
  "hsm",
  "resources",
  "placement",
  "interfaces",
  "exposure",
] as const satisfies readonly (keyof NodeSettings)[];

/** A pod that has not been ready for longer than this does not come up by itself. */
const startPatienceMs = 60_000;

/**
 * The settings that a node shall have now, `turn` when it may have the new ones. One that serves, or is only coming up,
 * keeps those that need a restart until its turn comes, so that new ones are tried on one node first and no other node can
 * come up with bad ones. One that cannot serve with what it has gets the new ones at once. Paused: everything stays.
 */
export function settingsNow(observed: Observed, facts: NodeFacts, turn = false): ResolvedSettings {
  const wanted = resolvedSettings(observed.cluster, facts);
  const before = facts.node?.spec.settings as ResolvedSettings | undefined;
  if (before === undefined || isUnset(before)) return wanted;
  if (isPaused(observed.cluster)) return before;
  const keeps = facts.standing === "Member" && !turn && (facts.serving || comesUp(observed, facts));
  return keeps ? { ...wanted, ...partOf(before) } : wanted;
}

/** Whether a node that does not serve has not shown that it cannot: its pod is away, or has been ready just now. */
function comesUp(observed: Observed, { name, node, external }: NodeFacts): boolean {
  const isTried = node?.metadata.annotations?.[rollingAnnotation] !== undefined;
  const serving = conditionOf(node, "Serving");
  const saysWhy = serving?.status === "False" && serving.reason !== "Starting" && serving.reason !== "Ending";
  // The operator sees nothing of the machine of an External node.
  if (external || isTried || saysWhy) return false;
  const pod = objectOf(observed, "Pod", `${name}-0`);
  return pod === undefined || observed.nowMs - changedAtMs(pod) < startPatienceMs;
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
  const plain = (settings: NodeSettings): unknown => JSON.parse(JSON.stringify(partOf(settings)));
  return !isDeepStrictEqual(plain(has), plain(resolvedSettings(cluster, facts)));
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
