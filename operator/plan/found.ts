import { nextCandidate, waitingNodes } from "./candidate.ts";
import { closedFleetGates, unseenSites } from "./fleet-gates.ts";
import { memberStep, releaseLock, takeLock, waitUnlocked } from "./lock-steps.ts";
import { notPaused } from "./pause.ts";
import type { Blocked, FleetPolicy, FleetStep, View } from "./types.ts";

/** Makes the fleet: the first node of the specification that can, once, when all sites say that there is none yet. */
export const found: FleetPolicy = (view) => {
  const { fleet } = view.desired;
  if (fleet.nodes.some(({ standing }) => standing !== "Waiting" && standing !== "Absent")) return undefined;
  if (waitingNodes(view).length === 0) return undefined;
  if (fleet.clusterIds.length > 0) return fleetIsGone(view);
  const { candidate, closed } = nextCandidate(view);
  const { lock } = view.observed;
  if (lock.heldByMe && (lock.node !== candidate?.name || lock.operation !== "found"))
    return releaseLock("its node is not the one to found");
  if (candidate === undefined) return { kind: "wait", doing: "waiting for the first node to start", blocked: closed };
  const doing = `founding with ${candidate.name}`;
  // Whoever names a site lost may be wrong about it; a fleet that it founded must not get a second beside it.
  const blocked = [...notPaused(view, doing), ...closedFleetGates(view, candidate), ...unseenSites(view)];
  if (blocked.length > 0) return waitUnlocked(view, "waiting to found", [...blocked, ...closed]);
  if (!candidate.local) return { kind: "wait", doing, blocked: closed };
  if (!lock.heldByMe) return takeLock("found", candidate.name, doing);
  return memberStep(view, candidate, { action: "Found" }, doing);
};

/** Founding again would make a second fleet with other keys beside the one that somebody still needs. */
function fleetIsGone(view: View): FleetStep {
  const [id] = view.desired.fleet.clusterIds;
  const { name } = view.observed.cluster.metadata;
  const blocked: Blocked = {
    gate: "noFleetYet",
    subject: name,
    message: `the fleet ${id} existed, but none of its nodes is known any more`,
    remedy: `bring back the volumes of its nodes; or, only if its keys are lost for good, delete the KmsCluster ${name} in every site and apply it again`,
  };
  return { kind: "wait", doing: "waiting for the nodes of the fleet", blocked: [blocked] };
}
