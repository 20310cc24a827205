import type { KmsNode, KubernetesObject } from "../ports/types.ts";

/** Labels on everything that the operator makes for a node. */
export function nodeLabels(cluster: string, node: string): Record<string, string> {
  return {
    "app.kubernetes.io/managed-by": "keyfleet",
    "keyfleet.io/cluster": cluster,
    "keyfleet.io/node": node,
  };
}

/** Metadata of an object that belongs to a KmsNode and goes with it; never of a volume. */
export function ownedMetadata(owner: KmsNode, name: string): KubernetesObject["metadata"] {
  const { namespace, uid = "" } = owner.metadata;
  const reference = {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid,
    controller: true,
  };
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    labels: nodeLabels(owner.spec.cluster, owner.metadata.name),
    ownerReferences: [reference],
  };
}
