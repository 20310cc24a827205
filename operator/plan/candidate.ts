import type { NodeFacts } from "../desired/facts.ts";
import { closedNodeGate } from "./node-gates.ts";
import type { Blocked, View } from "./types.ts";

/** The next node to found or join, and the closed gates of those before it. */
export interface Choice {
  readonly candidate: NodeFacts | undefined;
  readonly closed: readonly Blocked[];
}

/**
 * The first node, in the order of the specification, that may go. One that needs a person is passed over, so that it does
 * not hold up the others; for one that is only coming up the others wait, so that the order stays.
 */
export function nextCandidate(view: View): Choice {
  const closed: Blocked[] = [];
  const passed = underway(view);
  if (passed !== undefined) return { candidate: passed, closed };
  let candidate: NodeFacts | undefined;
  let waitsForOne = false;
  for (const node of waitingNodes(view)) {
    const blocked = closedNodeGate(view, node);
    if (blocked !== undefined) closed.push(blocked);
    if (blocked?.passing) waitsForOne = true;
    if (blocked === undefined && !waitsForOne) candidate ??= node;
  }
  return { candidate, closed };
}

/** Wanted nodes of sites that count that do not belong yet, in the order of the specification. */
export function waitingNodes(view: View): NodeFacts[] {
  return view.desired.fleet.nodes.filter(
    ({ entry, counts, standing }) => entry !== undefined && counts && (standing === "Waiting" || standing === "Absent"),
  );
}

/** The node for which this site took the lock goes first, as long as it may: choices must not flap. */
function underway(view: View): NodeFacts | undefined {
  const { lock } = view.observed;
  if (!lock.heldByMe) return undefined;
  const node = waitingNodes(view).find(({ name }) => name === lock.node);
  return node !== undefined && closedNodeGate(view, node) === undefined ? node : undefined;
}
