import { isDeepStrictEqual } from "node:util";
import type { NodeSettings } from "@keyfleet/crds/kms-node.ts";
import type { KmsCluster } from "../ports/types.ts";
import type { NodeFacts } from "./facts.ts";
import { type ResolvedSettings, resolvedSettings } from "./settings.ts";

/** Settings that reach a running node only by a restart of its pod. All others are reloaded live. */
export const restartFields = [
  "hsm",
  "resources",
  "placement",
  "interfaces",
  "exposure",
] as const satisfies readonly (keyof NodeSettings)[];

/**
 * The settings that a node shall have now, `turn` when it may have the new ones. One that serves keeps those that need a restart until its turn comes, so that
 * new ones are tried on one node first and no other node can come up with bad ones. Paused: everything stays.
 */
export function settingsNow(cluster: KmsCluster, facts: NodeFacts, turn = false): ResolvedSettings {
  const wanted = resolvedSettings(cluster, facts);
  const before = facts.node?.spec.settings as ResolvedSettings | undefined;
  if (before === undefined || isUnset(before)) return wanted;
  if (isPaused(cluster)) return before;
  return facts.standing === "Member" && facts.serving && !turn ? { ...wanted, ...partOf(before) } : wanted;
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
