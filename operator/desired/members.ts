import type { Member } from "@keyfleet/crds/kms-node.ts";
import type { Observed } from "../ports/types.ts";
import { type FleetFacts, listedMembers, type NodeFacts } from "./facts.ts";

/**
 * The member list that every node of this site gets: all nodes that belong or are coming, whether they can be seen or not.
 * A partial view never shrinks it: what was known before stays, with the last address known.
 */
export function memberList(observed: Observed, facts: FleetFacts): Member[] {
  const known = listedMembers(observed);
  const departed = [...known.values()].filter(({ standing }) => standing === "Departed");
  const belonging = facts.nodes
    .filter(({ standing }) => standing !== "Absent" && standing !== "Waiting")
    .map((node) => memberOf(node, observed.cluster.metadata.name, known.get(node.name)));
  const names = new Set(belonging.map(({ name }) => name));
  return [...belonging, ...departed.filter(({ name }) => !names.has(name))];
}

/** Distinguished name in a node's certificate, RFC 2253 order. */
export function identityOf(cluster: string, site: string, node: string): string {
  return `CN=${node},OU=${site},O=${cluster}`;
}

function memberOf(facts: NodeFacts, cluster: string, known: Member | undefined): Member {
  const joining = facts.standing === "Joining";
  const address = facts.node?.spec.address ?? known?.address;
  const incarnation = facts.node?.status?.incarnation ?? known?.incarnation;
  const joinPublicKey = joining ? (facts.node?.status?.joinPublicKey ?? known?.joinPublicKey) : undefined;
  return {
    name: facts.name,
    site: facts.site,
    identity: identityOf(cluster, facts.site, facts.name),
    standing: joining ? "Joining" : "Member",
    ...(address === undefined ? {} : { address }),
    ...(incarnation === undefined ? {} : { incarnation }),
    ...(joinPublicKey === undefined ? {} : { joinPublicKey }),
  };
}
