import type { NodeFacts } from "../desired/facts.ts";
import type { Blocked, View } from "./types.ts";

const mostNodes = 20;

/**
 * A node beyond what a fleet may have is passed over, so that everything else goes on: above all the removal of another,
 * which makes room for it.
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
