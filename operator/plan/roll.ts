import { leavingAnnotation, rebuildAnnotation, rolledAnnotation, rollingAnnotation } from "../desired/consent.ts";
import { conditionOf, type NodeFacts } from "../desired/facts.ts";
import { resolvedSettings } from "../desired/settings.ts";
import { isPaused, isRolling, settingsBeforeMark, settingsLag, settingsWait } from "../desired/staging.ts";
import { closedFleetGates } from "./fleet-gates.ts";
import { freshBackup } from "./fresh-backup.ts";
import { leaveToSite, releaseLock, takeLock, waitForLock, waitUnlocked } from "./lock-steps.ts";
import { notPaused } from "./pause.ts";
import { isApplied, isExposed } from "./pod-revision.ts";
import {
  approved,
  isTooOld,
  rolledMs,
  servesSince,
  settingsTried,
  settingsWaitElsewhere,
  soaked,
  versionStep,
} from "./roll-gates.ts";
import { missingCertificates, missingPin } from "./secrets.ts";
import { neededMembers, othersKeepServing } from "./serving-gates.ts";
import type { Blocked, FleetPolicy, FleetStep, View } from "./types.ts";
import { windowOpen } from "./windows.ts";

/** A node that has not served for longer than this does not come back by itself. */
const comebackPatienceMs = 120_000;

/**
 * Brings members to the wanted version and settings, one at a time: those that do not serve first, then by turns of the
 * sites. The lock is given back when the node has recovered (plan/lock.ts); the next one begins after the soak time.
 */
export const rollOne: FleetPolicy = (view) => {
  const node = nextToRoll(view);
  if (node === undefined) return undefined;
  const { lock } = view.observed;
  const inHand = lock.heldByMe && lock.node === node.name && isRoll(lock.operation);
  const operation = inHand ? (lock.operation ?? "") : operationFor(view, node);
  const doing = inWords(view, node, operation);
  if (lock.heldByMe && !inHand) return releaseLock("its node is not the next in turn");
  const blocked = lags(view, node) ? closedGates(view, node, doing) : [];
  if (blocked.length > 0) return yielding(waitUnlocked(view, `waiting before ${doing}`, blocked));
  if (!node.local) return leaveToSite(view, node.site, doing);
  if (!inHand) return lock.holder === undefined ? takeLock(operation, node.name, doing) : waitForLock(view, doing);
  return lags(view, node) ? rollStep(view, node, doing) : endStep(view, node, doing);
};

/**
 * A node that was taken down and did not come back gets what the specification has become. The lock is kept also while that
 * cannot be had yet: nothing else begins before.
 */
export function correct(view: View, node: NodeFacts): FleetStep {
  const doing = inWords(view, node, operationFor(view, node));
  const blocked = closedGates(view, node, doing);
  if (blocked.length > 0) return { kind: "wait", doing: `waiting before ${doing}`, blocked };
  return rollStep(view, node, doing);
}

function operationFor(view: View, node: NodeFacts): string {
  return lagsVersion(view, node) || getsVersion(node) ? "upgrade" : "settings";
}

function inWords({ desired }: View, { name }: NodeFacts, operation: string): string {
  return operation === "upgrade" ? `upgrading ${name} to ${desired.fleet.target}` : `applying settings to ${name}`;
}

function isRoll(operation: string | undefined): boolean {
  return operation === "upgrade" || operation === "settings" || operation === "restart";
}

/** The step is over when the node serves from a pod of its newest specification, and is exposed as that says. */
function endStep(view: View, node: NodeFacts, doing: string): FleetStep {
  const isBeingApplied =
    !isApplied(view, node) || !isExposed(view, node) || node.node?.status?.version !== node.node?.spec.version;
  if (!node.serving || isBeingApplied) return { kind: "wait", doing, blocked: [] };
  // Who was restarted soaks from when it served again; else what it was given is in effect from now on.
  const wasRestarted = servesSince(node) > rolledMs(node);
  const annotations = wasRestarted ? {} : { [rolledAnnotation]: new Date(view.observed.nowMs).toISOString() };
  return { kind: "node", node: node.name, change: { annotations, without: rollingAnnotation }, doing };
}

/** Whether a member still has to be brought to another version or to settings that need a restart. */
export function rollPending(view: View, node: NodeFacts): boolean {
  return node.standing === "Member" && node.entry !== undefined && (lags(view, node) || isRolling(node));
}

/** Whether a member still has another version, or other settings that need a restart, than it shall have. */
export function lags(view: View, node: NodeFacts): boolean {
  return lagsVersion(view, node) || settingsLag(view.observed.cluster, node);
}

/** The next member in turn: the same one in every site's eyes. */
export function nextToRoll(view: View): NodeFacts | undefined {
  const { lock } = view.observed;
  const pending = view.desired.fleet.nodes.filter((node) => node.counts && isManaged(node) && rollPending(view, node));
  const inHand = pending.find(({ name, local }) => local && lock.heldByMe && lock.node === name);
  const begun = inHand ?? pending.find(isRolling);
  const down = pending.find(({ serving, siteReachable }) => !serving && siteReachable);
  if (begun !== undefined || down !== undefined) return firstOf(view, begun, down);
  const last = lastRolled(view)?.site;
  const left = (site: string) => pending.filter((node) => node.site === site).length;
  const elsewhere = pending.filter(({ site }) => site !== last);
  const choices = elsewhere.length > 0 ? elsewhere : pending;
  return choices.reduce<NodeFacts | undefined>(
    (best, node) => (best === undefined || left(node.site) > left(best.site) ? node : best),
    undefined,
  );
}

/**
 * What was begun comes first. But one that serves is not restarted while another does not, which must not wait for it in
 * turn: not for a step that the document has overtaken, and for no longer than a node needs that comes back by itself.
 */
function firstOf(view: View, begun: NodeFacts | undefined, down: NodeFacts | undefined): NodeFacts | undefined {
  if (begun === undefined || down === undefined || !begun.serving) return begun ?? down;
  return isOvertaken(view, begun, down) ? down : begun;
}

function isOvertaken(view: View, begun: NodeFacts, down: NodeFacts): boolean {
  const since = Date.parse(conditionOf(down.node, "Serving")?.lastTransitionTime ?? "");
  const comesBack = view.observed.nowMs - since < comebackPatienceMs;
  return lags(view, begun) || !comesBack;
}

/** Whether a node that serves holds up with settings that wait on it another, which does not serve and is to get some first. */
export function isInTheWay(view: View, begun: NodeFacts): boolean {
  if (!begun.serving || !settingsWait(begun) || isPaused(view.observed.cluster)) return false;
  const down = view.desired.fleet.nodes.filter(
    (node) => node.name !== begun.name && node.counts && node.siteReachable && !node.serving && isManaged(node),
  );
  return down.some((node) => rollPending(view, node) && lags(view, node) && isOvertaken(view, begun, node));
}

/** The node of an appliance or a virtual machine is never restarted: its administrator upgrades it. */
export function isManaged({ external }: NodeFacts): boolean {
  return !external;
}

function closedGates(view: View, node: NodeFacts, doing: string): Blocked[] {
  const shared = [
    ...notPaused(view, doing),
    ...(lagsVersion(view, node) ? [...versionStep(view), ...approved(view), ...freshBackup(view)] : []),
  ];
  const fleet = closedFleetGates(view, node);
  // It serves nobody: a new specification can only make it better, even while a site is away. A rebuilt one leaves.
  if (!node.serving && node.siteReachable && !isRebuilt(view, node))
    return [
      ...shared,
      ...fleet.filter(({ gate }) => gate !== "allSitesObserved"),
      ...settingsWaitElsewhere(view, node),
    ];
  const why = "must restart";
  const remedy = `delete the pod ${node.name}-0 when an interruption suits`;
  return [
    ...shared,
    ...fleet,
    ...othersKeepServing(view, node, { why, remedy }),
    ...soaked(view, node),
    ...windowOpen(view, node),
    ...settingsCanWork(view, node),
    ...(isRebuilt(view, node) ? everybodyIsIn(view) : []),
  ];
}

/** A node that serves is not restarted into settings that cannot work, nor into those that do not work elsewhere. */
function settingsCanWork(view: View, node: NodeFacts): Blocked[] {
  if (!settingsLag(view.observed.cluster, node)) return [];
  const pin = missingPin(view, node);
  return [
    ...(pin === undefined ? [] : [pin]),
    ...missingCertificates(view, node),
    ...settingsTried(view, node, (other) => !settingsLag(view.observed.cluster, other)),
  ];
}

function rollStep(view: View, node: NodeFacts, doing: string): FleetStep {
  const { cluster, nowMs } = view.observed;
  const settings = resolvedSettings(cluster, node);
  const version = view.desired.fleet.target;
  const now = new Date(nowMs).toISOString();
  const mark = {
    [rollingAnnotation]: version,
    [rolledAnnotation]: now,
    ...settingsBeforeMark(view.observed, node, settings),
  };
  if (!isRebuilt(view, node))
    return { kind: "node", node: node.name, change: { version, settings, annotations: mark }, doing };
  const annotations = { [leavingAnnotation]: now, [rebuildAnnotation]: version };
  return { kind: "node", node: node.name, change: { membership: { action: "Leave" }, annotations }, doing };
}

/** Only a change of version rebuilds a node, and only one that can leave its data to others, in words that they know. */
function isRebuilt(view: View, node: NodeFacts): boolean {
  const { upgrade } = view.observed.cluster.spec;
  if (upgrade?.strategy !== "RemoveAndRebuild" || !lagsVersion(view, node)) return false;
  return neededMembers(view).length > 1 && !isTooOld(view.desired.fleet, node.node?.spec.version ?? "");
}

/** A node that was rebuilt joins again before the next one goes. */
function everybodyIsIn(view: View): Blocked[] {
  const out = view.desired.fleet.nodes.filter(
    ({ entry, counts, standing }) => entry !== undefined && counts && standing !== "Member",
  );
  return out.map(({ name }) => ({
    ...{ gate: "capacityKept", subject: name },
    message: `${name} is to join before the next node is rebuilt`,
    remedy: `see why ${name} does not join, or take it out of the specification`,
  }));
}

function lastRolled(view: View): NodeFacts | undefined {
  const { fleet } = view.desired;
  const done = fleet.nodes.filter(({ standing, node }) => standing === "Member" && node?.spec.version === fleet.target);
  const at = ({ node }: NodeFacts) => conditionOf(node, "Serving")?.lastTransitionTime ?? "";
  return done.reduce<NodeFacts | undefined>((last, node) => (last && at(last) >= at(node) ? last : node), undefined);
}

/** It was given another version and does not run it yet. */
function getsVersion({ node }: NodeFacts): boolean {
  return node?.status?.version !== undefined && node.status.version !== node.spec.version;
}

/** Whether a node is not of the version that all shall run. */
export function lagsVersion(view: View, { node }: NodeFacts): boolean {
  return node !== undefined && node.spec.version !== view.desired.fleet.target;
}

function yielding(step: FleetStep): FleetStep {
  return step.kind === "wait" && !step.blocked.some(({ passing }) => passing) ? { ...step, yields: true } : step;
}
