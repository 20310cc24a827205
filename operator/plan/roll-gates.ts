import { rolledAnnotation } from "../desired/consent.ts";
import { conditionOf, type FleetFacts, type NodeFacts } from "../desired/facts.ts";
import { isRolling, settingsLag, settingsWait } from "../desired/staging.ts";
import { boundVersion } from "../desired/upgrade-requests.ts";
import { compareVersions, isOneStep } from "../desired/version.ts";
import { neededMembers } from "./serving-gates.ts";
import type { Blocked, View } from "./types.ts";

/** How long a node must serve with what it was given before the next one, unless spec.upgrade.soakSeconds says otherwise. */
const defaultSoakSeconds = 30;
/** Clocks of two sites differ by less, unless one is wrong. */
export const clockDifferenceMs = 60_000;

/** One minor step at a time, and never back behind the features that the fleet already uses. */
export function versionStep(view: View): Blocked[] {
  const { target, level } = view.desired.fleet;
  const versions = servingVersions(view.desired.fleet);
  const closed = (message: string, remedy: string): Blocked[] => [
    { gate: "versionStep", subject: view.observed.cluster.metadata.name, message, remedy },
  ];
  if (level !== undefined && compareVersions(target, level) < 0)
    return closed(
      `the fleet uses features of ${level} and cannot go back to ${target}`,
      `set spec.version to ${level} or later`,
    );
  if (isOneStep(versions[0] ?? level ?? target, target)) return [];
  return closed(
    `the members run ${versions.join(", ") || level}: ${target} is more than one minor version away`,
    `set spec.version to the next minor version first, and to ${target} when all nodes run that`,
  );
}

/**
 * Whether a version lacks what the fleet uses. Its nodes refuse to serve, in sites that were lost while the others went on:
 * they have no step to take back, and each version's migrations bring up a database of any version before it.
 */
export function isTooOld({ level }: FleetFacts, version: string): boolean {
  return level !== undefined && compareVersions(version, level) < 0;
}

/** The versions of the members that may serve, lowest first. */
export function servingVersions(fleet: FleetFacts): string[] {
  return fleet.versions.filter((version) => !isTooOld(fleet, version));
}

/** With approval Manual a person releases each version; going back needs no approval. */
export function approved(view: View): Blocked[] {
  const { cluster } = view.observed;
  const { target, level } = view.desired.fleet;
  if (cluster.spec.upgrade?.approval !== "Manual" || target === level) return [];
  if (boundVersion(view.observed, "approve") === target) return [];
  const message = `the upgrade to ${target} waits for approval`;
  const remedy = "set spec.upgrade.requests.approve to a value that was not used before";
  return [{ gate: "approved", subject: cluster.metadata.name, message, remedy }];
}

/** The others that shall run the wanted version do so, and have served for the soak time since they were last changed. */
export function soaked(view: View, candidate: NodeFacts): Blocked[] {
  const { target, versions } = view.desired.fleet;
  if (versions.length < 2 && versions[0] !== target) return [];
  const young = neededMembers(view).filter(
    (node) =>
      node.name !== candidate.name &&
      node.node?.spec.version === target &&
      !awaitsItsPod(node) &&
      (node.node.status?.version !== target || !isSoaked(view, node)),
  );
  return young.map((node) =>
    notSoaked(view, node, `${node.name} has not served with what it was given last for ${soakSeconds(view)} s yet`),
  );
}

/** Its step was begun and broken off before its pod was touched, when its site was named lost: its turn comes again. */
function awaitsItsPod(facts: NodeFacts): boolean {
  const { node, serving } = facts;
  return serving && isRolling(facts) && node?.status?.version !== node?.spec.version;
}

/** Closed until a node has served long enough; by itself, unless its clock was wrong when it began. */
export function notSoaked(view: View, node: NodeFacts, message: string): Blocked {
  const { name } = node;
  const closed = { gate: "soaked", subject: name } as const;
  if (!node.serving) return { ...closed, message, remedy: `mend ${name}` };
  if (servesSince(node) <= view.observed.nowMs + clockDifferenceMs) {
    const opensInMs = soaksSince(view, node) + soakSeconds(view) * 1000 - view.observed.nowMs;
    return { ...closed, message, remedy: "wait", passing: true, ...(opensInMs > 0 ? { opensInMs } : {}) };
  }
  return {
    ...closed,
    message: `${name} says that it serves since ${new Date(servesSince(node)).toISOString()}, which is yet to come`,
    remedy: `see that its clock is right, then delete the pod ${name}-0 when an interruption suits`,
  };
}

/** Members that have the new settings already run with all of them. */
export function settingsTried(view: View, candidate: NodeFacts, has: (node: NodeFacts) => boolean): Blocked[] {
  return neededMembers(view).flatMap((node): Blocked[] => {
    const applied = conditionOf(node.node, "SettingsApplied");
    if (node.name === candidate.name || applied?.reason !== "Invalid" || !has(node)) return [];
    const message = `${node.name} was given the new settings first and cannot use them: ${applied.message}`;
    const remedy =
      "correct the field that the message names, or what it refers to; the other nodes keep their settings meanwhile";
    return [{ gate: "settingsTried", subject: node.name, message, remedy }];
  });
}

/** Settings wait for the pod of one node at most: what waits on another reaches that, or is taken back (plan/waiting.ts). */
export function settingsWaitElsewhere(view: View, candidate: NodeFacts): Blocked[] {
  if (!settingsLag(view.observed.cluster, candidate)) return [];
  const waiting = neededMembers(view).filter((node) => node.name !== candidate.name && settingsWait(node));
  return waiting.map(({ name, site, siteReachable }) => ({
    gate: "settingsTried",
    subject: name,
    message: `${name} was given settings that wait for its restart`,
    remedy: `wait; if this stays, see the log of the operator in ${site}`,
    ...(siteReachable ? { passing: true as const } : {}),
  }));
}

/** Whether a node has served for the soak time without a break, with what it was given last. */
export function isSoaked(view: View, node: NodeFacts): boolean {
  return node.serving && view.observed.nowMs - soaksSince(view, node) >= soakSeconds(view) * 1000;
}

/** Not all that a step changes restarts the pod. A time that is yet to come is of a clock that was wrong, and says nothing. */
function soaksSince({ observed }: View, facts: NodeFacts): number {
  const sinceMs = rolledMs(facts);
  return sinceMs <= observed.nowMs + clockDifferenceMs ? Math.max(sinceMs, servesSince(facts)) : servesSince(facts);
}

/** When it was given something last, or when that came into effect without a restart; NaN when never. */
export function rolledMs({ node }: NodeFacts): number {
  return Date.parse(node?.metadata.annotations?.[rolledAnnotation] ?? "");
}

/** NaN when it says nothing. */
export function servesSince({ node }: NodeFacts): number {
  return Date.parse(conditionOf(node, "Serving")?.lastTransitionTime ?? "");
}

function soakSeconds(view: View): number {
  return view.observed.cluster.spec.upgrade?.soakSeconds ?? defaultSoakSeconds;
}
