import type { KmsNode, KubernetesObject, Observed } from "../ports/types.ts";
import { objectOf } from "./facts.ts";
import { nodeLabels } from "./labels.ts";
import { quantity } from "./quantity.ts";
import { type ClaimSpec, sizeAndClass, storageOf } from "./stateful-set.ts";

/** What a node's volume was asked for: of its claim, or of its StatefulSet while there is no claim yet. */
export function storageMade(observed: Observed, node: string) {
  const claim = objectOf(observed, "PersistentVolumeClaim", claimName(node))?.spec as ClaimSpec | undefined;
  return sizeAndClass(claim) ?? storageOf(objectOf(observed, "StatefulSet", node));
}

/**
 * The claim of a node with the larger size that its settings ask for; undefined when it is not to grow. Whether the storage
 * class can grow a volume, and how, is the API server's to say. Nothing owns the claim: it stays when the node goes.
 */
export function grownClaim(observed: Observed, node: KmsNode, size: string): KubernetesObject | undefined {
  const { name, namespace } = node.metadata;
  const claim = objectOf(observed, "PersistentVolumeClaim", claimName(name));
  const made = sizeAndClass(claim?.spec as ClaimSpec | undefined);
  const phase = (claim?.status as { phase?: string } | undefined)?.phase;
  if (made === undefined || phase !== "Bound" || !isLarger(size, made.size)) return undefined;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: claimName(name),
      ...(namespace === undefined ? {} : { namespace }),
      labels: nodeLabels(node.spec.cluster, name),
    },
    spec: { resources: { requests: { storage: size } } },
  };
}

/** Whether one size is larger than another, whatever their units. */
export function isLarger(one: string, other: string): boolean {
  return (quantity(one) ?? 0) > (quantity(other) ?? 0);
}

function claimName(node: string): string {
  return `data-${node}-0`;
}
