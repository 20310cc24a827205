import { appliedAnnotation } from "../desired/desired.ts";
import { type NodeFacts, objectOf } from "../desired/facts.ts";
import type { KubernetesObject } from "../ports/types.ts";
import type { View } from "./types.ts";

interface SetStatus {
  readonly observedGeneration?: number;
  readonly updateRevision?: string;
}

/** Whether the pod of a node is made from what its document asks for now; of an External node nobody here knows. */
export function podIsNewest(view: View, facts: NodeFacts): boolean {
  if (facts.external) return true;
  const pod = objectOf(view.observed, "Pod", `${facts.name}-0`);
  if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return false;
  return isApplied(view, facts) && !podIsOld(view, facts, pod);
}

/** Whether what the document of a node asks for has reached its pod, or will reach the next one that is made. */
export function hasReachedPod(view: View, facts: NodeFacts): boolean {
  const pod = objectOf(view.observed, "Pod", `${facts.name}-0`);
  const isGoing = pod === undefined || pod.metadata.deletionTimestamp !== undefined;
  return isApplied(view, facts) && (isGoing || !podIsOld(view, facts, pod));
}

/** Whether Kubernetes has looked at what the StatefulSet of a node has become. */
export function isApplied(view: View, { name }: NodeFacts): boolean {
  const wanted = view.desired.nodes.find(({ facts }) => facts.name === name)?.objects;
  const set = wanted?.find(({ kind }) => kind === "StatefulSet");
  const found = objectOf(view.observed, "StatefulSet", name);
  const { observedGeneration } = (found?.status ?? {}) as SetStatus;
  return digestOf(set) === digestOf(found) && observedGeneration === found?.metadata.generation;
}

/** Whether the API server has taken the Services of a node as they have become: it may refuse a port. */
export function isExposed(view: View, { name }: NodeFacts): boolean {
  const wanted = view.desired.nodes.find(({ facts }) => facts.name === name)?.objects ?? [];
  const services = wanted.filter(({ kind }) => kind === "Service");
  return services.every(
    (service) => digestOf(service) === digestOf(objectOf(view.observed, "Service", service.metadata.name)),
  );
}

function digestOf(object: KubernetesObject | undefined): string | undefined {
  return object?.metadata.annotations?.[appliedAnnotation];
}

/** Whether a pod is of an older revision than its StatefulSet has; one that was not looked at yet says nothing. */
export function podIsOld(view: View, { name }: NodeFacts, pod: KubernetesObject): boolean {
  const set = objectOf(view.observed, "StatefulSet", name);
  const { observedGeneration, updateRevision } = (set?.status ?? {}) as SetStatus;
  if (updateRevision === undefined || observedGeneration !== set?.metadata.generation) return false;
  return pod.metadata.labels?.["controller-revision-hash"] !== updateRevision;
}
