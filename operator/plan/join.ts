import { nextCandidate, waitingNodes } from "./candidate.ts";
import { closedFleetGates } from "./fleet-gates.ts";
import { memberStep, releaseLock, takeLock, waitUnlocked } from "./lock-steps.ts";
import { notPaused } from "./pause.ts";
import { chooseSponsor } from "./sponsor.ts";
import type { Blocked, FleetPolicy, FleetStep, View } from "./types.ts";

/** Lets one node join, in the order of the specification; the operator of its site acts, the others wait. */
export const join: FleetPolicy = (view) => {
  if (waitingNodes(view).length === 0 || view.desired.fleet.clusterIds.length === 0) return undefined;
  const { candidate, closed } = nextCandidate(view);
  const { lock } = view.observed;
  const isForJoin = lock.operation === "join";
  if (lock.heldByMe && (isForJoin ? lock.node !== candidate?.name : candidate !== undefined))
    return releaseLock("its node is not the next to join");
  if (candidate === undefined) return nobodyCan(closed);
  const doing = `joining ${candidate.name}`;
  const sponsor = chooseSponsor(view, candidate);
  const paused = notPaused(view, doing);
  const blocked = [
    ...paused,
    ...closedFleetGates(view, candidate),
    ...(sponsor === undefined ? [noSponsor(view)] : []),
  ];
  if (blocked.length > 0) return waitUnlocked(view, `waiting to join ${candidate.name}`, [...blocked, ...closed]);
  if (!candidate.local || sponsor === undefined) return { kind: "wait", doing, blocked: closed };
  if (!lock.heldByMe) return takeLock("join", candidate.name, doing);
  return memberStep(view, candidate, { action: "Join", sponsor: sponsor.name }, doing);
};

function nobodyCan(closed: readonly Blocked[]): FleetStep {
  const coming = closed.find(({ passing }) => passing);
  if (coming) return { kind: "wait", doing: `waiting until ${coming.subject} has started`, blocked: closed };
  return { kind: "wait", doing: "waiting for nodes that cannot join yet", blocked: closed, yields: true };
}

function noSponsor(view: View): Blocked {
  return {
    gate: "sponsorServes",
    subject: view.observed.cluster.metadata.name,
    message: "no member serves that could hand over the keys",
    remedy: "mend a member first: see kubectl get kmsnodes in every site",
  };
}
