import { appliedAnnotation } from "../desired/desired.ts";
import { type NodeFacts, objectOf } from "../desired/facts.ts";
import { isLookedAt, podIsOld, podOf } from "../desired/revision.ts";
import type { KubernetesObject } from "../ports/types.ts";
import type { View } from "./types.ts";

/** Whether the pod of a node is made from what its document asks for now; of an External node nobody here knows. */
export function podIsNewest(view: View, facts: NodeFacts): boolean {
  if (facts.external) return true;
  const pod = podOf(view.observed, facts.name);
  return pod !== undefined && isApplied(view, facts) && !podIsOld(view.observed, facts.name, pod);
}

/** Whether what the document of a node asks for has reached its pod, or will reach the next one that is made. */
export function hasReachedPod(view: View, facts: NodeFacts): boolean {
  const pod = podOf(view.observed, facts.name);
  return isApplied(view, facts) && (pod === undefined || !podIsOld(view.observed, facts.name, pod));
}

/** Whether Kubernetes has looked at what the StatefulSet of a node has become. */
export function isApplied(view: View, { name }: NodeFacts): boolean {
  const wanted = view.desired.nodes.find(({ facts }) => facts.name === name)?.objects;
  const set = wanted?.find(({ kind }) => kind === "StatefulSet");
  const found = objectOf(view.observed, "StatefulSet", name);
  return digestOf(set) === digestOf(found) && isLookedAt(found);
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
