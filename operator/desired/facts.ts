import type { NodeEntry, SiteEntry } from "@keyfleet/crds/kms-cluster.ts";
import type { Condition, KmsNode, Member } from "@keyfleet/crds/kms-node.ts";
import type { NodeConditionType } from "@keyfleet/crds/reasons.ts";
import type { KmsCluster, KubernetesObject, Observed, SiteView } from "../ports/types.ts";

/** How far a node has come. Derived from what its KmsNode says and from what other KmsNodes say of it, never stored. */
export type Standing = "Absent" | "Waiting" | "Founding" | "Joining" | "Member";

/** What is known of one node, wanted or left over. */
export interface NodeFacts {
  readonly name: string;
  readonly site: string;
  /** Absent when the specification does not name the node any more. */
  readonly entry: NodeEntry | undefined;
  readonly siteEntry: SiteEntry | undefined;
  readonly node: KmsNode | undefined;
  readonly local: boolean;
  readonly siteReachable: boolean;
  readonly standing: Standing;
  /** Serves, as far as can be seen now; false for a node of a site that does not answer. */
  readonly serving: boolean;
}

/** What is known of the fleet. */
export interface FleetFacts {
  /** All identities seen; more than one means that two fleets met. */
  readonly clusterIds: readonly string[];
  /** In the order of the specification, then those that it does not name any more. */
  readonly nodes: readonly NodeFacts[];
  /** Version of the members; that of the specification before there are any. */
  readonly version: string;
}

/** Judges all that was observed, node by node. Pure. */
export function fleetFacts(observed: Observed): FleetFacts {
  const clusterIds = identities(observed);
  const listed = listedMembers(observed);
  const seen = new Map(observed.sites.flatMap((site) => site.nodes.map((node) => [node.metadata.name, node] as const)));
  const wanted = observed.cluster.spec.sites.flatMap((siteEntry) =>
    siteEntry.nodes.map((entry) => ({ name: entry.name, site: siteEntry.name, entry, siteEntry })),
  );
  const names = new Set(wanted.map(({ name }) => name));
  const leftOver = leftOvers(seen, listed, names);
  const nodes = [...wanted, ...leftOver].map((node) =>
    nodeFacts(node, { observed, kmsNode: seen.get(node.name), listed: listed.get(node.name), clusterIds }),
  );
  const member = nodes.find(({ standing, node }) => standing === "Member" && node !== undefined);
  return { clusterIds, nodes, version: member?.node?.spec.version ?? observed.cluster.spec.version };
}

/** A condition of a node, or of a fleet. */
export function conditionOf(node: KmsNode | undefined, type: NodeConditionType): Condition | undefined {
  return node?.status?.conditions?.find((condition) => condition.type === type);
}

/** Members that any KmsNode lists or ever listed; those of this site win, because they are the freshest. */
export function listedMembers(observed: Observed): Map<string, Member> {
  const views = [...observed.sites].sort((a, b) => Number(a.local) - Number(b.local));
  const members = views.flatMap((site) => site.nodes.flatMap((node) => node.spec.members));
  const found = new Map<string, Member>();
  for (const member of members) {
    const before = found.get(member.name);
    const known = before?.standing === "Member" && member.standing === "Joining" ? before.standing : member.standing;
    found.set(member.name, { ...before, ...member, standing: known });
  }
  return found;
}

/** The objects of one kind in this site. */
export function objectsOf(observed: Observed, kind: string): readonly KubernetesObject[] {
  return observed.objects.filter((object) => object.kind === kind);
}

/** One object of this site by kind and name. */
export function objectOf(observed: Observed, kind: string, name: string): KubernetesObject | undefined {
  return observed.objects.find((object) => object.kind === kind && object.metadata.name === name);
}

/** The view of a site; undefined when nothing at all is known of it. */
export function viewOf(observed: Observed, site: string): SiteView | undefined {
  return observed.sites.find((view) => view.name === site);
}

function identities(observed: Observed): string[] {
  const ofNodes = observed.sites.flatMap((site) => site.nodes.map(identityOf));
  const clusters: (KmsCluster | undefined)[] = [observed.cluster, ...observed.sites.map((site) => site.cluster)];
  const ids = [...ofNodes, ...clusters.map((cluster) => cluster?.status?.clusterId)];
  return [...new Set(ids.filter((id): id is string => id !== undefined))];
}

/** A waiting node's own word does not count: its volume may come from another fleet. */
function identityOf(node: KmsNode): string | undefined {
  if (node.spec.clusterId) return node.spec.clusterId;
  return node.spec.membership.action === "None" ? undefined : node.status?.clusterId;
}

interface Named {
  readonly name: string;
  readonly site: string;
  readonly entry?: NodeEntry;
  readonly siteEntry?: SiteEntry;
}

function leftOvers(
  seen: ReadonlyMap<string, KmsNode>,
  listed: ReadonlyMap<string, Member>,
  wanted: ReadonlySet<string>,
): Named[] {
  const sites = new Map<string, string>();
  for (const member of listed.values()) if (member.standing !== "Departed") sites.set(member.name, member.site);
  for (const node of seen.values()) sites.set(node.metadata.name, node.spec.site);
  return [...sites].filter(([name]) => !wanted.has(name)).map(([name, site]) => ({ name, site }));
}

interface Sources {
  readonly observed: Observed;
  readonly kmsNode: KmsNode | undefined;
  readonly listed: Member | undefined;
  readonly clusterIds: readonly string[];
}

function nodeFacts(named: Named, { observed, kmsNode, listed, clusterIds }: Sources): NodeFacts {
  const view = viewOf(observed, named.site);
  const siteReachable = view?.reachable ?? false;
  const local = named.site === observed.site;
  const says = conditionOf(kmsNode, "Serving")?.status === "True";
  const confirmed = local ? podIsReady(observed, named.name) : ownSiteConfirms(view, named.name);
  return {
    ...{ name: named.name, site: named.site, entry: named.entry, siteEntry: named.siteEntry },
    ...{ node: kmsNode, local, siteReachable },
    standing: standingOf(kmsNode, { listed, clusterIds, siteReachable }),
    serving: siteReachable && says && confirmed,
  };
}

interface Hearsay {
  readonly listed: Member | undefined;
  readonly clusterIds: readonly string[];
  readonly siteReachable: boolean;
}

function standingOf(node: KmsNode | undefined, { listed, clusterIds, siteReachable }: Hearsay): Standing {
  const action = node?.spec.membership.action;
  if (action === "Member" || action === "Leave") return "Member";
  // Once listed as a member it stays one: a view of another site may lag behind what it said before.
  if (listed?.standing === "Member" && action !== "Found") return "Member";
  if (action === "Join") return "Joining";
  if (action === "Found") return "Founding";
  // It may have become a member by now; nobody is forgotten because his site cannot be seen.
  if (!node) return listed?.standing === "Joining" && !siteReachable ? "Joining" : "Absent";
  // Its KmsNode was lost and made anew, but its volume remembers the fleet.
  const own = node.status?.clusterId;
  return own !== undefined && clusterIds.length === 1 && clusterIds[0] === own ? "Member" : "Waiting";
}

/** The node cannot say that it is dead; its pod can. */
function podIsReady(observed: Observed, name: string): boolean {
  const pod = objectOf(observed, "Pod", `${name}-0`);
  // One on its way out is still Ready while it drains, but nobody may count on it any more.
  if (pod?.metadata.deletionTimestamp !== undefined) return false;
  const status = pod?.status as { conditions?: { type: string; status: string }[] } | undefined;
  return status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

function ownSiteConfirms(view: SiteView | undefined, name: string): boolean {
  return view?.cluster?.status?.nodeStatus?.find((node) => node.name === name)?.serving !== false;
}
