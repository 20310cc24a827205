import { rollingAnnotation, settingsBeforeAnnotation } from "../desired/consent.ts";
import type { DesiredNode } from "../desired/desired.ts";
import { settingsAreBack, withoutWaiting } from "../desired/staging.ts";
import type { KmsNode } from "../ports/types.ts";
import { hasReachedPod, isApplied } from "./pod-revision.ts";
import { isInTheWay } from "./roll.ts";
import type { View } from "./types.ts";

/**
 * The KmsNode without settings that wait for its pod: when they have reached it, or when they are in the way of another
 * node that does not serve. Then they are taken back, so that never two nodes could come up with them by accident; its turn
 * comes again. Nobody is taken down by that, so it needs no lock. What it had before stays noted until its StatefulSet has
 * that again: the next pod would still be made with what is in there.
 */
export function settleWaiting(view: View, { kmsNode, facts }: DesiredNode): KmsNode {
  if (facts.node?.metadata.annotations?.[settingsBeforeAnnotation] === undefined) return kmsNode;
  // With those of before in its StatefulSet none waits, whatever else the next pod brings: another version.
  const isSettled = hasReachedPod(view, facts) || (settingsAreBack(facts) && isApplied(view, facts));
  if (isSettled) return without(kmsNode, settingsBeforeAnnotation);
  const settings = isInTheWay(view, facts) ? withoutWaiting(facts) : undefined;
  if (settings === undefined) return kmsNode;
  const isOver = facts.node.status?.version === facts.node.spec.version;
  const back = { ...kmsNode, spec: { ...kmsNode.spec, settings } };
  return isOver ? without(back, rollingAnnotation) : back;
}

function without(kmsNode: KmsNode, ...names: readonly string[]): KmsNode {
  const left = Object.entries(kmsNode.metadata.annotations ?? {}).filter(([name]) => !names.includes(name));
  const { annotations: _all, ...metadata } = kmsNode.metadata;
  return {
    ...kmsNode,
    metadata: { ...metadata, ...(left.length === 0 ? {} : { annotations: Object.fromEntries(left) }) },
  };
}
