import type { Condition } from "@keyfleet/crds/kms-node.ts";
import {
  type ClusterConditionType,
  type ClusterReason,
  clusterConditions,
  type NodeConditionType,
} from "@keyfleet/crds/reasons.ts";
import { conditionOf, type NodeFacts, viewOf } from "../plan/facts.ts";
import type { Plan, View } from "../plan/types.ts";

/** What a condition says now, before it is compared with what it said before. */
interface Finding {
  readonly status: Condition["status"];
  readonly reason: ClusterReason;
  readonly message: string;
}

const longestRoundTripMs = 100;
const recommended = { least: 4, most: 6 } as const;

const judges: Readonly<Record<ClusterConditionType, (view: View, plan: Plan) => Finding>> = {
  Ready: ready,
  SitesReachable: sitesReachable,
  SitesInStep: sitesInStep,
  SpecSynced: specSynced,
  TimeSynchronised: timeSynchronised,
  VersionsUniform: versionsUniform,
  SizeRecommended: sizeRecommended,
  LatencyWithinBounds: latencyWithinBounds,
  Upgrading: upgrading,
  Quiesced: quiesced,
};

/** All conditions of a fleet, in their fixed order; the time of each moves only when its status does. */
export function fleetConditions(view: View, plan: Plan): Condition[] {
  const { metadata, status } = view.observed.cluster;
  const nowText = new Date(view.observed.nowMs).toISOString().replace(/\.\d+Z$/, "Z");
  return (Object.keys(clusterConditions) as ClusterConditionType[]).map((type) => {
    const finding = judges[type](view, plan);
    const before = status?.conditions?.find((condition) => condition.type === type);
    const unchanged = before !== undefined && before.status === finding.status;
    return {
      type,
      ...finding,
      message: finding.message.slice(0, 1024),
      lastTransitionTime: unchanged ? before.lastTransitionTime : nowText,
      ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    };
  });
}

const holds = (message: string): Finding => ({ status: "True", reason: "AsWanted", message });
const fails = (reason: ClusterReason, message: string): Finding => ({ status: "False", reason, message });
const unknown = (message: string): Finding => ({ status: "Unknown", reason: "NotObserved", message });

function ready(view: View, plan: Plan): Finding {
  const missing = wanted(view).filter(({ serving }) => !serving);
  if (missing.length === 0) return holds("All nodes serve.");
  const message = `Not serving: ${names(missing)}.`;
  if (missing.some(({ siteReachable }) => !siteReachable)) return fails("SiteUnreachable", message);
  if (plan.blocked.length > 0) return fails("Blocked", `${message} status.blockedBy says why and what to do.`);
  return fails(plan.doing === undefined ? "NodesNotServing" : "NotYet", message);
}

function sitesReachable({ observed }: View): Finding {
  const away = observed.cluster.spec.sites.filter(({ name }) => !viewOf(observed, name)?.reachable);
  if (away.length === 0) return holds("Every site answers.");
  return fails("SiteUnreachable", `No answer from ${names(away)}. The nodes there may well go on serving.`);
}

/** A site whose API cannot be seen may still be in step: the nodes' own links tell. */
function sitesInStep(view: View): Finding {
  const members = view.desired.fleet.nodes.filter(({ standing }) => standing === "Member");
  const sites = [...new Set(members.map(({ site }) => site))];
  if (sites.length === 0) return unknown("The fleet has no members yet.");
  const told = new Set(members.filter(isHeard).flatMap(({ node }) => node?.status?.sitesOutOfStep ?? []));
  const behind = sites.filter(
    (site) => told.has(site) || !members.some((node) => node.site === site && isInStep(node, members)),
  );
  if (behind.length === 0) return holds("New keys are held by every site.");
  const holding = sites.filter((site) => !behind.includes(site));
  const who = holding.length === 0 ? "no site that can be seen" : holding.join(" and ");
  return fails("NotCaughtUp", `New keys are held by ${who} only; behind or away: ${behind.join(", ")}.`);
}

/** What it says is of now. */
function isHeard({ serving, siteReachable }: NodeFacts): boolean {
  return serving && siteReachable;
}

function isInStep(node: NodeFacts, members: readonly NodeFacts[]): boolean {
  if (node.siteReachable) return node.serving && conditionOf(node.node, "Replicating")?.status === "True";
  return members.some(
    (other) =>
      other.serving && other.node?.status?.peers?.some(({ name, connected }) => name === node.name && connected),
  );
}

function specSynced({ observed }: View): Finding {
  if (observed.spec.agrees) return holds("Every site holds the same specification.");
  return fails("SpecDiffers", observed.spec.differences.map(({ message }) => message).join(" "));
}

function timeSynchronised(view: View): Finding {
  const finding = allNodes(view, "TimeSynchronised", { good: "Every clock is within its bound.", bad: "ClockOffset" });
  const lists = wanted(view).flatMap(({ node }) => {
    const servers = node?.spec.settings.ntp?.servers;
    return servers === undefined ? [] : [[...servers].sort().join(" ")];
  });
  if (finding.status === "False" || new Set(lists).size < 2) return finding;
  return fails(
    "NtpServersDiffer",
    "Nodes measure by different time servers: set the same ntp.servers for all of them.",
  );
}

function versionsUniform(view: View): Finding {
  const { version } = view.observed.cluster.spec;
  const known = wanted(view).filter(({ node }) => node?.status?.version !== undefined);
  const other = known.filter(({ node }) => node?.status?.version !== version);
  if (other.length > 0) {
    const list = other.map(({ name, node }) => `${name} (${node?.status?.version})`).join(", ");
    return fails("VersionsDiffer", `Not at ${version}: ${list}.`);
  }
  return known.length === 0 ? unknown("No node has reported its version yet.") : holds(`Every node runs ${version}.`);
}

/** True from the first node that lacks the wanted version until its features are in use. */
function upgrading(view: View): Finding {
  const { desired } = view;
  const { target, versions, level } = desired.fleet;
  const left = versions.filter((version) => version !== target);
  if (left.length > 0)
    return {
      status: "True",
      reason: "Upgrading",
      message: `Some nodes run ${left.join(", ")}, all shall run ${target}.`,
    };
  if (level !== undefined && level !== target)
    return {
      status: "True",
      reason: "Upgrading",
      message: `All nodes run ${target}, features of ${level} are in use.`,
    };
  const why = rollbackOf(view);
  const message = why === undefined ? "No node is being upgraded." : `No node is being upgraded: ${why}.`;
  return { status: "False", reason: "NotUpgrading", message };
}

/** Why the version of the specification is not the one that nodes are brought to, and what ends that. */
export function rollbackOf({ observed, desired }: View): string | undefined {
  const { version, upgrade } = observed.cluster.spec;
  const { target } = desired.fleet;
  if (target === version) return undefined;
  const request = upgrade?.requests?.rollback;
  return `request "${request}" has rolled ${version} back to ${target}: to go on, take upgrade.requests.rollback out or set another spec.version`;
}

function sizeRecommended(view: View): Finding {
  const size = wanted(view).length;
  const advice = `${recommended.least} to ${recommended.most} nodes are recommended, the specification names ${size}.`;
  if (size < recommended.least) return fails("TooFewNodes", advice);
  return size > recommended.most ? fails("TooManyNodes", advice) : holds(advice);
}

function latencyWithinBounds(view: View): Finding {
  const links = wanted(view).flatMap(({ name, node }) =>
    (node?.status?.peers ?? []).map((peer) => ({ link: `${name} to ${peer.name}`, ms: peer.roundTripMs })),
  );
  const measured = links.filter(({ ms }) => ms !== undefined);
  // No numbers in the text: it would be rewritten with every measurement.
  const slow = measured.filter(({ ms = 0 }) => ms > longestRoundTripMs).map(({ link }) => link);
  if (slow.length > 0) return fails("RoundTripTooLong", `Above ${longestRoundTripMs} ms: ${slow.join(", ")}.`);
  return measured.length === 0 ? unknown("No round trip was measured yet.") : holds(`Below ${longestRoundTripMs} ms.`);
}

function quiesced(view: View, plan: Plan): Finding {
  if (plan.kind === "blocked" && plan.doing === undefined)
    return fails("Blocked", "status.blockedBy says what somebody has to do.");
  if (plan.kind !== "settled") return fails(plan.kind === "blocked" ? "Blocked" : "NotYet", sentence(plan.doing));
  const missing = wanted(view).filter(({ serving }) => !serving);
  if (missing.length > 0) return fails("NodesNotServing", `Not serving: ${names(missing)}.`);
  return holds("Nothing is left to do.");
}

function allNodes(view: View, type: NodeConditionType, { good, bad }: { good: string; bad: ClusterReason }): Finding {
  const seen = wanted(view).map(({ name, node }) => ({ name, condition: conditionOf(node, type) }));
  const wrong = seen.filter(({ condition }) => condition?.status === "False");
  if (wrong.length > 0)
    return fails(bad, wrong.map(({ name, condition }) => `${name}: ${condition?.message}`).join("; "));
  const missing = seen.filter(({ condition }) => condition?.status !== "True");
  return missing.length === 0 ? holds(good) : unknown(`Not reported by ${names(missing)}.`);
}

function wanted(view: View): NodeFacts[] {
  return view.desired.fleet.nodes.filter(({ entry }) => entry !== undefined);
}

function names(list: readonly { readonly name: string }[]): string {
  return list.map(({ name }) => name).join(", ");
}

function sentence(text: string | undefined): string {
  return text === undefined ? "Changes are going on." : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
