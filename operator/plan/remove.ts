import { hasConsent, rejoinAnnotation } from "../desired/consent.ts";
import { eraseAnnotation, eraseMark } from "../desired/erasure.ts";
import { type NodeFacts, objectOf, objectsOf } from "../desired/facts.ts";
import type { Action, KubernetesObject } from "../ports/types.ts";
import { notPaused } from "./pause.ts";
import { hasHeard } from "./removal.ts";
import { neededMembers } from "./serving-gates.ts";
import type { Blocked, LocalPolicy, View } from "./types.ts";

/** Annotation of a volume whose node was removed: until when it is kept. */
export const keptUntil = "keyfleet.io/kept-until";
const defaultRetention = "168h";
/** A pod that destroys a key has this time before anybody is told that it does not. */
const erasePatienceMs = 60_000;

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
    if (facts === undefined) return Date.parse(until) < view.observed.nowMs ? release(view, claim, because) : [];
    if (facts.entry === undefined) return [];
    const back = `${node} is there again and uses its volume`;
    const erasing = foundErasure(view, claim);
    return [
      ...(erasing === undefined ? [] : [{ kind: "delete", object: erasing, because: back } as const]),
      { kind: "apply", object: marked(claim, {}), because: back },
    ];
  });

/** The key in the HSM goes before the volume does: then no copy of the volume, wherever it is, can ever be opened. */
function release(view: View, claim: KubernetesObject, because: string): Action[] {
  const pod = view.desired.erasures.get(claim.metadata.name);
  if (pod === undefined) return [{ kind: "delete", object: claim, because }];
  const found = foundErasure(view, claim);
  if (found === undefined)
    return [{ kind: "apply", object: pod, because: `${because}: its key in the HSM is destroyed` }];
  if (phaseOf(found) !== "Succeeded") return [];
  return [
    { kind: "delete", object: found, because: "the key in the HSM is destroyed" },
    { kind: "delete", object: claim, because: `${because} and its key in the HSM is destroyed` },
  ];
}

/** Keys of removed nodes that could not be destroyed within a minute: their volumes stay. */
export function unerased(view: View): Blocked[] {
  return objectsOf(view.observed, "PersistentVolumeClaim").flatMap((claim): Blocked[] => {
    const pod = foundErasure(view, claim);
    const since = Date.parse(String(pod?.metadata.creationTimestamp ?? ""));
    if (pod === undefined || phaseOf(pod) === "Succeeded" || !(view.observed.nowMs - since > erasePatienceMs))
      return [];
    const node = claim.metadata.labels?.["keyfleet.io/node"] ?? claim.metadata.name;
    const remedy = `see kubectl describe pod ${pod.metadata.name} and its log; if the HSM is gone for good, let the volume go without: kubectl annotate pvc ${claim.metadata.name} ${eraseAnnotation}-`;
    const message = `the key of ${node}, which was removed, is not destroyed in its HSM yet, so its volume stays`;
    return [{ gate: "keyDestroyed", subject: node, message, remedy }];
  });
}

function foundErasure({ observed, desired }: View, claim: KubernetesObject): KubernetesObject | undefined {
  const pod = desired.erasures.get(claim.metadata.name);
  return pod === undefined ? undefined : objectOf(observed, "Pod", pod.metadata.name);
}

function phaseOf(pod: KubernetesObject): string | undefined {
  return (pod.status as { phase?: string } | undefined)?.phase;
}

/** Says on the volume of a node that goes until when it is kept. */
export function markVolume(view: View, { name, node }: NodeFacts): Action[] {
  const claim = objectOf(view.observed, "PersistentVolumeClaim", `data-${name}-0`);
  if (claim === undefined) return [];
  const keptMs = durationMs(node?.spec.settings.storage?.retainAfterRemoval ?? defaultRetention);
  const until = new Date(view.observed.nowMs + keptMs).toISOString();
  const mark = node === undefined ? undefined : eraseMark(node);
  const object = marked(claim, { [keptUntil]: until, ...(mark === undefined ? {} : { [eraseAnnotation]: mark }) });
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
