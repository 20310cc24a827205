import { conditionOf, type NodeFacts } from "../desired/facts.ts";
import { waitingNodes } from "./candidate.ts";
import { releaseLock } from "./lock-steps.ts";
import { restartPending } from "./restart.ts";
import type { Blocked, FleetPolicy, FleetStep } from "./types.ts";

/** Gives the lock back when the node that was touched last serves; until then nothing else is begun. */
export const settleLock: FleetPolicy = (view) => {
  const { lock } = view.observed;
  if (!lock.heldByMe) return undefined;
  const node = view.desired.fleet.nodes.find(({ name }) => name === lock.node);
  if (node?.standing === "Member" && !node.serving) return waitForRecovery(node);
  if (lock.operation === "restart" && node !== undefined && restartPending(view, node)) return undefined;
  const stillWanted = waitingNodes(view).some(({ name }) => name === lock.node);
  return stillWanted && lock.operation !== "restart" ? undefined : releaseLock("nothing is left to do under it");
};

function waitForRecovery(node: NodeFacts): FleetStep {
  const serving = conditionOf(node.node, "Serving");
  const bad = serving?.status === "False" && !["Starting", "Joining", "AwaitingMembership"].includes(serving.reason);
  const blocked: Blocked = {
    gate: "lastTouchedRecovered",
    subject: node.name,
    message: `${node.name} does not serve yet${serving?.message ? `: ${serving.message}` : ""}`,
    remedy: `mend ${node.name}: see kubectl describe kmsnode ${node.name} in site ${node.site}`,
    ...(bad ? {} : { passing: true }),
  };
  return { kind: "wait", doing: `waiting until ${node.name} serves`, blocked: [blocked] };
}
