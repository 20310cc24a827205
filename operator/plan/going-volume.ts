import { type NodeFacts, objectOf } from "../desired/facts.ts";
import type { Blocked, View } from "./types.ts";

/**
 * The volume of a node of this site that somebody deleted, or that its storage lost: it is there as long as the pod, and the
 * next pod would come up with nothing.
 */
export function goingVolume(view: View, { name, local, external }: NodeFacts): Blocked[] {
  const claim = local && !external ? objectOf(view.observed, "PersistentVolumeClaim", `data-${name}-0`) : undefined;
  if (claim === undefined) return [];
  const isLost = (claim.status as { phase?: string } | undefined)?.phase === "Lost";
  if (claim.metadata.deletionTimestamp === undefined && !isLost) return [];
  const what = isLost
    ? "has lost its volume"
    : `was deleted, and its volume goes with the pod, which is not restarted for that`;
  const remedy = `add another node and take ${name} out of the specification; its name may come back then`;
  return [{ gate: "storageBound", subject: name, message: `${claim.metadata.name} ${what}`, remedy }];
}
