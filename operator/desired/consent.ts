import type { Observed } from "../ports/types.ts";
import type { NodeFacts } from "./facts.ts";
import { copiesOf } from "./upgrade-requests.ts";

/** Annotation of the KmsCluster, in any site: nodes (with commas) that may wipe their volume and join anew. */
export const rejoinAnnotation = "keyfleet.io/rejoin";
/**
 * Annotation of the KmsCluster, in any site: fingerprints (with commas) of CAs that are lost, without which a new one may be
 * made. It names the very CA, so that the loss of the next one is not consented to by it.
 */
export const newCaAnnotation = "keyfleet.io/new-ca";
/** Annotation of a KmsNode with the time at which it was told to leave. */
export const leavingAnnotation = "keyfleet.io/leaving-since";
/** Annotation of a KmsNode that leaves only to be built anew: the version that it shall have then. */
export const rebuildAnnotation = "keyfleet.io/rebuild";

/** Annotation of a KmsNode with the time at which it was told last to found, to join or to be a member. */
export const begunAnnotation = "keyfleet.io/begun-at";

/** Whether a node that has departed may wipe its volume: somebody consented, or it left for that purpose. */
export function hasConsent(observed: Observed, { name, node }: Pick<NodeFacts, "name" | "node">): boolean {
  if (node?.metadata.annotations?.[rebuildAnnotation] !== undefined) return true;
  return namedIn(observed, rejoinAnnotation).includes(name);
}

/** Fingerprints of the CAs that somebody gave up. */
export function givenUpCas(observed: Observed): ReadonlySet<string> {
  return new Set(namedIn(observed, newCaAnnotation).map((one) => one.toLowerCase()));
}

/** What an annotation of any site's copy of the document lists. */
function namedIn(observed: Observed, annotation: string): string[] {
  const texts = copiesOf(observed).map((copy) => copy?.metadata.annotations?.[annotation] ?? "");
  return texts
    .flatMap((text) => text.split(","))
    .map((one) => one.trim())
    .filter((one) => one !== "");
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
