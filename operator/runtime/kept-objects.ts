import type { KubernetesObject } from "../ports/types.ts";

/** What is kept in memory of an object of this site. What the plan compares with what it wants stays whole. */
export function asKept(object: KubernetesObject): KubernetesObject {
  return parts[object.kind as keyof typeof parts]?.(object) ?? object;
}

const parts = { Pod: howItFares, Secret: publicPart };

interface PodStatus {
  readonly phase?: string;
  readonly hostIP?: string;
  readonly conditions?: readonly unknown[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
  readonly containerStatuses?: readonly ContainerStatus[];
}

interface ContainerStatus {
  readonly name: string;
  readonly image?: string;
  readonly state?: unknown;
  readonly lastState?: unknown;
}

/** Its StatefulSet makes the pod, so nobody compares its specification; it is the largest of all that would be kept. */
function howItFares({ spec: _spec, status, ...pod }: KubernetesObject): KubernetesObject {
  const { phase, hostIP, conditions, initContainerStatuses, containerStatuses } = (status ?? {}) as PodStatus;
  const init = initContainerStatuses?.map(howOneFares);
  const containers = containerStatuses?.map(howOneFares);
  return {
    ...pod,
    status: { phase, hostIP, conditions, initContainerStatuses: init, containerStatuses: containers },
  };
}

function howOneFares({ name, image, state, lastState }: ContainerStatus): object {
  return { name, image, state, lastState };
}

/** Of a Secret's data only certificates stay: keys must not lie in a cache, a heap dump or an Observed. */
function publicPart(secret: KubernetesObject): KubernetesObject {
  const { apiVersion, kind, metadata, type, data } = secret;
  const certificates = Object.entries((data ?? {}) as Record<string, string>).filter(([key]) => key.endsWith(".crt"));
  // kubectl apply copies the whole Secret into this annotation.
  const { "kubectl.kubernetes.io/last-applied-configuration": _copy, ...annotations } = metadata.annotations ?? {};
  return { apiVersion, kind, metadata: { ...metadata, annotations }, type, data: Object.fromEntries(certificates) };
}
