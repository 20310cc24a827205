import { begunAnnotation } from "../desired/consent.ts";
import { conditionOf, type NodeFacts, objectOf } from "../desired/facts.ts";
import type { KubernetesObject, Observed } from "../ports/types.ts";
import { clockDifferenceMs } from "./roll-gates.ts";
import type { View } from "./types.ts";

/** A node that was told something, or whose pod is new, needs no longer than this to be done with it. */
export const stepPatienceMs = 180_000;
/** What others hold may be much. It is no failure to take longer, only worth a look. */
const catchUpPatienceMs = 1_800_000;

/** Milliseconds since a node that does not serve was last given something new: a step, a pod, or the end of its service. */
export function idleMs(view: View, { name, node, local, external }: NodeFacts): number {
  const serving = conditionOf(node, "Serving");
  const saysSo = serving?.status !== "True";
  const pod = local ? objectOf(view.observed, "Pod", `${name}-0`) : undefined;
  const times = [
    node?.metadata.annotations?.[begunAnnotation],
    saysSo ? serving?.lastTransitionTime : undefined,
    ...(pod === undefined ? [] : timesOfPod(pod)),
    ...(local && !external && !saysSo && pod === undefined ? [missedSince(view.observed)] : []),
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

/** When a pod was made, became ready or not ready, and had to be gone. */
function timesOfPod({ metadata, status }: KubernetesObject): (string | undefined)[] {
  const ready = (status as PodStatus | undefined)?.conditions?.find(({ type }) => type === "Ready");
  return [metadata.creationTimestamp, ready?.lastTransitionTime, metadata.deletionTimestamp].map((time) =>
    time === undefined ? undefined : String(time),
  );
}

/** Of a pod that went before its node could say so, only the status of the fleet tells since when. */
function missedSince({ cluster, nowMs }: Observed): string {
  const ready = cluster.status?.conditions?.find(({ type }) => type === "Ready");
  return ready?.status === "False" ? ready.lastTransitionTime : new Date(nowMs).toISOString();
}
