import { erasesLabel } from "../desired/erasure.ts";
import { objectOf } from "../desired/facts.ts";
import { fleetEnding, isEnding } from "../ports/spec-copy.ts";
import type { Action, KmsCluster, KmsNode, KubernetesObject, SiteView } from "../ports/types.ts";
import { markVolume } from "./kept-volumes.ts";
import { podProblem } from "./pod-problems.ts";
import type { Blocked, LocalPolicy, Plan, View } from "./types.ts";

const recheckAfterMs = 2_000;

/**
 * The end of a fleet whose deletion is confirmed; undefined while it is not. Each site ends its own part when every site
 * that counts ends too: its nodes one after the other, then what they had in common, then its copy of the document.
 * Volumes stay.
 */
export function endFleet(view: View): Plan | undefined {
  const { cluster, lock } = view.observed;
  if (!isEnding(cluster)) return undefined;
  const shared = { doing: "ending the fleet", blocked: [] as Blocked[] };
  const act = (...actions: Action[]): Plan => ({ kind: "act", actions, ...shared });
  if (lock.heldByMe) return act({ kind: "releaseLock", because: "the fleet ends" });
  const blocked = othersEnd(view);
  if (blocked.length > 0) return { kind: "wait", recheckAfterMs, doing: "waiting to end the fleet", blocked };
  const node = ownNodes(view)[0];
  const going = podsWithoutNode(view);
  if (going.length > 0) return stillGoing(view, going);
  if (node !== undefined) return { ...act(...endNode(view, node)), doing: `ending ${node.metadata.name}` };
  const because = "the fleet has ended in this site";
  const left = leftOver(view)[0];
  return act(left === undefined ? { kind: "letGo", because } : { kind: "delete", object: left, because });
}

/** A pod whose machine does not answer is never gone by itself, and nothing but this tells of it then. */
function stillGoing(view: View, names: readonly string[]): Plan {
  const blocked = names.flatMap((name) => podProblem(view.observed, name) ?? []);
  return { kind: "wait", recheckAfterMs, doing: `ending ${names.join(", ")}`, blocked };
}

/** What nodes had in common, and pods that destroy keys of nodes that were removed before: volumes and keys stay now. */
function leftOver({ observed }: View): KubernetesObject[] {
  const budget = objectOf(observed, "PodDisruptionBudget", `keyfleet-${observed.cluster.metadata.name}`);
  const all = [...(budget === undefined ? [] : [budget]), ...observed.objects.filter(isErasing)];
  return all.filter((object) => !isGoing(object));
}

function isErasing({ kind, metadata }: KubernetesObject): boolean {
  return kind === "Pod" && metadata.labels?.[erasesLabel] !== undefined;
}

/** Another site ends the fleet, and this site's copy says so too: it goes the same way, unless a tool owns it. */
export const followEnd: LocalPolicy = (view) => {
  const { cluster, spec } = view.observed;
  if (!isAskedToFollow(view) || spec.ownedBy !== undefined) return [];
  const because = `the fleet ends: ${endingSites(view).join(", ")} was told so`;
  return [{ kind: "delete", object: cluster as unknown as KubernetesObject, because }];
};

/** What keeps a deletion from ending the fleet, and what to do about it. */
export function deletionComplaints(view: View): Blocked[] {
  const { cluster, spec } = view.observed;
  const { name, namespace = "default" } = cluster.metadata;
  if (cluster.metadata.deletionTimestamp !== undefined && !isEnding(cluster)) {
    const message = "its deletion is not confirmed and waits; all nodes go on serving and are looked after";
    const keep = `kubectl -n ${namespace} patch kms ${name} --type=merge -p '{"metadata":{"finalizers":null}}'`;
    const remedy = `to end the fleet in all sites set ${fleetEnding} to ${name}; to keep it: ${keep}, and this copy is made again from another site's (with one site only: apply it again)`;
    return [{ gate: "deletionConfirmed", subject: name, message, remedy }];
  }
  if (!isAskedToFollow(view) || spec.ownedBy === undefined) return [];
  const message = `${endingSites(view).join(", ")} ends the fleet, and ${spec.ownedBy} owns the copy in ${view.observed.site}`;
  const remedy = `delete it in the source of ${spec.ownedBy}`;
  return [{ gate: "deletionConfirmed", subject: view.observed.site, message, remedy }];
}

/** Sites that count and have neither begun to end nor ended: the fleet is not taken apart while a part of it may go on. */
function othersEnd(view: View): Blocked[] {
  const { observed, desired } = view;
  return observed.sites
    .filter(({ name, local }) => !local && desired.fleet.counting.includes(name))
    .flatMap((site): Blocked[] => (site.reachable ? notEnding(site) : [unseen(site)]));
}

function notEnding({ name, cluster, nodes }: SiteView): Blocked[] {
  if (cluster === undefined ? nodes.length === 0 : isEnding(cluster)) return [];
  const message = `site ${name} does not end the fleet yet`;
  const remedy = `see kubectl get kms in ${name}; its operator takes the deletion over by itself`;
  return [{ gate: "sitesEnd", subject: name, message, remedy }];
}

function unseen({ name, problem }: SiteView): Blocked {
  const message = `site ${name} has to end the fleet too and cannot be asked${problem === undefined ? "" : `: ${problem}`}`;
  const remedy = `bring it back, or name it in spec.recovery.lostSites: then the others end without it, and what it has is left to you`;
  return { gate: "sitesEnd", subject: name, message, remedy };
}

function endNode(view: View, node: KmsNode): Action[] {
  const facts = view.desired.nodes.find((one) => one.facts.name === node.metadata.name)?.facts;
  const object = node as unknown as KubernetesObject;
  const because = `${node.metadata.name} ends with its fleet`;
  return [...(facts === undefined ? [] : markVolume(view, facts)), { kind: "delete", object, because }];
}

/** This site's nodes that were not told to end yet. */
function ownNodes({ observed }: View): KmsNode[] {
  const own = observed.sites.find(({ local }) => local)?.nodes ?? [];
  return own.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** Nodes that were told to end and have not ended: what serves is drained before the next one goes. */
function podsWithoutNode(view: View): string[] {
  const names = new Set(ownNodes(view).map(({ metadata }) => metadata.name));
  const left = view.observed.objects.flatMap((object) => {
    const { kind, metadata } = object;
    if (kind === "Pod") return isErasing(object) ? [] : [metadata.name.replace(/-0$/, "")];
    return kind === "StatefulSet" ? [metadata.name] : [];
  });
  return [...new Set(left)].filter((name) => !names.has(name)).sort();
}

function isAskedToFollow(view: View): boolean {
  const { metadata, spec } = view.observed.cluster;
  const confirmed = metadata.deletionTimestamp === undefined && spec.deletion?.confirm === metadata.name;
  return confirmed && endingSites(view).length > 0;
}

function endingSites({ observed }: View): string[] {
  const ends = (cluster: KmsCluster | undefined) => cluster !== undefined && isEnding(cluster);
  return observed.sites.filter(({ local, cluster }) => !local && ends(cluster)).map(({ name }) => name);
}

function isGoing({ metadata }: KubernetesObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}
