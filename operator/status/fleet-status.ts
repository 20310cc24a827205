import type { BlockedBy, KmsClusterStatus, SiteStatus } from "@keyfleet/crds/kms-cluster.ts";
import { conditionOf, handledRequests, viewOf } from "../plan/facts.ts";
import type { Blocked, Plan, View } from "../plan/types.ts";
import { blockedBy, longestMessage, mostBlocked } from "./blocked-by.ts";
import { fleetConditions, rollbackOf } from "./conditions.ts";
import { nodeStatuses } from "./node-status.ts";
import { toldElsewhere } from "./told-elsewhere.ts";

/**
 * What `kubectl get kms` and `kubectl describe` show. Pure; the same facts give the same status, word for word, so that an
 * idle fleet writes nothing.
 */
export function fleetStatus(view: View, plan: Plan): KmsClusterStatus {
  const { cluster } = view.observed;
  const { clusterIds } = view.desired.fleet;
  const told = toldElsewhere(view);
  const nodeStatus = nodeStatuses(view);
  const wantedNames = new Set(cluster.spec.sites.flatMap(({ nodes }) => nodes.map(({ name }) => name)));
  const wanted = nodeStatus.filter(({ name }) => wantedNames.has(name));
  const serving = wanted.filter((node) => node.serving).length;
  const reached = cluster.spec.sites.filter(({ name }) => viewOf(view.observed, name)?.reachable).length;
  const versions = [...new Set(nodeStatus.flatMap(({ version }) => (version === undefined ? [] : [version])))].sort();
  const nodes = `${serving}/${wanted.length}`;
  return {
    ...(cluster.metadata.generation === undefined ? {} : { observedGeneration: cluster.metadata.generation }),
    ...(clusterIds.length === 1 && clusterIds[0] !== undefined ? { clusterId: clusterIds[0] } : keptId(view)),
    nodes,
    sites: `${reached}/${cluster.spec.sites.length}`,
    ...(versions.length === 0 ? {} : { version: versions.join(",").slice(0, 64) }),
    message: statusMessage(view, plan, { nodes, told }).slice(0, longestMessage),
    ...handled(view),
    siteStatus: siteStatuses(view),
    nodeStatus,
    blockedBy: allBlocked(view, plan, told),
    conditions: fleetConditions(view, plan),
  };
}

function handled(view: View): Pick<KmsClusterStatus, "upgrade"> {
  const upgrade = handledRequests(view.observed);
  return upgrade === undefined ? {} : { upgrade };
}

function keptId(view: View): { clusterId?: string } {
  const clusterId = view.observed.cluster.status?.clusterId;
  return clusterId === undefined ? {} : { clusterId };
}

function statusMessage(
  view: View,
  plan: Plan,
  { nodes, told }: { readonly nodes: string; readonly told: readonly BlockedBy[] },
): string {
  const { observed, desired } = view;
  const cause = refusedHere(plan) ?? causeElsewhere(plan, told);
  const first = cause ?? plan.blocked[0] ?? told[0];
  const busy = plan.doing !== undefined && !plan.doing.startsWith("waiting") && cause === undefined;
  const away = observed.cluster.spec.sites
    .filter(({ name }) => !viewOf(observed, name)?.reachable)
    .map(({ name }) => `site ${name} is not reachable`)
    .join(", ");
  if (busy) return `${plan.doing} (${nodes})${away === "" ? "" : `; ${away}`}`;
  const isOnlyTold = plan.doing === undefined && first?.gate === "memberServes";
  if (first !== undefined) return `${isOnlyTold ? "" : "waiting: "}${saidOf(first)}`;
  if (away !== "") return away;
  if (plan.doing !== undefined) return `${plan.doing} (${nodes})`;
  const down = desired.fleet.nodes.filter(({ entry, serving }) => entry !== undefined && !serving);
  const message = nodeStatuses(view).find(({ name }) => name === down[0]?.name)?.message;
  if (down[0] !== undefined) return `${down[0].name}: ${message ?? "does not serve"}`;
  const troubles = [...clocksOff(view), ...cutLinks(view), ...specDifferences(view), ...rolledBack(view)];
  return `all nodes serve${troubles.length === 0 ? "" : `, but ${troubles.join("; ")}`}`;
}

/** What this site's API server does not let go on of what is under way. */
function refusedHere({ doing = "", blocked }: Plan): Blocked | undefined {
  const concerned = new Set(doing.split(" "));
  return blocked.find(({ gate, subject }) => gate === "apiAccepts" && concerned.has(subject));
}

/** Why what is under way, or what this site waits for, does not go on, in the words of the site that sees it. */
function causeElsewhere({ doing = "", blocked }: Plan, told: readonly BlockedBy[]): BlockedBy | undefined {
  const concerned = new Set([...doing.split(" "), ...blocked.slice(0, 1).map(({ subject }) => subject)]);
  return told.find(({ subject }) => concerned.has(subject));
}

/** A clock that is off stops no node that serves, so nothing waits for it; still somebody has to mend it. */
function clocksOff({ desired }: View): string[] {
  return desired.fleet.nodes.flatMap(({ name, entry, node }) => {
    const time = conditionOf(node, "TimeSynchronised");
    return entry !== undefined && time?.status === "False" ? [`${name}: ${time.message}`] : [];
  });
}

/** The site whose copy is the older one has nothing to do, and still its people have to make it the same. */
function specDifferences({ observed }: View): string[] {
  return observed.spec.differences.map(({ message }) => message);
}

/** The document names a version that nobody goes to: who asked for that may be long gone. */
function rolledBack(view: View): string[] {
  const why = rollbackOf(view);
  return why === undefined ? [] : [why];
}

/** Two members that have no link get what the other writes by a third: the fleet works, until that one goes. */
function cutLinks({ desired }: View): string[] {
  const members = desired.fleet.nodes.filter(({ standing, serving }) => standing === "Member" && serving);
  return members.flatMap(({ name, node }) => {
    const cut = new Set(node?.status?.peers?.filter(({ connected }) => !connected).map((peer) => peer.name));
    const places = members
      .filter((other) => cut.has(other.name))
      .map((other) => `${other.name} at ${other.node?.spec.address}:${other.node?.spec.meshPort ?? 5432}`);
    return places.length === 0 ? [] : [`${name} does not reach ${places.join(", ")}`];
  });
}

/** "dc3-a clock is off by 1.2 s", "dc1-a: Secret dc1-hsm-pin with the PIN is missing". */
function saidOf({ subject, message }: Pick<Blocked, "subject" | "message">): string {
  if (message.startsWith(subject) || message.startsWith(`site ${subject}`)) return message;
  return /^(clock|runs|does|must)\b/.test(message) ? `${subject} ${message}` : `${subject}: ${message}`;
}

function siteStatuses(view: View): SiteStatus[] {
  return view.observed.cluster.spec.sites.map(({ name }) => {
    const site = viewOf(view.observed, name);
    const caCertificate = view.desired.cas.get(name);
    return {
      name,
      reachable: site?.reachable ?? false,
      ...(site?.reachable || site?.problem === undefined ? {} : { message: site.problem.slice(0, longestMessage) }),
      ...(caCertificate === undefined ? {} : { caCertificate }),
    };
  });
}

/** This site's own view first; of what is told elsewhere only what it does not know by itself. */
function allBlocked(view: View, plan: Plan, told: readonly BlockedBy[]): BlockedBy[] {
  const { cluster, nowMs } = view.observed;
  const own = plan.blocked.map((blocked) => blockedBy(cluster, blocked, nowMs));
  const known = new Set(own.map(({ gate, subject }) => `${gate}/${subject}`));
  const more = told.filter(({ gate, subject }) => !known.has(`${gate}/${subject}`));
  return [...own, ...more].slice(0, mostBlocked);
}
