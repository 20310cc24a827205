import type { Observed } from "../ports/types.ts";
import type { NodeFacts } from "./facts.ts";
import { copiesOf } from "./upgrade-requests.ts";

/** Annotation of the KmsCluster, in any site: nodes (with commas) that may wipe their volume and join anew. */
export const rejoinAnnotation = "keyfleet.io/rejoin";
/** Annotation of a KmsNode with the time at which it was told to leave. */
export const leavingAnnotation = "keyfleet.io/leaving-since";
/** Annotation of a KmsNode that leaves only to be built anew: the version that it shall have then. */
export const rebuildAnnotation = "keyfleet.io/rebuild";

/** Annotation of a KmsNode with the time at which it was told last to found, to join or to be a member. */
export const begunAnnotation = "keyfleet.io/begun-at";

/** Whether a node that has departed may wipe its volume: somebody consented, or it left for that purpose. */
export function hasConsent(observed: Observed, { name, node }: Pick<NodeFacts, "name" | "node">): boolean {
  if (node?.metadata.annotations?.[rebuildAnnotation] !== undefined) return true;
  const copies = copiesOf(observed);
  const named = copies.flatMap((copy) => copy?.metadata.annotations?.[rejoinAnnotation]?.split(",") ?? []);
  return named.some((one) => one.trim() === name);
}
/**
 * Annotation of a KmsNode whose pod is older than its settings: what it had before of those that need a restart (JSON). So
 * every site sees that settings wait there, and its own can take them back.
 */
export const settingsBeforeAnnotation = "keyfleet.io/settings-before";
/** Annotation of a KmsNode that was given another version or settings and has not yet served with them. */
export const rollingAnnotation = "keyfleet.io/rolling";
/** Annotation of a KmsNode with the time at which it was given a version or settings last, or at which these came into effect without a restart. */
export const rolledAnnotation = "keyfleet.io/rolled-at";
