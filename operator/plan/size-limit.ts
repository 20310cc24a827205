import type { NodeFacts } from "../desired/facts.ts";
import type { Blocked, View } from "./types.ts";

const mostNodes = 20;

/**
 * A document names no more nodes than a fleet may have, but one that it has dropped is a member until it is out. Who comes
 * for its place is passed over until then, so that everything else goes on: above all that removal.
 */
export function sizeLimit(view: View, { name }: NodeFacts): Blocked | undefined {
  if (!isFull(view)) return undefined;
  return {
    gate: "sizeLimit",
    subject: name,
    message: `the fleet has ${membersOf(view)} members already`,
    remedy: `a fleet has at most ${mostNodes} nodes; leave ${name} out or make a second fleet`,
  };
}

/** Whether nobody can join before somebody has left. */
export function isFull(view: View): boolean {
  return membersOf(view) >= mostNodes;
}

function membersOf({ desired }: View): number {
  return desired.fleet.nodes.filter(({ standing }) => standing === "Member").length;
}
