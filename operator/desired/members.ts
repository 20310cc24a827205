import type { Member } from "@keyfleet/crds/kms-node.ts";
import type { Observed } from "../ports/types.ts";
import type { FleetFacts, NodeFacts } from "./facts.ts";
import { listedMembers } from "./listed.ts";
import { isOut } from "./standing.ts";

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
  const address = facts.node?.spec.address ?? known?.address;
  const meshPort = facts.node === undefined ? known?.meshPort : facts.node.spec.meshPort;
  return {
    name: facts.name,
    site: facts.site,
    identity: identityOf(cluster, facts.site, facts.name),
    standing: facts.standing === "Founding" ? "Member" : (facts.standing as Member["standing"]),
    ...(address === undefined ? {} : { address }),
    ...(meshPort === undefined ? {} : { meshPort }),
    ...lifeOf(facts, known),
  };
}

/** What belongs to one life of a node; nothing of the life before goes into a new one. */
function lifeOf(facts: NodeFacts, known: Member | undefined): Partial<Member> {
  const before = known?.standing === "Departed" && facts.standing !== "Departed" ? undefined : known;
  const status = facts.node?.status;
  const incarnation = isOut(facts.standing)
    ? (before?.incarnation ?? status?.incarnation)
    : (status?.incarnation ?? before?.incarnation);
  const joinPublicKey = facts.standing === "Joining" ? (status?.joinPublicKey ?? before?.joinPublicKey) : undefined;
  const { lastSequence } = before ?? {};
  return {
    ...(incarnation === undefined ? {} : { incarnation }),
    ...(joinPublicKey === undefined ? {} : { joinPublicKey }),
    ...(lastSequence === undefined ? {} : { lastSequence }),
  };
}
