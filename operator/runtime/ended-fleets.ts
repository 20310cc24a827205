import type { KubernetesApi } from "../ports/kubernetes-api.ts";

/** Annotation of a fleet's Lease in a site where it has ended: the fleet's id. Nothing else is left that could say so. */
const endedAnnotation = "keyfleet.io/ended";

/** Notes in this site that the fleet with that id has ended here. */
export async function noteEnd(api: KubernetesApi, cluster: string, clusterId: string): Promise<void> {
  const lease = await api.get("Lease", leaseOf(cluster));
  if (lease === undefined) return;
  const annotations = { ...lease.metadata.annotations, [endedAnnotation]: clusterId };
  await api.update({ ...lease, metadata: { ...lease.metadata, annotations } });
}

/** Whether that fleet has ended here: then its document is not taken over again from a site that was away meanwhile. */
export async function hasEnded(api: KubernetesApi, cluster: string, clusterId: string | undefined): Promise<boolean> {
  if (clusterId === undefined) return false;
  const lease = await api.get("Lease", leaseOf(cluster));
  return lease?.metadata.annotations?.[endedAnnotation] === clusterId;
}

function leaseOf(cluster: string): string {
  return `keyfleet-${cluster}`;
}
