import { leavingAnnotation } from "../desired/consent.ts";
import type { NodeFacts } from "../desired/facts.ts";
import { closedFleetGates, siteIsNamed } from "./fleet-gates.ts";
import { releaseLock, takeLock } from "./lock-steps.ts";
import { notPaused } from "./pause.ts";
import { leaveToOthers, removingSite } from "./removal.ts";
import { othersKeepServing, siteKeepsServing } from "./serving-gates.ts";
import { isFull } from "./size-limit.ts";
import type { Blocked, FleetPolicy, FleetStep, View } from "./types.ts";

/** A node in the middle of a join that the specification does not name any more; nobody else joins before it is out. */
export const removeJoiner: FleetPolicy = (view) => leaveOne(view, leavers(view, "Joining"));

/** Begins the removal of one member that the specification does not name any more and that does not serve. */
export const removeDead: FleetPolicy = (view) => leaveOne(view, leavers(view, "Member", false), true);

/** The same for one that serves, after joins and upgrades: so that what comes is there before what goes. */
export const removeOne: FleetPolicy = (view) => leaveOne(view, leavers(view, "Member", true), true);

/** `yields` when policies below may go ahead while gates of the removal are closed. */
function leaveOne(view: View, nodes: readonly NodeFacts[], yields?: true): FleetStep | undefined {
  if (nodes.length === 0) return undefined;
  const { lock, site } = view.observed;
  const choices = nodes.map((node) => ({ node, blocked: closedGates(view, node) }));
  const choice = choices.find(({ blocked }) => blocked.length === 0) ?? choices[0];
  if (choice === undefined) return undefined;
  const { node, blocked } = choice;
  const doing = `removing ${node.name}`;
  const isForOther = lock.heldByMe && (lock.node !== node.name || lock.operation !== "remove");
  const waiting = `waiting to remove ${node.name}`;
  // Whoever may go ahead meanwhile keeps the lock: it would be given back here and taken again there for ever.
  if (blocked.length > 0 && (!lock.heldByMe || (yields && isForOther)))
    return { kind: "wait", doing: waiting, blocked, ...(yields ? { yields } : {}) };
  if (blocked.length > 0 || isForOther) return releaseLock(waiting);
  if (removingSite(view, node) !== site) return leaveToOthers(view, node, doing);
  if (!lock.heldByMe) return takeLock("remove", node.name, doing);
  return leaveStep(view, node, doing);
}

/** What no operator of its own site can tell to leave is fenced by the others at once. */
function leaveStep(view: View, node: NodeFacts, doing: string): FleetStep {
  if (!node.counts || node.node === undefined) return { kind: "standing", node: node.name, standing: "Fenced", doing };
  const annotations = { [leavingAnnotation]: new Date(view.observed.nowMs).toISOString() };
  return { kind: "node", node: node.name, change: { membership: { action: "Leave" }, annotations }, doing };
}

function leavers(view: View, wanted: "Member" | "Joining", serves = false): NodeFacts[] {
  return view.desired.fleet.nodes.filter(
    ({ entry, standing, serving }) => entry === undefined && standing === wanted && serving === serves,
  );
}

function closedGates(view: View, node: NodeFacts): Blocked[] {
  const why = "must leave";
  const remedy = `put another node into spec.sites first, or delete the KmsCluster to end the fleet`;
  return [
    ...notPaused(view, `removing ${node.name}`),
    ...closedFleetGates(view, node),
    ...siteIsNamed(view, node),
    ...(node.standing === "Member" ? othersKeepServing(view, node, { why, remedy, forGood: true }) : []),
    ...(node.serving ? [...siteKeepsServing(view, node), ...capacityKept(view, node)] : []),
  ];
}

/** Nodes of the same document that are still coming join first, unless they cannot before somebody has left. */
function capacityKept(view: View, node: NodeFacts): Blocked[] {
  const coming = view.desired.fleet.nodes.filter(
    ({ entry, counts, standing }) => entry !== undefined && counts && standing !== "Member" && standing !== "Founding",
  );
  if (coming.length === 0 || isFull(view)) return [];
  const names = coming.map(({ name }) => name).join(", ");
  const message = `leaves after ${names} has joined, so that the fleet keeps its capacity`;
  const remedy = `see why ${names} does not join, or take it out of the specification`;
  return [{ gate: "capacityKept", subject: node.name, message, remedy }];
}
