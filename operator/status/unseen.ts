import type { KmsClusterStatus } from "@keyfleet/crds/kms-cluster.ts";
import type { KmsCluster, Refusal } from "../ports/types.ts";
import { blockedBy, longestMessage, mostBlocked } from "./blocked-by.ts";

/**
 * The status of a fleet over which nothing is done here, because this site's API server does not let the operator look at what
 * belongs to it: all that was told before, and that. Pure.
 */
export function unseenStatus(cluster: KmsCluster, refusals: readonly Refusal[], nowMs: number): KmsClusterStatus {
  const blocked = refusals.map(({ kind, refusal }) => {
    const message = `the operator may not look at objects of kind ${kind}, so it does nothing here: ${refusal}`;
    const remedy = "give its account the rights of the chart's Role again (helm upgrade); it goes on by itself";
    return blockedBy(cluster, { gate: "apiAccepts", subject: kind, message, remedy }, nowMs);
  });
  const kinds = refusals.map(({ kind }) => kind);
  const before = cluster.status?.blockedBy ?? [];
  const rest = before.filter(({ gate, subject }) => gate !== "apiAccepts" || !kinds.includes(subject));
  return {
    ...cluster.status,
    message: `waiting: the operator may not look at objects of kind ${kinds.join(", ")}`.slice(0, longestMessage),
    blockedBy: [...blocked, ...rest].slice(0, mostBlocked),
  };
}
