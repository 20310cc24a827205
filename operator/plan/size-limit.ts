import type { NodeFacts } from "../desired/facts.ts";
import { listedMembers } from "../desired/listed.ts";
import type { Blocked, View } from "./types.ts";

const mostNodes = 20;
/** Those that have departed are never forgotten: their certificates open nothing and their logs have an end. The CRD has room for so many. */
const mostListed = 64;

/**
 * A document names no more nodes than a fleet may have, but one that it has dropped is a member until it is out. Who comes
 * for its place is passed over until then, so that everything else goes on: above all that removal.
 */
export function sizeLimit(view: View, { name }: NodeFacts): Blocked | undefined {
  if (!isFull(view)) return namesLeft(view, name);
  return {
    gate: "sizeLimit",
    subject: name,
    message: `the fleet has ${membersOf(view)} members already`,
    remedy: `a fleet has at most ${mostNodes} nodes; leave ${name} out or make a second fleet`,
  };
}

/** One name more than the API server takes, and no document of any node could be changed any more. */
function namesLeft({ observed }: View, name: string): Blocked | undefined {
  const listed = listedMembers(observed);
  if (listed.size < mostListed || listed.has(name)) return undefined;
  const used = new Set(observed.cluster.spec.sites.flatMap(({ nodes }) => nodes.map((node) => node.name)));
  const free = [...listed.values()].find((one) => one.standing === "Departed" && !used.has(one.name))?.name;
  return {
    gate: "sizeLimit",
    subject: name,
    message: `the fleet has had nodes of ${listed.size} names, and no room for one more`,
    remedy: `give it a name that has departed${free === undefined ? "" : `, for example ${free}`}`,
  };
}

/** Whether nobody can join before somebody has left. */
export function isFull(view: View): boolean {
  return membersOf(view) >= mostNodes;
}

function membersOf({ desired }: View): number {
  return desired.fleet.nodes.filter(({ standing }) => standing === "Member").length;
}
