import type { NodeEntry, SiteEntry } from "@keyfleet/crds/kms-cluster.ts";
import type { Condition, KmsNode, Member } from "@keyfleet/crds/kms-node.ts";
import type { NodeConditionType } from "@keyfleet/crds/reasons.ts";
import type { KubernetesObject, Observed, SiteView } from "../ports/types.ts";
import { isContradicted } from "./contradiction.ts";
import { listedMembers } from "./listed.ts";
import { outStanding, type Standing } from "./standing.ts";
import { copiesOf, targetVersion } from "./upgrade-requests.ts";
import { compareVersions, highestVersion } from "./version.ts";

/** What is known of one node, wanted or left over. */
export interface NodeFacts {
  readonly name: string;
  readonly site: string;
  /** Absent when the specification does not name the node any more. */
  readonly entry: NodeEntry | undefined;
  readonly siteEntry: SiteEntry | undefined;
  readonly node: KmsNode | undefined;
  readonly local: boolean;
  /** Outside Kubernetes: an appliance or a virtual machine, which its administrator starts and gives its document. */
  readonly external: boolean;
  readonly siteReachable: boolean;
  /** False when spec.recovery.lostSites names its site: nobody waits for it, and nothing rests on it. */
  readonly counts: boolean;
  readonly standing: Standing;
  /** How the members list it, whatever it says itself. */
  readonly listed: Member | undefined;
  /** Serves, as far as can be seen now; false for a node of a site that does not answer. */
  readonly serving: boolean;
}

/** What is known of the fleet. */
export interface FleetFacts {
  /** All identities seen; more than one means that two fleets met. */
  readonly clusterIds: readonly string[];
  /** In the order of the specification, then those that it does not name any more. */
  readonly nodes: readonly NodeFacts[];
  /** Sites that count for decisions: those of the specification but for the lost ones. */
  readonly counting: readonly string[];
  /** Version that all nodes shall run in the end. */
  readonly target: string;
  /** Versions that the members that stay and count are specified to run, lowest first; several in the middle of an upgrade. */
  readonly versions: readonly string[];
  /** Version whose features the fleet may use; only ever raised. Undefined before there is a fleet. */
  readonly level: string | undefined;
}

/** Judges all that was observed, node by node. Pure. */
export function fleetFacts(observed: Observed): FleetFacts {
  const clusterIds = identities(observed);
  const listed = listedMembers(observed);
  const counting = countingSites(observed);
  const seen = new Map(observed.sites.flatMap((site) => site.nodes.map((node) => [node.metadata.name, node] as const)));
  const wanted = observed.cluster.spec.sites
    .flatMap((siteEntry) =>
      siteEntry.nodes.map((entry) => ({ name: entry.name, site: siteEntry.name, entry, siteEntry })),
    )
    .filter((node) => !isElsewhere(node, counting, { seen: seen.get(node.name), listed: listed.get(node.name) }));
  const names = new Set(wanted.map(({ name }) => name));
  const leftOver = leftOvers(seen, listed, names);
  const nodes = [...wanted, ...leftOver].map((node) =>
    nodeFacts(node, {
      observed,
      kmsNode: ofSite(node, seen.get(node.name)),
      listed: listed.get(node.name),
      clusterIds,
    }),
  );
  const members = nodes.flatMap(({ standing, node, entry, counts }) =>
    standing === "Member" && node ? [{ spec: node.spec, stays: entry !== undefined && counts }] : [],
  );
  // Features that were used once are in the logs, whoever may be lost since.
  const level = highestVersion(members.map(({ spec }) => spec.featureLevel));
  const staying = members.filter(({ stays }) => stays).map(({ spec }) => spec.version);
  const versions = [...new Set(staying)].sort(compareVersions);
  const target = targetVersion(observed, level);
  return { clusterIds, nodes, counting, target, versions, level };
}

/** Sites of the specification that recovery.lostSites does not name. */
export function countingSites({ cluster }: Observed): string[] {
  const lost = cluster.spec.recovery?.lostSites ?? [];
  return cluster.spec.sites.map(({ name }) => name).filter((name) => !lost.includes(name));
}

/** A condition of a node, or of a fleet. */
export function conditionOf(node: KmsNode | undefined, type: NodeConditionType): Condition | undefined {
  return node?.status?.conditions?.find((condition) => condition.type === type);
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
  const clusters = copiesOf(observed);
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

/**
 * Whether the name belongs to a node of another site yet: taken out there and put in here by two edits, one after the other.
 * That one leaves first, as one that the document does not name, and is put away; until then there is none of that name
 * here. What is left of one that has departed in a site that is named lost is not waited for.
 */
function isElsewhere(
  { site }: Named,
  counting: readonly string[],
  { seen, listed }: { readonly seen: KmsNode | undefined; readonly listed: Member | undefined },
): boolean {
  const belongs = listed?.standing === "Departed" ? undefined : listed?.site;
  const left = seen !== undefined && counting.includes(seen.spec.site) ? seen.spec.site : undefined;
  const used = belongs ?? left;
  return used !== undefined && used !== site;
}

/** What was left of a node of another site is no node of this one: its uid, its requests and its word are of another. */
function ofSite({ site }: Named, node: KmsNode | undefined): KmsNode | undefined {
  return node?.spec.site === site ? node : undefined;
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
  const external = named.entry?.management === "External" || kmsNode?.spec.management === "External";
  // There is no pod to ask about; this site's operator reads the status from the node itself.
  const elsewhere = () =>
    ownSiteConfirms(view, named.name) && !(kmsNode !== undefined && isContradicted(observed, kmsNode));
  const confirmed = local ? external || podIsReady(observed, named.name) : elsewhere();
  return {
    ...{ name: named.name, site: named.site, entry: named.entry, siteEntry: named.siteEntry },
    ...{ node: kmsNode, local, external, siteReachable },
    counts: !(observed.cluster.spec.recovery?.lostSites ?? []).includes(named.site),
    listed,
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
  const out = outStanding(node, listed);
  if (out !== undefined) return out;
  if (action === "Member") return "Member";
  // Once listed as a member it stays one: a view of another site may lag behind what it said before.
  if (listed?.standing === "Member" && action !== "Found") return "Member";
  if (action === "Join") return "Joining";
  if (action === "Found") return "Founding";
  // It may have become a member by now; nobody is forgotten because his site cannot be seen.
  if (!node) return listed?.standing === "Joining" && !siteReachable ? "Joining" : "Absent";
  // Its KmsNode was lost and made anew, but its volume remembers the fleet.
  const own = node.status?.clusterId;
  // What has departed never belongs again by what its old volume remembers: only a join makes it a member.
  if (listed?.standing === "Departed") return "Waiting";
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
