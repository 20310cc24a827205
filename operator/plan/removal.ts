import { leavingAnnotation } from "../desired/consent.ts";
import { documentRemedy, hasNewestDocument } from "../desired/external.ts";
import { conditionOf, type NodeFacts } from "../desired/facts.ts";
import { siteIsNamed } from "./fleet-gates.ts";
import { leaveToSite, releaseLock, takeLock, waitForLock, waitUnlocked } from "./lock-steps.ts";
import { neededMembers } from "./serving-gates.ts";
import type { Blocked, FleetPolicy, FleetStep, View } from "./types.ts";

/** A leaver that neither serves nor reports that it has drained after this time is removed as a dead one. */
const drainPatienceMs = 60_000;

/** Brings a removal that was begun to its end: drained → fenced → departed, each once all members that count say so. */
export const finishRemoval: FleetPolicy = (view) => {
  const node = view.desired.fleet.nodes.find(({ standing }) => standing === "Leaving" || standing === "Fenced");
  if (node === undefined) return undefined;
  const doing = `removing ${node.name}`;
  const { lock, site } = view.observed;
  if (lock.heldByMe && lock.node !== node.name) return releaseLock(`${node.name} has to be removed first`);
  const unnamed = siteIsNamed(view, node);
  if (unnamed.length > 0) return waitUnlocked(view, doing, unnamed);
  if (removingSite(view, node) !== site) return leaveToOthers(view, node, doing);
  if (!lock.heldByMe)
    return lock.holder === undefined ? takeLock("remove", node.name, doing) : waitForLock(view, doing);
  const blocked = node.standing === "Leaving" ? notDrained(view, node) : notSettled(view, node);
  if (blocked !== undefined) return { kind: "wait", doing, blocked: [blocked] };
  if (node.standing === "Leaving") return { kind: "standing", node: node.name, standing: "Fenced", doing };
  const lastSequence = agreedSequence(view, node);
  return {
    ...{ kind: "standing", node: node.name, standing: "Departed", doing },
    ...(lastSequence === undefined ? {} : { lastSequence }),
  };
};

/** The site whose operator removes a node needs the lock: one that began while that one was away gives it back. */
export function leaveToOthers(view: View, node: NodeFacts, doing: string): FleetStep {
  const site = removingSite(view, node);
  if (view.observed.lock.heldByMe) return releaseLock(`${site ?? "another site"} removes ${node.name}`);
  return site === undefined ? { kind: "wait", doing, blocked: [] } : leaveToSite(view, site, doing);
}

/**
 * The site whose operator removes a node: its own if that counts and has a KmsNode that can say so, else the first that
 * counts and has members.
 */
export function removingSite(view: View, node: NodeFacts): string | undefined {
  const members = neededMembers(view);
  const saysSo = node.node !== undefined || members.some((member) => member.site === node.site);
  if (node.counts && saysSo) return node.site;
  return view.desired.fleet.counting.find((site) => members.some((member) => member.site === site));
}

/** Why a leaver cannot be fenced yet; a dead one can at once. */
function notDrained(view: View, node: NodeFacts): Blocked | undefined {
  if (isDead(view, node)) return undefined;
  const serving = conditionOf(node.node, "Serving");
  const own = departureOf(node, node);
  if (serving?.reason !== "Drained" || own === undefined)
    return waiting(node, `${node.name} finishes what its clients began`, drainRemedy(node));
  const lacking = neededMembers(view).filter((member) => departureOf(member, node) !== own);
  if (lacking.length === 0) return undefined;
  return waiting(node, `${namesOf(lacking)} does not hold all that ${node.name} wrote`, linksRemedy(lacking));
}

/** Why a fenced node has not departed yet: members that have not heard of it, or that hold different amounts of its log. */
function notSettled(view: View, node: NodeFacts): Blocked | undefined {
  const members = neededMembers(view);
  const unaware = members.filter((member) => !hasHeard(member, node.name, "Fenced"));
  if (unaware.length > 0)
    return waiting(node, `${namesOf(unaware)} has not fenced ${node.name} yet`, linksRemedy(unaware));
  const held = new Set(members.map((member) => departureOf(member, node)));
  if (incarnationOf(node) === undefined || (held.size === 1 && !held.has(undefined))) return undefined;
  return waiting(node, `the members exchange what they hold of ${node.name}`, linksRemedy(members));
}

/** Whether a member's document lists that node so, and the member acts on it. */
export function hasHeard({ node: member }: NodeFacts, name: string, standing: "Fenced" | "Departed"): boolean {
  const listed = member?.spec.members.find((one) => one.name === name)?.standing;
  const acts = member?.status?.observedGeneration ?? member?.metadata.generation;
  const isListed = listed === standing || listed === "Departed";
  return isListed && (acts ?? 0) >= (member?.metadata.generation ?? 0);
}

function agreedSequence(view: View, node: NodeFacts): number | undefined {
  const [member] = neededMembers(view);
  return member === undefined ? undefined : departureOf(member, node);
}

/** How far a member says that it holds the log of the leaver durably. */
function departureOf({ node: member }: NodeFacts, leaver: NodeFacts): number | undefined {
  const said = member?.status?.departures?.find(({ name }) => name === leaver.name);
  return said?.incarnation === incarnationOf(leaver) ? said?.sequence : undefined;
}

function incarnationOf({ listed, node }: NodeFacts): string | undefined {
  return listed?.incarnation ?? node?.status?.incarnation;
}

function isDead(view: View, node: NodeFacts): boolean {
  if (!node.counts || node.node === undefined) return true;
  if (node.serving || conditionOf(node.node, "Serving")?.reason === "Drained") return false;
  const since = Date.parse(node.node.metadata.annotations?.[leavingAnnotation] ?? "");
  return Number.isNaN(since) || view.observed.nowMs - since >= drainPatienceMs;
}

function waiting(node: NodeFacts, message: string, remedy: string): Blocked {
  return { gate: "lastTouchedRecovered", subject: node.name, message, remedy };
}

function drainRemedy(node: NodeFacts): string {
  if (isUntold(node)) return documentRemedy(node.name);
  return node.serving ? "wait" : `see ${node.name}`;
}

/** An External node hears only what its administrator brings to its machine. */
function isUntold({ external, node }: NodeFacts): boolean {
  return external && !hasNewestDocument(node);
}

function linksRemedy(nodes: readonly NodeFacts[]): string {
  const untold = nodes.find(isUntold);
  if (untold !== undefined) return documentRemedy(untold.name);
  return `see that ${namesOf(nodes)} runs and reaches the other members; the removal goes on by itself`;
}

function namesOf(nodes: readonly NodeFacts[]): string {
  return nodes.map(({ name }) => name).join(", ");
}
