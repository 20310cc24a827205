import { rebuildAnnotation } from "../desired/consent.ts";
import { documentRemedy, hasNewestDocument, requestAnnotation } from "../desired/external.ts";
import { conditionOf, type NodeFacts, viewOf } from "../desired/facts.ts";
import { missingSettings, resolvedSettings } from "../desired/settings.ts";
import { podProblem } from "./pod-problems.ts";
import { podIsNewest } from "./pod-revision.ts";
import { isTooOld, versionStep } from "./roll-gates.ts";
import { missingPin } from "./secrets.ts";
import { sizeLimit } from "./size-limit.ts";
import type { Blocked, View } from "./types.ts";

/** A node that has not reported after this time since it was made is passed over, so that the next may join. */
const startPatienceMs = 120_000;

type NodeGate = (view: View, node: NodeFacts) => Blocked | undefined;

/** What must hold of a node before it founds or joins, in the order in which a node comes up. */
const gates: readonly NodeGate[] = [
  sizeLimit,
  siteHasOperator,
  reportedByItsSite,
  nodeConfigured,
  missingPin,
  podRuns,
  podIsMadeAnew,
  nodeStarted,
  hsmReady,
  clockWithinBound,
  sameVersion,
  belongsToNoOtherFleet,
  addressKnown,
  certificateIssued,
  meshReachable,
];

/** The first closed gate of a node; undefined when it may found or join. Pure. */
export function closedNodeGate(view: View, node: NodeFacts): Blocked | undefined {
  for (const gate of gates) {
    const blocked = gate(view, node);
    if (blocked !== undefined) return blocked;
  }
  return undefined;
}

/** Names of the gates above, by which the operator of another site reports on its nodes. */
const ownGates: ReadonlySet<string> = new Set([
  ...["nodeConfigured", "referencesPresent", "imagePresent", "storageBound", "nodeStarted", "hsmReady"],
  ...["clockWithinBound", "sameVersion", "belongsToNoOtherFleet", "addressKnown", "certificateIssued"],
]);

function siteHasOperator(view: View, { node, site, name, local, siteReachable }: NodeFacts): Blocked | undefined {
  if (node !== undefined || !siteReachable) return undefined;
  return {
    gate: "siteHasOperator",
    subject: name,
    message: `the operator of ${site} has not made the node yet`,
    remedy: `see whether the operator runs in ${site} and is installed with site name ${site}`,
    ...(local ? { passing: true } : passingFor(view, view.observed.cluster.metadata.creationTimestamp)),
  };
}

/** The pods of another site cannot be seen from here; its operator says in its own status what is wrong with them. */
function reportedByItsSite(view: View, node: NodeFacts): Blocked | undefined {
  if (node.local || node.node === undefined) return undefined;
  const said = viewOf(view.observed, node.site)?.cluster?.status?.blockedBy ?? [];
  const own = said.find(({ gate, subject }) => subject === node.name && ownGates.has(gate));
  if (own === undefined) return undefined;
  const { gate, subject, message, remedy } = own;
  return { gate: gate as Blocked["gate"], subject, message, remedy };
}

function nodeConfigured(view: View, node: NodeFacts): Blocked | undefined {
  const missing = missingSettings(resolvedSettings(view.observed.cluster, node), node.external);
  if (missing.length === 0) return undefined;
  return {
    gate: "nodeConfigured",
    subject: node.name,
    message: `the node has no ${missing.join(", ")}`,
    remedy: `set ${missing.join(", ")} in spec.defaults, the defaults of site ${node.site}, or the settings of ${node.name}`,
  };
}

function podRuns(view: View, node: NodeFacts): Blocked | undefined {
  return node.local ? podProblem(view.observed, node.name) : undefined;
}

/** It has not tried its newest settings yet; with its next pod it may not come up any more. */
function podIsMadeAnew(view: View, node: NodeFacts): Blocked | undefined {
  if (!node.local || podIsNewest(view, node)) return undefined;
  const message = "its pod is being made anew from its newest settings";
  return { gate: "nodeStarted", subject: node.name, message, remedy: "wait", passing: true };
}

function nodeStarted(view: View, facts: NodeFacts): Blocked | undefined {
  if (facts.external) return externalReports(facts, view.observed.cluster.metadata.namespace);
  const { node, name, site } = facts;
  const { certificateRequest, joinPublicKey, conditions } = node?.status ?? {};
  const serving = conditionOf(node, "Serving");
  // Without its database a node could not keep what it founds or joins, and everybody would wait for it.
  const hasDatabase = serving?.reason !== "DatabaseUnavailable";
  const reported = conditions !== undefined && certificateRequest !== undefined && joinPublicKey !== undefined;
  if (reported && hasDatabase) return undefined;
  if (conditionOf(node, "RootOfTrust")?.status === "False") return undefined;
  return {
    gate: "nodeStarted",
    subject: name,
    message: serving?.status === "False" ? serving.message : "the node has not reported yet",
    remedy: `see in ${site}: kubectl describe pod ${name}-0, and kubectl logs ${name}-0 -c keyserver`,
    ...passingFor(view, node?.metadata.creationTimestamp),
  };
}

/** An External node: its administrator brings the request of its machine, then the document with the certificate to it. */
function externalReports({ node, name }: NodeFacts, namespace = "default"): Blocked | undefined {
  const closed = { gate: "nodeStarted", subject: name } as const;
  if (node?.status?.certificateRequest === undefined) {
    const brought = node?.metadata.annotations?.[requestAnnotation] !== undefined;
    const message = brought
      ? `its annotation ${requestAnnotation} holds no certificate request (PEM)`
      : "is external and waits for the certificate request of its machine";
    const show = `"$(node keyfleet-node.ts request node.yaml)"`;
    const remedy = `start the node there with its document (kubectl get kmsnode ${name} -o jsonpath={.status.document}), then: kubectl -n ${namespace} annotate --overwrite kmsnode ${name} ${requestAnnotation}=${show}`;
    return { ...closed, message, remedy };
  }
  const again = "if this stays, make the request anew on its machine and bring that one";
  if (node.spec.certificateChain === undefined)
    return { ...closed, message: "its certificate is not signed yet", remedy: again };
  const serving = conditionOf(node, "Serving");
  if (node.status.conditions === undefined || serving?.status === "Unknown")
    return { ...closed, message: serving?.message ?? "its status was not read yet", remedy: documentRemedy(name) };
  if (hasNewestDocument(node)) return undefined;
  return { ...closed, message: "its machine has not taken its newest document", remedy: documentRemedy(name) };
}

/** Whether the HSM of a node is there and holds its key. */
export function hsmReady(view: View, { node, name }: NodeFacts): Blocked | undefined {
  const trust = conditionOf(node, "RootOfTrust");
  if (trust?.status === "True") return undefined;
  return {
    gate: "hsmReady",
    subject: name,
    message: trust?.message || "the HSM has not answered yet",
    remedy: `correct the hsm settings of ${name}, the PIN Secret or the token; the node tries again by itself`,
    ...(trust?.status === "False" ? {} : passingFor(view, node?.metadata.creationTimestamp)),
  };
}

function clockWithinBound(view: View, { node, name }: NodeFacts): Blocked | undefined {
  const time = conditionOf(node, "TimeSynchronised");
  if (time?.status === "True") return undefined;
  const measuring = time?.status !== "False" || time.reason === "Starting";
  return {
    gate: "clockWithinBound",
    subject: name,
    message: clockMessage(node?.status?.time?.worstOffsetMs, time),
    remedy: `set the clock of the machine, or correct ntp.servers in the settings of ${name}`,
    ...(measuring ? passingFor(view, node?.metadata.creationTimestamp) : {}),
  };
}

function clockMessage(offsetMs: number | undefined, time: { reason: string; message: string } | undefined): string {
  if (time?.reason === "OffsetTooLarge" && offsetMs !== undefined) return `clock is off by up to ${seconds(offsetMs)}`;
  return time?.message || "the clock has not been measured yet";
}

/** The node rounds it up to a step, because a status that follows every measurement is written for ever. */
function seconds(offsetMs: number): string {
  return `${(Math.abs(offsetMs) / 1000).toFixed(1)} s`;
}

function sameVersion(view: View, { node, name }: NodeFacts): Blocked | undefined {
  const { target, versions } = view.desired.fleet;
  const closed = { gate: "sameVersion", subject: name } as const;
  const has = node?.status?.version ?? node?.spec.version;
  if (has !== target || node?.spec.version !== target)
    return {
      ...closed,
      message: `runs version ${has ?? "(unknown)"}, it shall run ${target}`,
      remedy: `see that the image of ${target} is there; a node joins at the version that all members run`,
      // The pod is being replaced by one of the right version.
      ...(node?.spec.version === target ? passingFor(view, node?.metadata.creationTimestamp) : {}),
    };
  const others = versions.filter((version) => version !== target);
  if (others.length === 0 || isRebuilding(view, node)) return undefined;
  const message = `must wait until all members run ${target}; some run ${others.join(", ")}`;
  const back = others.filter((version) => !isTooOld(view.desired.fleet, version));
  const way = back.length === 0 ? "" : `, or set spec.version to ${back.join(" or ")}`;
  return { ...closed, message, remedy: `it joins after the upgrade${way}` };
}

/**
 * An upgrade by rebuilding joins nodes of the new version to those of the old one on purpose. One that was taken out so
 * comes back so, whatever the strategy is by now: nobody else is taken down before.
 */
function isRebuilding(view: View, node: NodeFacts["node"]): boolean {
  return node?.metadata.annotations?.[rebuildAnnotation] !== undefined && versionStep(view).length === 0;
}

function belongsToNoOtherFleet(view: View, { node, name }: NodeFacts): Blocked | undefined {
  const own = node?.status?.clusterId;
  if (own === undefined || view.desired.fleet.clusterIds.includes(own)) return undefined;
  return {
    gate: "belongsToNoOtherFleet",
    subject: name,
    message: `its volume holds keys of another fleet (${own})`,
    remedy: `give the node another name; or, only if nobody needs those keys, delete the volume data-${name}-0`,
  };
}

function addressKnown(view: View, { node, name, site }: NodeFacts): Blocked | undefined {
  if (node?.spec.address !== undefined && node.spec.clientAddress !== undefined) return undefined;
  return {
    gate: "addressKnown",
    subject: name,
    message: "its Services have no load balancer address",
    remedy: `give site ${site} a load balancer, or annotate its Services by exposure.annotations`,
    ...passingFor(view, node?.metadata.creationTimestamp),
  };
}

function certificateIssued(view: View, { node, name, site }: NodeFacts): Blocked | undefined {
  if (node?.spec.certificateChain !== undefined) return undefined;
  return {
    gate: "certificateIssued",
    subject: name,
    message: "it has no certificate yet",
    remedy: `see certificateIssued of site ${site} in status.blockedBy; if it is not there, the log of the operator in ${site}, which signs it`,
    ...passingFor(view, node?.metadata.creationTimestamp),
  };
}

/** A node that waits looks for the ports of the members; one of a version that does not do so has not measured anything. */
function meshReachable(view: View, { node, name }: NodeFacts): Blocked | undefined {
  const unreached = new Set((node?.status?.peers ?? []).filter(({ connected }) => !connected).map((peer) => peer.name));
  const cut = view.desired.fleet.nodes.filter(
    (member) => member.standing === "Member" && member.serving && unreached.has(member.name),
  );
  if (cut.length === 0) return undefined;
  return {
    gate: "meshReachable",
    subject: name,
    message: `does not reach ${cut.map((member) => member.name).join(", ")}`,
    remedy: `allow TCP both ways between ${name} and ${cut.map(meshPlace).join(", ")}; it looks again by itself`,
  };
}

/** Where peers reach a node, for people. */
function meshPlace({ name, node, listed }: NodeFacts): string {
  const { address = listed?.address ?? "its address", meshPort = 5432 } = node?.spec ?? {};
  return `${name} (${address}, port ${meshPort})`;
}

function passingFor(view: View, since: string | undefined): { passing?: true } {
  const ageMs = view.observed.nowMs - Date.parse(since ?? "");
  return Number.isNaN(ageMs) || ageMs < startPatienceMs ? { passing: true } : {};
}
