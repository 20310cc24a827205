import { documentRemedy, hasNewestDocument } from "../desired/external.ts";
import { conditionOf, type NodeFacts } from "../desired/facts.ts";
import { leaveToSite, memberStep, releaseLock, takeLock, waitForLock } from "./lock-steps.ts";
import { podIsNewest } from "./pod-revision.ts";
import { chooseSponsor } from "./sponsor.ts";
import type { Blocked, FleetPolicy, FleetStep, View } from "./types.ts";

/** Brings a node that founds or joins to its end before anything else is begun. */
export const finish: FleetPolicy = (view) => {
  const begun = view.desired.fleet.nodes.filter(isBegun);
  const node = begun.find(({ local }) => local) ?? begun[0];
  if (node === undefined) return undefined;
  const operation = node.standing === "Founding" ? "found" : "join";
  const doing = operation === "found" ? `founding with ${node.name}` : `joining ${node.name}`;
  const { lock } = view.observed;
  // The site of that node needs the lock to bring it to its end.
  if (lock.heldByMe && lock.node !== node.name) return releaseLock(`${node.name} has to be finished first`);
  if (!node.siteReachable) return leaveToSite(view, node.site, doing);
  if (!node.local || node.node === undefined) return stillGoing(node, doing);
  if (!lock.heldByMe)
    return lock.holder === undefined ? takeLock(operation, node.name, doing) : waitForLock(view, doing);
  if (isThrough(view, node)) return memberStep(node, { action: "Member" }, doing);
  return otherSponsor(view, node, doing) ?? stillGoing(node, doing);
};

/** Nobody waits for a node of a lost site, nor for a joiner that the specification does not want any more: it is removed. */
function isBegun({ standing, counts, entry }: NodeFacts): boolean {
  return counts && (standing === "Founding" || (standing === "Joining" && entry !== undefined));
}

function isThrough(view: View, facts: NodeFacts): boolean {
  // It would serve with the pod that it has, and the other sites could not see that settings wait for the next one.
  if (!podIsNewest(view, facts)) return false;
  const { standing, node } = facts;
  if (standing === "Founding") return node?.status?.clusterId !== undefined;
  const replicating = conditionOf(node, "Replicating");
  return replicating?.status === "True" && replicating.reason === "CaughtUp" && node?.status?.clusterId !== undefined;
}

function otherSponsor(view: View, node: NodeFacts, doing: string): FleetStep | undefined {
  const current = node.node?.spec.membership.sponsor;
  if (node.standing !== "Joining" || view.desired.fleet.nodes.some(({ name, serving }) => name === current && serving))
    return undefined;
  const sponsor = chooseSponsor(view, node);
  if (sponsor === undefined) return undefined;
  return memberStep(node, { action: "Join", sponsor: sponsor.name }, doing);
}

/** States in which a node that was told to begin is simply at work. */
const atWork: ReadonlySet<string> = new Set(["Joining", "AwaitingMembership", "Starting", "Serving"]);

function stillGoing(node: NodeFacts, doing: string): FleetStep {
  if (node.external && !hasNewestDocument(node.node)) return awaitsDocument(node, doing);
  const serving = conditionOf(node.node, "Serving");
  if (serving === undefined || serving.status !== "False" || atWork.has(serving.reason))
    return { kind: "wait", doing, blocked: [] };
  const blocked: Blocked = {
    gate: "lastTouchedRecovered",
    subject: node.name,
    message: `${node.name} cannot go on: ${serving.message}`,
    remedy: `mend ${node.name}; it goes on by itself, and nothing else begins before`,
  };
  return { kind: "wait", doing, blocked: [blocked] };
}

/** Somebody has to bring an External node what it shall do. */
function awaitsDocument({ name }: NodeFacts, doing: string): FleetStep {
  const message = `${name} has not been given the document by which it goes on`;
  const blocked: Blocked = { gate: "lastTouchedRecovered", subject: name, message, remedy: documentRemedy(name) };
  return { kind: "wait", doing, blocked: [blocked] };
}
