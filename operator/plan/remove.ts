import { hasConsent, rejoinAnnotation } from "../desired/consent.ts";
import { type NodeFacts, objectOf, objectsOf } from "../desired/facts.ts";
import type { Action, KubernetesObject } from "../ports/types.ts";
import { notPaused } from "./pause.ts";
import { hasHeard } from "./removal.ts";
import { neededMembers } from "./serving-gates.ts";
import type { Blocked, LocalPolicy, View } from "./types.ts";

/** Annotation of a volume whose node was removed: until when it is kept. */
export const keptUntil = "keyfleet.io/kept-until";
const defaultRetention = "168h";

/** Deletes what belongs to a node that the specification does not name and that never joined or has departed. The volume stays. */
export const removeObjects: LocalPolicy = (view) =>
  view.desired.nodes.flatMap(({ facts }): Action[] => {
    if (!isGoing(view, facts) || facts.node === undefined) return [];
    if (facts.standing === "Waiting" && view.observed.lock.node === facts.name) return [];
    const object = facts.node as unknown as KubernetesObject;
    const why = facts.standing === "Departed" ? "has departed" : "never joined";
    const because = `${facts.name} is not in the specification and ${why}`;
    return [...markVolume(view, facts), { kind: "delete", object, because }];
  });

/** Whether the plan deletes the node, so that nothing of it is made again. */
export function isGoing(view: View, facts: NodeFacts): boolean {
  if (facts.entry !== undefined) return false;
  if (facts.standing === "Departed") return isKnownToHaveDeparted(view, facts);
  if (facts.standing !== "Waiting" || notPaused(view, "").length > 0) return false;
  return facts.node?.status?.clusterId === undefined;
}

/** Whether every member that counts refuses what that node might still write. */
export function isKnownToHaveDeparted(view: View, { name }: NodeFacts): boolean {
  return neededMembers(view).every((member) => hasHeard(member, name, "Departed"));
}

/** Nodes that have departed and are named again: their old volume is wiped by consent only. */
export function returnedMembers(view: View): Blocked[] {
  return view.desired.fleet.nodes
    .filter((node) => node.entry !== undefined && node.standing === "Departed" && !hasConsent(view.observed, node))
    .map(({ name }) => ({
      gate: "rejoinConsent",
      subject: name,
      message: `${name} has left the fleet and still has its old volume, which it must not use`,
      remedy: `to wipe the volume and let it join as a new node: kubectl annotate kms ${view.observed.cluster.metadata.name} ${rejoinAnnotation}=${name}`,
    }));
}

/** Volumes of removed nodes: deleted when their time is over; one whose node is there again is an ordinary volume again. */
export const keptVolumes: LocalPolicy = (view) =>
  objectsOf(view.observed, "PersistentVolumeClaim").flatMap((claim): Action[] => {
    const until = claim.metadata.annotations?.[keptUntil];
    if (until === undefined || claim.metadata.deletionTimestamp !== undefined) return [];
    const node = claim.metadata.labels?.["keyfleet.io/node"];
    const facts = view.desired.nodes.find(({ facts: { name } }) => name === node)?.facts;
    const because = `the time for which the volume of ${node} was kept is over`;
    if (facts === undefined)
      return Date.parse(until) < view.observed.nowMs ? [{ kind: "delete", object: claim, because }] : [];
    if (facts.entry === undefined) return [];
    return [{ kind: "apply", object: marked(claim, {}), because: `${node} is there again and uses its volume` }];
  });

/** Says on the volume of a node that goes until when it is kept. */
export function markVolume(view: View, { name, node }: NodeFacts): Action[] {
  const claim = objectOf(view.observed, "PersistentVolumeClaim", `data-${name}-0`);
  if (claim === undefined) return [];
  const keptMs = durationMs(node?.spec.settings.storage?.retainAfterRemoval ?? defaultRetention);
  const until = new Date(view.observed.nowMs + keptMs).toISOString();
  const object = marked(claim, { [keptUntil]: until });
  return [{ kind: "apply", object, because: `the volume of ${name} is kept until ${until}` }];
}

/** The mark, and the size as it is: what was applied before and is left out would be taken away. */
function marked({ apiVersion, kind, metadata, spec }: KubernetesObject, annotations: Record<string, string>) {
  const { name, namespace } = metadata;
  const resources = (spec as { resources?: unknown } | undefined)?.resources;
  return {
    ...{ apiVersion, kind },
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), annotations },
    ...(resources === undefined ? {} : { spec: { resources } }),
  };
}

/** "90m" or "168h" in milliseconds. */
function durationMs(text: string): number {
  const [, count = "0", unit] = /^(\d+)(m|h)$/.exec(text) ?? [];
  return Number(count) * (unit === "h" ? 3_600_000 : 60_000);
}
