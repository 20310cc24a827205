import { documentRemedy, hasNewestDocument } from "../desired/external.ts";
import { conditionOf, type NodeFacts } from "../desired/facts.ts";
import { leaveToSite, memberStep, releaseLock, takeLock, waitForLock } from "./lock-steps.ts";
import { idleMs, isPatienceOver, stepPatienceMs } from "./patience.ts";
import { podProblem } from "./pod-problems.ts";
import { podIsNewest } from "./pod-revision.ts";
import { chooseSponsor } from "./sponsor.ts";
import type { Blocked, FleetPolicy, FleetStep, View } from "./types.ts";

/** Brings a node that founds or joins to its end before anything else is begun. */
export const finish: FleetPolicy = (view) => {
  const begun = view.desired.fleet.nodes.filter(isBegun);
  const node = begun.find(({ local }) => local) ?? begun[0];
  if (node === undefined) return undefined;
  const operation = node.standing === "Founding" ? "found" : "join";
  const work = operation === "found" ? `founding with ${node.name}` : `joining ${node.name}`;
  const doing = problemOf(view, node) === undefined ? work : `waiting before going on with ${work}`;
  const { lock } = view.observed;
  // The site of that node needs the lock to bring it to its end.
  if (lock.heldByMe && lock.node !== node.name) return releaseLock(`${node.name} has to be finished first`);
  if (!node.siteReachable) return leaveToSite(view, node.site, doing);
  if (!node.local || node.node === undefined) return stillGoing(node, doing);
  if (!lock.heldByMe)
    return lock.holder === undefined ? takeLock(operation, node.name, doing) : waitForLock(view, doing);
  if (isThrough(view, node)) return memberStep(view, node, { action: "Member" }, doing);
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

/** Another sponsor when the one there is does not serve, or has not handed the keys over in the time that this takes. */
function otherSponsor(view: View, node: NodeFacts, doing: string): FleetStep | undefined {
  if (node.standing !== "Joining") return undefined;
  const current = node.node?.spec.membership.sponsor;
  const serves = view.desired.fleet.nodes.some(({ name, serving }) => name === current && serving);
  const isOver = isPatienceOver(view, node) && node.node?.status?.clusterId === undefined;
  if (serves && !isOver) return undefined;
  const sponsor = chooseSponsor(view, node, isOver ? Math.floor(idleMs(view, node) / stepPatienceMs) : 0);
  if (sponsor === undefined || sponsor.name === current) return undefined;
  return memberStep(view, node, { action: "Join", sponsor: sponsor.name }, doing);
}

/** States in which a node that was told to begin is simply at work. */
const atWork: ReadonlySet<string> = new Set(["Joining", "AwaitingMembership", "Starting", "Serving"]);

function stillGoing(node: NodeFacts, doing: string): FleetStep {
  if (node.external && !hasNewestDocument(node.node)) return awaitsDocument(node, doing);
  const problem = toldProblem(node);
  if (problem === undefined) return { kind: "wait", doing, blocked: [] };
  return { kind: "wait", doing, blocked: [cannotGoOn(node, problem)] };
}

/**
 * What keeps a node of this site from ending what it has begun, as far as its pod, its own words and the time that it has
 * taken tell. Nothing is broken off by that, and what is tried meanwhile goes on.
 */
export function stalled(view: View): Blocked[] {
  return view.desired.fleet.nodes
    .filter((node) => isBegun(node) && node.local)
    .flatMap((node) => problemOf(view, node) ?? []);
}

function problemOf(view: View, node: NodeFacts): Blocked | undefined {
  const awaitsAPerson = node.external && !hasNewestDocument(node.node);
  if (!node.local || awaitsAPerson || isThrough(view, node)) return undefined;
  const pod = podProblem(view.observed, node.name);
  if (pod !== undefined && !pod.passing) return cannotGoOn(node, pod.message, pod.remedy);
  const problem = toldProblem(node) ?? (isPatienceOver(view, node) ? lastWords(node) : undefined);
  return problem === undefined ? undefined : cannotGoOn(node, problem);
}

/** What a node says that it cannot get over by itself. */
function toldProblem({ node }: NodeFacts): string | undefined {
  const replicating = conditionOf(node, "Replicating");
  if (replicating?.reason === "DiskFull") return replicating.message;
  const serving = conditionOf(node, "Serving");
  return serving?.status === "False" && !atWork.has(serving.reason) ? serving.message : undefined;
}

/** What a node says of the part that it is at: being let in, then taking in what the others hold. */
function lastWords({ node }: NodeFacts): string {
  const replicating = conditionOf(node, "Replicating");
  const isLetIn = replicating !== undefined && replicating.reason !== "NotAMember";
  return (isLetIn ? replicating : conditionOf(node, "Serving"))?.message || "it says nothing";
}

function cannotGoOn(node: NodeFacts, problem: string, remedy = remedyFor(node)): Blocked {
  const message = `${node.name} cannot go on: ${problem}`;
  return { gate: "lastTouchedRecovered", subject: node.name, message, remedy };
}

function remedyFor({ name, standing, node }: NodeFacts): string {
  if (standing === "Founding") return `mend ${name}; it goes on by itself, and nothing else begins before`;
  const sponsor = node?.spec.membership.sponsor ?? "its sponsor";
  return (
    `mend ${name}, allow 5432/TCP both ways between ${name} and ${sponsor}; it goes on by itself. ` +
    `To give it up, take ${name} out of the specification: nothing else begins before`
  );
}

/** Somebody has to bring an External node what it shall do. */
function awaitsDocument({ name }: NodeFacts, doing: string): FleetStep {
  const message = `${name} has not been given the document by which it goes on`;
  const blocked: Blocked = { gate: "lastTouchedRecovered", subject: name, message, remedy: documentRemedy(name) };
  return { kind: "wait", doing, blocked: [blocked] };
}
