import { type NodeFacts, objectOf } from "../desired/facts.ts";
import { podIsOld, podOf } from "../desired/revision.ts";
import { isPaused } from "../desired/staging.ts";
import { wantsRetry } from "../desired/upgrade-requests.ts";
import type { Action, KubernetesObject } from "../ports/types.ts";
import { closedFleetGates } from "./fleet-gates.ts";
import { releaseLock, takeLock, waitUnlocked } from "./lock-steps.ts";
import { lags, nextToRoll } from "./roll.ts";
import { othersKeepServing } from "./serving-gates.ts";
import type { Blocked, FleetPolicy, LocalPolicy, View } from "./types.ts";
import { windowOpen } from "./windows.ts";

/**
 * A node that does not serve gets a pod of the newest specification at once, so that a bad one can always be corrected. That
 * it does not serve must be so when the pod goes: an event may have been lost, and this site's own API may be away.
 */
export const restartIdle: LocalPolicy = (view) =>
  view.desired.nodes
    .filter(({ facts }) => isIdle(facts) && (restartPending(view, facts) || isRetried(view, facts)))
    .flatMap(({ facts }) => deletePod(view, facts).map((action) => ({ ...action, asSeen: saidBy(facts) })));

function isIdle({ siteReachable, serving }: NodeFacts): boolean {
  return siteReachable && !serving;
}

/** What else tells whether a node serves. */
function saidBy({ node }: NodeFacts): KubernetesObject[] {
  return node === undefined ? [] : [node as unknown as KubernetesObject];
}

/** A member that serves with a pod out of date is restarted under the lock, one at a time, while the others serve. */
export const restartOne: FleetPolicy = (view) => {
  const node = nextToRestart(view);
  // Nobody is restarted while another does not serve: what that one is to get comes first (plan/roll.ts).
  if (node === undefined || nextToRoll(view)?.serving === false) return undefined;
  const doing = `restarting ${node.name}`;
  const { lock } = view.observed;
  const inHand = lock.heldByMe && lock.node === node.name;
  const blocked = [...closedFleetGates(view, node), ...restartGates(view, node, inHand)];
  if (blocked.length > 0) return waitUnlocked(view, `waiting to restart ${node.name}`, blocked);
  if (!lock.heldByMe) return takeLock("restart", node.name, doing);
  if (!inHand) return releaseLock("its node is not the one to restart");
  const actions = deletePod(view, node).map((action) => ({ ...action, needsLock: true as const }));
  return { kind: "actions", doing, actions };
};

function nextToRestart(view: View): NodeFacts | undefined {
  const { lock, cluster } = view.observed;
  const due = view.desired.fleet.nodes.filter(
    (facts) => facts.counts && facts.local && facts.serving && facts.standing === "Member" && restartDue(view, facts),
  );
  // Paused: only what was begun, and a node that would never hear of its document again.
  const begun = due.filter((node) => !isPaused(cluster) || lock.node === node.name || hasDeadToken(view, node));
  // One that shall have yet another specification is not restarted into this one.
  const allowed = begun.filter((node) => hasDeadToken(view, node) || !lags(view, node));
  return allowed.find(({ name }) => lock.heldByMe && lock.node === name) ?? allowed[0];
}

function restartGates(view: View, node: NodeFacts, inHand: boolean): Blocked[] {
  const remedy = `delete the pod ${node.name}-0 when an interruption suits`;
  const window = inHand || hasDeadToken(view, node) ? [] : windowOpen(view, node);
  return [...othersKeepServing(view, node, { why: "must restart", remedy }), ...window];
}

/** Whether a member has to be restarted; one that the specification dropped only if it would not hear that it leaves. */
export function restartDue(view: View, facts: NodeFacts): boolean {
  return restartPending(view, facts) && (facts.entry !== undefined || hasDeadToken(view, facts));
}

/**
 * Whether the pod of a node of this site is older than what it should be made from. A node that says RestartNeeded is not
 * asked: it says so of settings that may not be in its StatefulSet yet, and then it would be restarted for nothing.
 */
function restartPending(view: View, facts: NodeFacts): boolean {
  const pod = podOf(view.observed, facts.name);
  if (!facts.local || pod === undefined) return false;
  return podIsOld(view.observed, facts.name, pod) || hasDeadToken(view, facts);
}

/**
 * The token in a pod dies with the account that it was made for: such a node would never hear of its document again. An
 * account from the future was made by a clock that was wrong then: no pod would ever be new enough for it.
 */
function hasDeadToken({ observed }: View, { name }: NodeFacts): boolean {
  const made = (kind: string, object: string) =>
    Date.parse(String(objectOf(observed, kind, object)?.metadata.creationTimestamp));
  const account = made("ServiceAccount", name);
  return account <= observed.nowMs && account > made("Pod", `${name}-0`);
}

type DeleteAction = Extract<Action, { kind: "delete" }>;

/** spec.upgrade.requests.retry: a member that does not come to serve gets another try, once for each value. */
function isRetried(view: View, { standing, name }: NodeFacts): boolean {
  const pod = objectOf(view.observed, "Pod", `${name}-0`);
  return standing === "Member" && wantsRetry(view.observed) && pod?.metadata.deletionTimestamp === undefined;
}

function deletePod(view: View, { name }: NodeFacts): DeleteAction[] {
  const object = objectOf(view.observed, "Pod", `${name}-0`);
  return object === undefined
    ? []
    : [{ kind: "delete", object, because: `${name} needs a pod of its newest specification` }];
}
