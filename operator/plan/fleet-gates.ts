import { type NodeFacts, viewOf } from "../desired/facts.ts";
import type { SpecDifference } from "../ports/types.ts";
import type { Blocked, View } from "./types.ts";

/** What the whole fleet must allow before a node founds, joins or is restarted. */
type FleetGate = (view: View, candidate: NodeFacts) => readonly Blocked[];

/** Names and checks, in the order in which they are reported. */
const gates: readonly FleetGate[] = [siteCounts, allSitesObserved, specAgrees, oneFleet, noOtherOperation];

/** All closed gates of the fleet for a step with that node. Pure. */
export function closedFleetGates(view: View, candidate: NodeFacts): Blocked[] {
  return gates.flatMap((gate) => gate(view, candidate));
}

function allSitesObserved(view: View): Blocked[] {
  return view.desired.fleet.counting.flatMap((name) => unseenSite(view, name));
}

/** All sites of the specification that cannot be seen, lost ones too. */
export function unseenSites(view: View): Blocked[] {
  return view.observed.cluster.spec.sites.flatMap(({ name }) => unseenSite(view, name));
}

/** Whether that site can be seen, with what to do when it cannot. */
export function unseenSite(view: View, name: string): Blocked[] {
  const site = viewOf(view.observed, name);
  if (site?.reachable) return [];
  const remedy =
    site?.ageMs === undefined
      ? `correct the name in spec.sites, or make the kubeconfig Secret labelled keyfleet.io/site: ${name}`
      : `bring ${name} back, or renew the kubeconfig in the Secret labelled keyfleet.io/site: ${name}; if it is lost, name it in spec.recovery.lostSites`;
  return [{ gate: "allSitesObserved", subject: name, message: unreachable(name, site?.problem), remedy }];
}

/**
 * Nobody looks at a site that the document does not name, so its members are not taken for dead: they may serve, and what
 * they acknowledged may not be anywhere else.
 */
export function siteIsNamed({ observed }: View, { name, site }: NodeFacts): Blocked[] {
  if (observed.cluster.spec.sites.some((entry) => entry.name === site)) return [];
  const message = `${name} has not departed, and its site ${site} is not in the specification any more`;
  const remedy = `put ${site} back into spec.sites without nodes until they have departed; if it is lost, name it in spec.recovery.lostSites too`;
  return [{ gate: "allSitesObserved", subject: site, message, remedy }];
}

/** The operator of a site that was named lost takes part again when the name is taken out. */
function siteCounts(view: View): Blocked[] {
  const { site, cluster } = view.observed;
  if (!(cluster.spec.recovery?.lostSites ?? []).includes(site)) return [];
  const message = `site ${site} is named lost, so its operator changes nothing in the fleet`;
  return [{ gate: "siteCounts", subject: site, message, remedy: takeBack(site) }];
}

/** What to do about a site that is named lost and is there. */
export function takeBack(site: string): string {
  return `take ${site} out of spec.recovery.lostSites`;
}

function unreachable(site: string, problem: string | undefined): string {
  return problem ? `site ${site} is not reachable: ${problem}` : `site ${site} is not reachable`;
}

function specAgrees(view: View): Blocked[] {
  if (view.observed.spec.agrees) return [];
  return view.observed.spec.differences.map((difference) => ({
    gate: "specAgrees",
    subject: difference.site,
    message: difference.message,
    remedy: makeSame(difference),
  }));
}

function makeSame({ site, fields, message }: SpecDifference): string {
  if (fields.length > 0) return `make ${fields.join(", ")} the same in ${site}`;
  if (message.includes("another fleet"))
    return `put the kubeconfig of ${site} into the Secret labelled keyfleet.io/site: ${site}`;
  return `apply the KmsCluster in ${site}`;
}

function oneFleet(view: View): Blocked[] {
  const { clusterIds } = view.desired.fleet;
  if (clusterIds.length < 2) return [];
  return [
    {
      gate: "oneFleet",
      subject: view.observed.cluster.metadata.name,
      message: `nodes of ${clusterIds.length} different fleets have met: ${clusterIds.join(", ")}`,
      remedy:
        "see that the kubeconfig of each site leads to this fleet and not to another of that name; if all do, find out which fleet holds the keys that are needed, and remove the nodes of the other from spec.sites",
    },
  ];
}

function noOtherOperation(view: View): Blocked[] {
  const { lock } = view.observed;
  if (lock.heldByMe || lock.holder === undefined) return [];
  const work = `${lock.operation ?? "work"} of ${lock.node ?? "a node"}`;
  const message = `site ${lock.holder} holds the fleet lock for ${work}`;
  return [{ gate: "noOtherOperation", subject: lock.node ?? lock.holder, message, remedy: "wait", passing: true }];
}
