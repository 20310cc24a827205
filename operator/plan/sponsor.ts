import type { NodeFacts } from "../desired/facts.ts";
import type { View } from "./types.ts";

/** The member that hands the keys over: one that serves, of the same site if there is one. */
export function chooseSponsor(view: View, joiner: NodeFacts): NodeFacts | undefined {
  const serving = view.desired.fleet.nodes.filter(({ standing, serving }) => standing === "Member" && serving);
  return serving.find(({ site }) => site === joiner.site) ?? serving[0];
}
