import type { KmsNode, Observed } from "../ports/types.ts";
import { conditionOf, type FleetFacts, type NodeFacts } from "./facts.ts";
import { isPaused, settingsLag } from "./staging.ts";

/** Annotation of the KmsNode of an External node: the certificate request (PEM) that its administrator brings from its machine. */
export const requestAnnotation = "keyfleet.io/certificate-request";

/**
 * Whether an External node is given another version and settings that need a restart. It comes last, after all nodes that
 * the operator itself brings there, and External ones one by one: its administrator restarts it when that suits.
 */
export function isTurnOfExternal({ cluster }: Observed, fleet: FleetFacts, node: NodeFacts): boolean {
  if (!node.external || isPaused(cluster)) return false;
  const at = fleet.nodes.indexOf(node);
  const before = fleet.nodes.filter(
    ({ entry, standing, counts, external }, index) =>
      entry !== undefined && standing === "Member" && counts && (!external || index < at),
  );
  return before.every(
    (other) =>
      other.serving &&
      other.node?.status?.version === fleet.target &&
      !settingsLag(cluster, other) &&
      (!other.external || wasStarted(other)),
  );
}

/** Whether an External node runs with what its KmsNode has, as far as it tells. */
function wasStarted({ node }: NodeFacts): boolean {
  return hasNewestDocument(node) && conditionOf(node, "SettingsApplied")?.reason !== "RestartNeeded";
}

/** Whether a node has told that it has read the document as it is now. */
export function hasNewestDocument(node: KmsNode | undefined): boolean {
  return (node?.status?.observedGeneration ?? 0) >= (node?.metadata.generation ?? 1);
}

/** How the document of an External node comes to its machine. */
export function documentRemedy(name: string): string {
  return `put the newest document on the machine of ${name}: kubectl get kmsnode ${name} -o jsonpath={.status.document}`;
}
