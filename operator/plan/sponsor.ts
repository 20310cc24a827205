import type { NodeFacts } from "../desired/facts.ts";
import type { View } from "./types.ts";

/**
 * The member that hands the keys over: one that serves, of the same site if there is one. After each try that came to
 * nothing it is the next one, and then the first again.
 */
export function chooseSponsor(view: View, joiner: NodeFacts, tries = 0): NodeFacts | undefined {
  const serving = view.desired.fleet.nodes.filter(({ standing, serving }) => standing === "Member" && serving);
  const near = serving.filter(({ site }) => site === joiner.site);
  const choices = [...near, ...serving.filter((node) => !near.includes(node))];
  return choices[tries % choices.length];
}
