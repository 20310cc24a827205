import { begunAnnotation } from "../desired/consent.ts";
import { conditionOf, type NodeFacts, objectOf } from "../desired/facts.ts";
import { clockDifferenceMs } from "./roll-gates.ts";
import type { View } from "./types.ts";

/** A node that was told something, or whose pod is new, needs no longer than this to be done with it. */
export const stepPatienceMs = 180_000;
/** What others hold may be much. It is no failure to take longer, only worth a look. */
const catchUpPatienceMs = 1_800_000;

/** Milliseconds since a node that does not serve was last given something new: a step, a pod, or the end of its service. */
export function idleMs(view: View, { name, node, local }: NodeFacts): number {
  const serving = conditionOf(node, "Serving");
  const times = [
    node?.metadata.annotations?.[begunAnnotation],
    serving?.status === "True" ? undefined : serving?.lastTransitionTime,
    ...(local ? timesOfPod(view, name) : []),
  ];
  const { nowMs } = view.observed;
  // What is yet to come was written by a clock that was wrong then.
  const past = times.map((time) => Date.parse(time ?? "")).filter((ms) => ms <= nowMs + clockDifferenceMs);
  return past.length === 0 ? 0 : nowMs - Math.max(...past);
}

/** Whether a node that was told to do something has had time enough for what it says that it does. */
export function isPatienceOver(view: View, facts: NodeFacts): boolean {
  const reason = conditionOf(facts.node, "Replicating")?.reason;
  return idleMs(view, facts) >= (reason === "CatchingUp" ? catchUpPatienceMs : stepPatienceMs);
}

interface PodStatus {
  readonly conditions?: readonly { readonly type: string; readonly lastTransitionTime?: string }[];
}

/** When a pod was made, and became ready or not ready. */
function timesOfPod(view: View, node: string): (string | undefined)[] {
  const pod = objectOf(view.observed, "Pod", `${node}-0`);
  if (pod === undefined) return [];
  const ready = (pod.status as PodStatus | undefined)?.conditions?.find(({ type }) => type === "Ready");
  return [String(pod.metadata.creationTimestamp), ready?.lastTransitionTime];
}
