import type { BlockedBy } from "@keyfleet/crds/kms-cluster.ts";
import type { View } from "../plan/types.ts";

/**
 * What the operators of other sites say of themselves and of their own nodes, whose pods and Secrets only they see.
 * Nobody repeats what he was told, so a word is gone as soon as its own site takes it back.
 */
export function toldElsewhere({ observed, desired }: View): BlockedBy[] {
  return observed.sites.flatMap(({ name, local, reachable, cluster }) => {
    if (local || !reachable) return [];
    const own = new Set([name, ...desired.fleet.nodes.filter(({ site }) => site === name).map((node) => node.name)]);
    return (cluster?.status?.blockedBy ?? []).filter(({ subject }) => own.has(subject));
  });
}
