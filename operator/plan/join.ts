import { nextCandidate, waitingNodes } from "./candidate.ts";
import { closedFleetGates } from "./fleet-gates.ts";
import { releaseLock, takeLock } from "./lock-steps.ts";
import { chooseSponsor } from "./sponsor.ts";
import type { Blocked, FleetPolicy, View } from "./types.ts";

/** Lets one node join, in the order of the specification; the operator of its site acts, the others wait. */
export const join: FleetPolicy = (view) => {
  if (waitingNodes(view).length === 0 || view.desired.fleet.clusterIds.length === 0) return undefined;
  const { candidate, closed } = nextCandidate(view);
  const { lock } = view.observed;
  if (candidate === undefined) {
    if (lock.heldByMe) return releaseLock("no node can join now");
    const coming = closed.find(({ passing }) => passing);
    const doing = coming ? `waiting until ${coming.subject} has started` : "waiting for nodes that cannot join yet";
    return { kind: "wait", doing, blocked: closed };
  }
  const doing = `joining ${candidate.name}`;
  const sponsor = chooseSponsor(view, candidate);
  const blocked = [...closedFleetGates(view, candidate), ...(sponsor === undefined ? [noSponsor(view)] : [])];
  if (blocked.length > 0)
    return { kind: "wait", doing: `waiting to join ${candidate.name}`, blocked: [...blocked, ...closed] };
  if (!candidate.local || sponsor === undefined) return { kind: "wait", doing, blocked: closed };
  if (!lock.heldByMe) return takeLock("join", candidate.name, doing);
  if (lock.node !== candidate.name || lock.operation !== "join") return releaseLock("it was taken for another step");
  return { kind: "membership", node: candidate.name, membership: { action: "Join", sponsor: sponsor.name }, doing };
};

function noSponsor(view: View): Blocked {
  return {
    gate: "sponsorServes",
    subject: view.observed.cluster.metadata.name,
    message: "no member serves that could hand over the keys",
    remedy: "mend a member first: see kubectl get kmsnodes in every site",
  };
}
