import { type NodeFacts, viewOf } from "../desired/facts.ts";
import type { Blocked, View } from "./types.ts";

/** What the whole fleet must allow before a node founds, joins or is restarted. */
type FleetGate = (view: View, candidate: NodeFacts) => readonly Blocked[];

const mostNodes = 20;

/** Names and checks, in the order in which they are reported. */
const gates: readonly FleetGate[] = [allSitesObserved, specAgrees, oneFleet, sizeLimit, noOtherOperation];

/** All closed gates of the fleet for a step with that node. Pure. */
export function closedFleetGates(view: View, candidate: NodeFacts): Blocked[] {
  return gates.flatMap((gate) => gate(view, candidate));
}

function allSitesObserved(view: View): Blocked[] {
  return view.observed.cluster.spec.sites.flatMap(({ name }) => {
    const site = viewOf(view.observed, name);
    if (site?.reachable) return [];
    const remedy =
      site?.ageMs === undefined
        ? `correct the name in spec.sites, or make the kubeconfig Secret labelled keyfleet.io/site: ${name}`
        : `bring ${name} back, or renew the kubeconfig in the Secret labelled keyfleet.io/site: ${name}`;
    return [{ gate: "allSitesObserved", subject: name, message: unreachable(name, site?.problem), remedy }];
  });
}

function unreachable(site: string, problem: string | undefined): string {
  return problem ? `site ${site} is not reachable: ${problem}` : `site ${site} is not reachable`;
}

function specAgrees(view: View): Blocked[] {
  if (view.observed.spec.agrees) return [];
  return view.observed.spec.differences.map(({ site, fields, message }) => ({
    gate: "specAgrees",
    subject: site,
    message,
    remedy: fields.length === 0 ? `apply the KmsCluster in ${site}` : `make ${fields.join(", ")} the same in ${site}`,
  }));
}

function oneFleet(view: View): Blocked[] {
  const { clusterIds } = view.desired.fleet;
  if (clusterIds.length < 2) return [];
  return [
    {
      gate: "oneFleet",
      subject: view.observed.cluster.metadata.name,
      message: `nodes of ${clusterIds.length} different fleets have met: ${clusterIds.join(", ")}`,
      remedy: "find out which one holds the keys that are needed, and remove the nodes of the other from spec.sites",
    },
  ];
}

function sizeLimit(view: View, candidate: NodeFacts): Blocked[] {
  const members = view.desired.fleet.nodes.filter(({ standing }) => standing === "Member");
  if (members.length < mostNodes || candidate.standing === "Member") return [];
  return [
    {
      gate: "sizeLimit",
      subject: candidate.name,
      message: `the fleet has ${members.length} members already`,
      remedy: `a fleet has at most ${mostNodes} nodes; leave ${candidate.name} out or make a second fleet`,
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
