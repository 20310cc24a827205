import { conditionOf, type NodeFacts } from "../desired/facts.ts";
import { waitingNodes } from "./candidate.ts";
import { releaseLock } from "./lock-steps.ts";
import { isPatienceOver } from "./patience.ts";
import { podProblem } from "./pod-problems.ts";
import { hasHeard } from "./removal.ts";
import { restartDue } from "./restart.ts";
import { correct, lags, lagsVersion, rollPending } from "./roll.ts";
import { neededMembers } from "./serving-gates.ts";
import type { Blocked, FleetPolicy, FleetStep, View } from "./types.ts";

/** Operations that take a node down and up again. */
const rolls: ReadonlySet<string> = new Set(["restart", "upgrade", "settings"]);

/** Gives the lock back when the node that was touched last serves; until then nothing else is begun. */
export const settleLock: FleetPolicy = (view) => {
  const { lock } = view.observed;
  if (!lock.heldByMe) return undefined;
  const node = view.desired.fleet.nodes.find(({ name }) => name === lock.node);
  if (lock.operation === "remove" || node?.standing === "Departed") return settleRemoval(view, node);
  if (lock.operation === "level") return settleLevel(view);
  const isRoll = rolls.has(lock.operation ?? "");
  // Nobody waits for one that the specification does not name any more, nor for one of a site that is named lost.
  const isAwaited = node?.standing === "Member" && node.entry !== undefined && node.counts;
  if (isAwaited && !hasRecovered(node)) {
    const step = whileDown(view, node, isRoll);
    if (step !== undefined) return step;
  }
  if (isRoll && node?.counts && isPending(view, node)) return undefined;
  const stillWanted = waitingNodes(view).some(({ name }) => name === lock.node);
  const isJoin = lock.operation === "join" || lock.operation === "found";
  return stillWanted && isJoin ? undefined : releaseLock("nothing is left to do under it");
};

/** Waits for the node, unless something newer may help it. That it gets under the same lock; what joined, another version later. */
function whileDown(view: View, node: NodeFacts, isRoll: boolean): FleetStep | undefined {
  if (node.serving || !lags(view, node)) return waitForRecovery(view, node);
  return isRoll || !lagsVersion(view, node) ? correct(view, node) : undefined;
}

function isPending(view: View, node: NodeFacts): boolean {
  return restartDue(view, node) || rollPending(view, node);
}

/** It serves, and holds what the members that it reaches hold. */
function hasRecovered({ serving, node }: NodeFacts): boolean {
  return serving && conditionOf(node, "Replicating")?.reason !== "CatchingUp";
}

/** The lock is kept until nobody would take anything from the node any more and its objects are gone. */
function settleRemoval(view: View, node: NodeFacts | undefined): FleetStep | undefined {
  if (node === undefined) return releaseLock("the node is removed");
  if (node.standing !== "Departed")
    return node.entry === undefined ? undefined : releaseLock(`${node.name} is in the specification again`);
  const unaware = neededMembers(view).filter((member) => !hasHeard(member, node.name, "Departed"));
  if (unaware.length === 0) return releaseLock(`${node.name} has departed`);
  const names = unaware.map(({ name }) => name).join(", ");
  const blocked: Blocked = {
    gate: "lastTouchedRecovered",
    subject: node.name,
    message: `${names} has not heard yet that ${node.name} has departed`,
    remedy: `see that ${names} runs; the removal goes on by itself`,
  };
  return { kind: "wait", doing: `removing ${node.name}`, blocked: [blocked] };
}

function settleLevel(view: View): FleetStep | undefined {
  const { level, target } = view.desired.fleet;
  return level === target ? releaseLock("the feature level is raised") : undefined;
}

function waitForRecovery(view: View, node: NodeFacts): FleetStep {
  const serving = conditionOf(node.node, "Serving");
  const problem = node.local ? podProblem(view.observed, node.name) : undefined;
  const stuck = problem?.passing ? undefined : problem;
  const bad =
    serving?.status === "False" &&
    !["Starting", "Joining", "AwaitingMembership", "Ending", "VersionDiffers"].includes(serving.reason);
  const late = isPatienceOver(view, node);
  const why = stuck?.message ?? serving?.message;
  const blocked: Blocked = {
    gate: "lastTouchedRecovered",
    subject: node.name,
    message: `${node.name} ${node.serving ? "has not caught up" : "does not serve"} yet${why ? `: ${why}` : ""}`,
    remedy:
      stuck?.remedy ??
      `mend ${node.name}: see kubectl describe kmsnode ${node.name} in site ${node.site}; to give it up, take it out of the specification`,
    ...(bad || late || stuck !== undefined ? {} : { passing: true }),
  };
  return { kind: "wait", doing: `waiting until ${node.name} serves`, blocked: [blocked] };
}
