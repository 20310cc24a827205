import { restartDigest } from "@keyfleet/crds/restart-settings.ts";
import type { KmsNode, KubernetesObject, Observed } from "../ports/types.ts";
import { madeWith, type PodSpec } from "./containers.ts";
import { objectOf } from "./facts.ts";

interface SetStatus {
  readonly observedGeneration?: number;
  readonly updateRevision?: string;
}

/** The pod of a node; undefined while there is none, and of one that is going: the next one comes. */
export function podOf(observed: Observed, name: string): KubernetesObject | undefined {
  const pod = objectOf(observed, "Pod", `${name}-0`);
  return pod?.metadata.deletionTimestamp === undefined ? pod : undefined;
}

/** Whether a pod is of an older revision than its StatefulSet has; one that was not looked at yet says nothing. */
export function podIsOld(observed: Observed, name: string, pod: KubernetesObject): boolean {
  const set = objectOf(observed, "StatefulSet", name);
  const { updateRevision } = (set?.status ?? {}) as SetStatus;
  if (updateRevision === undefined || !isLookedAt(set)) return false;
  return pod.metadata.labels?.["controller-revision-hash"] !== updateRevision;
}

/** Whether Kubernetes has looked at what a StatefulSet has become. */
export function isLookedAt(set: KubernetesObject | undefined): boolean {
  return (set?.status as SetStatus | undefined)?.observedGeneration === set?.metadata.generation;
}

/** Whether the settings that a node has are those of its pod, or of the next one while there is none. */
export function settingsAreInPod(observed: Observed, { metadata: { name }, spec }: KmsNode): boolean {
  const set = objectOf(observed, "StatefulSet", name);
  const { template } = (set?.spec ?? {}) as { template?: { spec?: PodSpec } };
  if (!isLookedAt(set) || madeWith(template?.spec) !== restartDigest(spec.settings)) return false;
  const pod = podOf(observed, name);
  return pod === undefined || !podIsOld(observed, name, pod);
}
