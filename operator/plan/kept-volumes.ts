import { eraseAnnotation, eraseMark } from "../desired/erasure.ts";
import { type NodeFacts, objectOf, objectsOf } from "../desired/facts.ts";
import type { Action, KubernetesObject } from "../ports/types.ts";
import { beginsToBeKept, goesOn, isOver, keptUntil } from "./kept-time.ts";
import type { Blocked, LocalPolicy, View } from "./types.ts";

/** A pod that destroys a key has this time before anybody is told that it does not. */
const erasePatienceMs = 60_000;

/** Volumes of removed nodes: deleted when their time is over; one whose node is there again is an ordinary volume again. */
export const keptVolumes: LocalPolicy = (view) =>
  objectsOf(view.observed, "PersistentVolumeClaim").flatMap((claim): Action[] => {
    const isKept = claim.metadata.annotations?.[keptUntil] !== undefined;
    if (!isKept || claim.metadata.deletionTimestamp !== undefined) return [];
    const node = claim.metadata.labels?.["keyfleet.io/node"];
    const facts = view.desired.nodes.find(({ facts: { name } }) => name === node)?.facts;
    if (facts !== undefined) return facts.entry === undefined ? [] : takeBack(view, claim, node);
    return isOver(view.observed, claim) ? release(view, claim, node) : goOn(view, claim, node);
  });

/** Says on the volume of a node that goes that it is kept, for how long, and how its key is destroyed then. */
export function markVolume(view: View, { name, node }: NodeFacts): Action[] {
  const claim = objectOf(view.observed, "PersistentVolumeClaim", `data-${name}-0`);
  if (claim === undefined) return [];
  const marks = beginsToBeKept(view.observed, node?.spec.settings.storage?.retainAfterRemoval);
  const erase = node === undefined ? undefined : eraseMark(node);
  return [keep(claim, name, { ...marks, ...(erase === undefined ? {} : { [eraseAnnotation]: erase }) })];
}

/** Keys of removed nodes that could not be destroyed within a minute: their volumes stay. */
export function unerased(view: View): Blocked[] {
  return objectsOf(view.observed, "PersistentVolumeClaim").flatMap((claim): Blocked[] => {
    const pod = foundErasure(view, claim);
    const since = Date.parse(String(pod?.metadata.creationTimestamp ?? ""));
    if (pod === undefined || phaseOf(pod) === "Succeeded" || !(view.observed.nowMs - since > erasePatienceMs))
      return [];
    const node = claim.metadata.labels?.["keyfleet.io/node"] ?? claim.metadata.name;
    const remedy = `see kubectl describe pod ${pod.metadata.name} and its log; if the HSM is gone for good, let the volume go without: kubectl -n ${claim.metadata.namespace ?? "default"} annotate pvc ${claim.metadata.name} ${eraseAnnotation}-`;
    const message = `the key of ${node}, which was removed, is not destroyed in its HSM yet, so its volume stays`;
    return [{ gate: "keyDestroyed", subject: node, message, remedy }];
  });
}

/** An operator that has just begun, or has counted for a while, writes down how much of the time has passed. */
function goOn(view: View, claim: KubernetesObject, node: string | undefined): Action[] {
  const marks = goesOn(view.observed, claim);
  const erase = claim.metadata.annotations?.[eraseAnnotation];
  if (marks === undefined) return [];
  return [keep(claim, node, { ...marks, ...(erase === undefined ? {} : { [eraseAnnotation]: erase }) })];
}

function keep(claim: KubernetesObject, node: string | undefined, marks: Record<string, string>): Action {
  return {
    kind: "apply",
    object: marked(claim, marks),
    because: `the volume of ${node} is kept until ${marks[keptUntil]}`,
  };
}

function takeBack(view: View, claim: KubernetesObject, node: string | undefined): Action[] {
  const because = `${node} is there again and uses its volume`;
  const erasing = foundErasure(view, claim);
  return [
    ...(erasing === undefined ? [] : [{ kind: "delete", object: erasing, because } as const]),
    { kind: "apply", object: marked(claim, {}), because },
  ];
}

/** The key in the HSM goes before the volume does: then no copy of the volume, wherever it is, can ever be opened. */
function release(view: View, claim: KubernetesObject, node: string | undefined): Action[] {
  const because = `the time for which the volume of ${node} was kept is over`;
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

function foundErasure({ observed, desired }: View, claim: KubernetesObject): KubernetesObject | undefined {
  const pod = desired.erasures.get(claim.metadata.name);
  return pod === undefined ? undefined : objectOf(observed, "Pod", pod.metadata.name);
}

function phaseOf(pod: KubernetesObject): string | undefined {
  return (pod.status as { phase?: string } | undefined)?.phase;
}

/** The marks, and the size as it is: what was applied before and is left out would be taken away. */
function marked({ apiVersion, kind, metadata, spec }: KubernetesObject, annotations: Record<string, string>) {
  const { name, namespace } = metadata;
  const resources = (spec as { resources?: unknown } | undefined)?.resources;
  return {
    ...{ apiVersion, kind },
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), annotations },
    ...(resources === undefined ? {} : { spec: { resources } }),
  };
}
