import { eraseAnnotation, eraseMark } from "../desired/erasure.ts";
import { type NodeFacts, objectOf, objectsOf } from "../desired/facts.ts";
import type { Action, KubernetesObject } from "../ports/types.ts";
import { agreedTime, doubtOf, latestMs } from "./agreed-time.ts";
import type { Blocked, LocalPolicy, View } from "./types.ts";

/** Annotation of a volume whose node was removed: until when it is kept. */
export const keptUntil = "keyfleet.io/kept-until";
/** Beside it when the time was in doubt as it was written: for how long, counted from when there is no doubt any more. */
export const keptFor = "keyfleet.io/kept-for";
const defaultRetention = "168h";
/** A pod that destroys a key has this time before anybody is told that it does not. */
const erasePatienceMs = 60_000;

/** Volumes of removed nodes: deleted when their time is over; one whose node is there again is an ordinary volume again. */
export const keptVolumes: LocalPolicy = (view) =>
  keptClaims(view).flatMap(({ claim, node, facts }) => {
    if (facts === undefined) return keepOrRelease(view, claim, node);
    return facts.entry === undefined ? [] : takeBack(view, claim, node);
  });

/** Says on the volume of a node that goes until when it is kept. */
export function markVolume(view: View, { name, node }: NodeFacts): Action[] {
  const claim = objectOf(view.observed, "PersistentVolumeClaim", `data-${name}-0`);
  if (claim === undefined) return [];
  const retention = node?.spec.settings.storage?.retainAfterRemoval ?? defaultRetention;
  const mark = node === undefined ? undefined : eraseMark(node);
  return [keep(view, { claim, node: name, retention, mark })];
}

/** Volumes that would go by what some clock says, and stay because the time is in doubt. */
export function untimely(view: View): Blocked[] {
  const doubt = doubtOf(view);
  if (doubt === undefined) return [];
  return keptClaims(view)
    .filter(({ claim, facts }) => facts === undefined && seemsOver(view, claim))
    .map(({ node, claim }) => ({
      ...{ gate: "timeAgreed", subject: node ?? claim.metadata.name },
      ...doubt,
      message: `${doubt.message}, so the volume of ${node}, which was removed, stays`,
    }));
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

interface KeptClaim {
  readonly claim: KubernetesObject;
  readonly node: string | undefined;
  /** Undefined when nothing is left of the node. */
  readonly facts: NodeFacts | undefined;
}

function keptClaims({ observed, desired }: View): KeptClaim[] {
  return objectsOf(observed, "PersistentVolumeClaim").flatMap((claim) => {
    if (untilOf(claim) === undefined || claim.metadata.deletionTimestamp !== undefined) return [];
    const node = claim.metadata.labels?.["keyfleet.io/node"];
    return [{ claim, node, facts: desired.nodes.find(({ facts: { name } }) => name === node)?.facts }];
  });
}

function untilOf(claim: KubernetesObject): string | undefined {
  return claim.metadata.annotations?.[keptUntil];
}

/** A mark that a doubtful clock wrote may say anything. */
function seemsOver(view: View, claim: KubernetesObject): boolean {
  return claim.metadata.annotations?.[keptFor] !== undefined || Date.parse(untilOf(claim) ?? "") < latestMs(view);
}

function keepOrRelease(view: View, claim: KubernetesObject, node: string | undefined): Action[] {
  const time = agreedTime(view);
  if (time === undefined) return [];
  const { [keptFor]: retention, [eraseAnnotation]: mark } = claim.metadata.annotations ?? {};
  if (retention !== undefined) return [keep(view, { claim, node, retention, mark })];
  const because = `the time for which the volume of ${node} was kept is over`;
  return Date.parse(untilOf(claim) ?? "") < time.earliestMs ? release(view, claim, because) : [];
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

function foundErasure({ observed, desired }: View, claim: KubernetesObject): KubernetesObject | undefined {
  const pod = desired.erasures.get(claim.metadata.name);
  return pod === undefined ? undefined : objectOf(observed, "Pod", pod.metadata.name);
}

function phaseOf(pod: KubernetesObject): string | undefined {
  return (pod.status as { phase?: string } | undefined)?.phase;
}

interface Keeping {
  readonly claim: KubernetesObject;
  readonly node: string | undefined;
  /** "168h" */
  readonly retention: string;
  /** How its key is destroyed then. */
  readonly mark: string | undefined;
}

/** Counted from the latest that a clock says, which may be right. Is that in doubt, the time counts anew once it is not. */
function keep(view: View, { claim, node, retention, mark }: Keeping): Action {
  const time = agreedTime(view);
  const until = new Date((time?.latestMs ?? latestMs(view)) + durationMs(retention)).toISOString();
  const object = marked(claim, {
    [keptUntil]: until,
    ...(time === undefined ? { [keptFor]: retention } : {}),
    ...(mark === undefined ? {} : { [eraseAnnotation]: mark }),
  });
  return { kind: "apply", object, because: `the volume of ${node} is kept until ${until}` };
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
