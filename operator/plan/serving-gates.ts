import { rebuildAnnotation } from "../desired/consent.ts";
import { conditionOf, type NodeFacts } from "../desired/facts.ts";
import { goingVolume } from "./going-volume.ts";
import { missingSecrets } from "./secrets.ts";
import type { Blocked, View } from "./types.ts";

/** What a node that serves must leave behind when it is taken down: why, as in "must restart", and how to go on anyway. */
export interface TakingDown {
  readonly why: string;
  /** For the case that no other node serves. */
  readonly remedy: string;
  /** It goes for good: nothing of it has to come up again. */
  readonly forGood?: boolean;
}

/** Members that are needed: those that count, but for dead ones that the specification dropped. */
export function neededMembers(view: View): NodeFacts[] {
  return view.desired.fleet.nodes.filter(
    ({ standing, counts, entry, serving }) => standing === "Member" && counts && (entry !== undefined || serving),
  );
}

/** Closed gates for taking that node down: all the others serve, are reached and hold everything, and nobody is taken out. */
export function othersKeepServing(view: View, node: NodeFacts, taking: TakingDown): Blocked[] {
  return [...(taking.forGood ? [] : comesUpAgain(view, node)), ...othersServe(view, node, taking)];
}

/** What its next pod needs of Secrets and of its volume is there: one that serves is not restarted into what cannot start. */
function comesUpAgain(view: View, node: NodeFacts): Blocked[] {
  return node.serving ? [...missingSecrets(view, node), ...goingVolume(view, node)] : [];
}

function othersServe(view: View, node: NodeFacts, taking: TakingDown): Blocked[] {
  const others = neededMembers(view).filter(({ name }) => name !== node.name);
  const closed = (message: string, remedy: string): Blocked[] => [
    { gate: "fleetKeepsServing", subject: node.name, message: `${taking.why}, but ${message}`, remedy },
  ];
  if (others.length === 0) return closed("no other node serves meanwhile", taking.remedy);
  const down = others.filter(({ serving }) => !serving);
  if (down.length > 0) return closed(`${namesOf(down)} does not serve`, "mend the other nodes first");
  const lonely = others.filter((other) => isUnreached(view, other));
  if (lonely.length > 0)
    return closed(`no other node reaches ${namesOf(lonely)}`, `see that ${namesOf(lonely)} runs, and 5432/TCP to it`);
  const rebuilt = beingRebuilt(view);
  if (rebuilt.length > 0)
    return closed(
      `${namesOf(rebuilt)} is being rebuilt`,
      `see why ${namesOf(rebuilt)} does not join, or take it out of the specification`,
    );
  const behind = others.filter(({ node: other }) => conditionOf(other, "Replicating")?.status === "False");
  if (behind.length === 0) return [];
  return closed(`${namesOf(behind)} does not hold everything yet`, "wait, or mend the links between the nodes").map(
    (blocked) => ({ ...blocked, ...(behind.some(isCutOff) ? {} : { passing: true as const }) }),
  );
}

/**
 * Whether none of the members that serve has a link to it. When a machine dies, its own site sees that after most of a
 * minute; its peers at once.
 */
function isUnreached(view: View, { name }: NodeFacts): boolean {
  const said = view.desired.fleet.nodes
    .filter((node) => node.name !== name && node.standing === "Member" && node.serving)
    .flatMap(({ node }) => node?.status?.peers?.filter((peer) => peer.name === name) ?? []);
  return said.length > 0 && said.every(({ connected }) => !connected);
}

/** Nodes that were made to leave in order to come back with another version, and are not back yet. */
function beingRebuilt(view: View): NodeFacts[] {
  return view.desired.fleet.nodes.filter(
    ({ entry, counts, standing, node }) =>
      entry !== undefined &&
      counts &&
      standing !== "Member" &&
      node?.metadata.annotations?.[rebuildAnnotation] !== undefined,
  );
}

/** The same but for the site: one node of it goes on serving while another order of steps would allow that. */
export function siteKeepsServing(view: View, node: NodeFacts): Blocked[] {
  const { nodes } = view.desired.fleet;
  const rest = nodes.filter(({ site, name, entry }) => site === node.site && name !== node.name && entry !== undefined);
  if (rest.length === 0 || rest.some(({ standing, serving }) => standing === "Member" && serving)) return [];
  const message = `must leave, but no other node of ${node.site} serves`;
  const remedy = `mend ${namesOf(rest)}, or take it out of the specification too`;
  return [{ gate: "siteKeepsServing", subject: node.name, message, remedy }];
}

function isCutOff({ node }: NodeFacts): boolean {
  return conditionOf(node, "Replicating")?.reason === "PeersUnreachable";
}

function namesOf(nodes: readonly NodeFacts[]): string {
  return nodes.map(({ name }) => name).join(", ");
}
