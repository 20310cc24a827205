import type { KmsNode, KmsNodeSpec } from "@keyfleet/crds/kms-node.ts";
import type { Observed } from "../ports/types.ts";
import {
  begunAnnotation,
  hasConsent,
  leavingAnnotation,
  rebuildAnnotation,
  rolledAnnotation,
  rollingAnnotation,
  settingsBeforeAnnotation,
} from "./consent.ts";
import { reachedAt } from "./exposure.ts";
import { isTurnOfExternal } from "./external.ts";
import type { FleetFacts, NodeFacts } from "./facts.ts";
import { nodeLabels } from "./labels.ts";
import { memberList } from "./members.ts";
import { isGiven, isPaused, settingsBeforeMark, settingsNow } from "./staging.ts";
import { isOut, rejoinMark } from "./standing.ts";
import { clientBundle, type IsCaOfSite, siteCas, trustBundle } from "./trust.ts";

/** Annotations of a KmsNode that steps of the plan leave there. */
const leaving: ReadonlySet<string> = new Set([leavingAnnotation, rebuildAnnotation]);
const staging: ReadonlySet<string> = new Set([rollingAnnotation, rolledAnnotation, settingsBeforeAnnotation]);

/** What all nodes of a site have in common; worked out once a pass. */
export interface SharedParts {
  readonly fleet: FleetFacts;
  readonly members: KmsNodeSpec["members"];
  readonly clients: ReturnType<typeof clientBundle>;
  /** CA certificate of each site that is known and good, by site. */
  readonly cas: ReadonlyMap<string, string>;
  readonly trustBundle: string;
}

/** Works out what all nodes of this site have in common. */
export function sharedParts(observed: Observed, fleet: FleetFacts, isCaOfSite: IsCaOfSite): SharedParts {
  const cas = siteCas(observed, isCaOfSite);
  return {
    fleet,
    members: memberList(observed, fleet),
    clients: clientBundle(observed),
    cas,
    trustBundle: trustBundle(cas),
  };
}

/**
 * The KmsNode of a node of this site as it shall be. Membership and certificate stay as they are: steps of the plan change
 * them. No owner reference to the KmsCluster: deleting the document must not take keys along.
 */
export function desiredKmsNode(observed: Observed, node: NodeFacts, shared: SharedParts): KmsNode {
  const { fleet } = shared;
  const { name, namespace } = observed.cluster.metadata;
  const before = node.node?.spec;
  const clusterId = before?.clusterId ?? fleetIdFor(fleet, node);
  const turn = isTurnOfExternal(observed, fleet, node);
  const version = turn ? fleet.target : versionOf(fleet, node);
  const paused = isPaused(observed.cluster);
  const settings = settingsNow(observed, fleet, node, turn);
  const spec: KmsNodeSpec = {
    cluster: name,
    ...(clusterId === undefined ? {} : { clusterId }),
    site: observed.site,
    version,
    featureLevel: fleet.level ?? version,
    ...reachedAt(observed, node, settings),
    ...placeOutside(node),
    settings,
    durability: (paused ? before?.durability : observed.cluster.spec.durability) ?? "EverySite",
    membership: membershipOf(observed, node),
    members: shared.members,
    clients: clientsOf(observed, node, shared),
    ...(before?.certificateChain === undefined ? {} : { certificateChain: before.certificateChain }),
    ...(shared.trustBundle === "" ? {} : { trustBundle: shared.trustBundle }),
  };
  return {
    apiVersion: "keyfleet.io/v1alpha1",
    kind: "KmsNode",
    metadata: {
      name: node.name,
      ...(namespace === undefined ? {} : { namespace }),
      labels: nodeLabels(name, node.name),
      ...annotationsOf(node, {
        ...(isGiven(node, settings) ? { [rollingAnnotation]: version } : {}),
        ...settingsBeforeMark(observed, node, settings),
      }),
    },
    spec,
  };
}

/** Where the operator of its site reads the status of a node that cannot write it. */
function placeOutside({ external, entry, node }: NodeFacts): Pick<KmsNodeSpec, "management" | "statusPort"> {
  if (!external) return {};
  const statusPort = entry === undefined ? node?.spec.statusPort : entry.statusPort;
  return { management: "External", ...(statusPort === undefined ? {} : { statusPort }) };
}

/** A member keeps its version until it is upgraded; a node that never joined may always take the newer one. */
function versionOf(fleet: FleetFacts, node: NodeFacts): string {
  if (node.standing === "Waiting" || node.standing === "Absent") return fleet.target;
  return node.node?.spec.version ?? fleet.level ?? fleet.target;
}

function fleetIdFor(fleet: FleetFacts, node: NodeFacts): string | undefined {
  if (fleet.clusterIds.length > 1) return undefined;
  if (node.standing === "Founding") return node.node?.status?.clusterId;
  return fleet.clusterIds[0];
}

/** A node that belongs although its KmsNode was made anew is told so at once; one that has gone is told to leave. */
function membershipOf(observed: Observed, node: NodeFacts): KmsNodeSpec["membership"] {
  const before = node.node?.spec.membership;
  const rejoin = before?.rejoin === undefined ? {} : { rejoin: before.rejoin };
  if (node.standing === "Member") return { action: "Member", ...rejoin };
  if (!isOut(node.standing)) return before ?? { action: "None" };
  if (node.standing === "Departed" && node.entry !== undefined && hasConsent(observed, node))
    return { action: "None", rejoin: rejoinMark(node.listed) };
  return before?.action === "None" && node.standing === "Departed" ? before : { action: "Leave", ...rejoin };
}

/** Marks of steps on the node, with new ones; they go when the node belongs again, but for the time of the last one. */
function annotationsOf(node: NodeFacts, marked: Record<string, string>): { annotations?: Record<string, string> } {
  const found = Object.entries(node.node?.metadata.annotations ?? {});
  const leaves = isOut(node.standing) || node.standing === "Waiting" || node.standing === "Joining";
  const kept = found.filter(
    ([name]) =>
      name === begunAnnotation || (leaves && leaving.has(name)) || (node.standing === "Member" && staging.has(name)),
  );
  const annotations = { ...Object.fromEntries(kept), ...marked };
  return Object.keys(annotations).length > 0 ? { annotations } : {};
}

/** While a bundle is missing, nobody's trust is taken away: the list before stays. Taking it out of spec does that. */
function clientsOf(observed: Observed, node: NodeFacts, shared: SharedParts): KmsNodeSpec["clients"] {
  const { caBundle, missing } = shared.clients;
  const before = node.node?.spec.clients.caBundle;
  const kept = missing.length > 0 && before !== undefined && before !== "" ? before : caBundle;
  const wanted = observed.cluster.spec.clients?.administrators ?? [];
  const paused = isPaused(observed.cluster) ? node.node?.spec.clients : undefined;
  const { legacyCiphers, serveCompromised } = paused ?? observed.cluster.spec.clients ?? {};
  return {
    caBundle: kept,
    administrators: [...(paused?.administrators ?? wanted)],
    ...(legacyCiphers === undefined ? {} : { legacyCiphers }),
    ...(serveCompromised === undefined ? {} : { serveCompromised }),
  };
}
