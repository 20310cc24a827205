import { conditionOf, type NodeFacts, objectOf } from "../desired/facts.ts";
import type { Action, KubernetesObject } from "../ports/types.ts";
import { closedFleetGates } from "./fleet-gates.ts";
import { takeLock, waitUnlocked } from "./lock-steps.ts";
import type { Blocked, FleetPolicy, LocalPolicy, View } from "./types.ts";

/** A node that does not serve gets a pod of the newest specification at once, so that a bad one can always be corrected. */
export const restartIdle: LocalPolicy = (view) =>
  view.desired.nodes
    .filter(({ facts }) => !facts.serving && restartPending(view, facts))
    .flatMap(({ facts }) => deletePod(view, facts));

/** A member that serves with a pod out of date is restarted under the lock, one at a time, while the others serve. */
export const restartOne: FleetPolicy = (view) => {
  const node = view.desired.fleet.nodes.find((facts) => facts.local && facts.serving && restartPending(view, facts));
  if (node === undefined) return undefined;
  const doing = `restarting ${node.name}`;
  const blocked = [...closedFleetGates(view, node), ...othersServe(view, node)];
  if (blocked.length > 0) return waitUnlocked(view, `waiting to restart ${node.name}`, blocked);
  const { lock } = view.observed;
  if (!lock.heldByMe) return takeLock("restart", node.name, doing);
  const actions = deletePod(view, node).map((action) => ({ ...action, needsLock: true as const }));
  return { kind: "actions", doing, actions };
};

/** Whether the pod of a node of this site is older than what it should be made from. */
export function restartPending(view: View, facts: NodeFacts): boolean {
  const pod = objectOf(view.observed, "Pod", `${facts.name}-0`);
  if (!facts.local || pod === undefined || pod.metadata.deletionTimestamp !== undefined) return false;
  return (
    revisionIsOld(objectOf(view.observed, "StatefulSet", facts.name), pod) ||
    accountIsNewer(objectOf(view.observed, "ServiceAccount", facts.name), pod) ||
    asksForRestart(facts, pod)
  );
}

/** The token in a pod dies with the account that it was made for: such a node would never hear of its document again. */
function accountIsNewer(account: KubernetesObject | undefined, pod: KubernetesObject): boolean {
  const made = (object: KubernetesObject | undefined) => Date.parse(String(object?.metadata.creationTimestamp));
  return made(account) > made(pod);
}

interface SetStatus {
  readonly observedGeneration?: number;
  readonly updateRevision?: string;
}

function revisionIsOld(set: KubernetesObject | undefined, pod: KubernetesObject): boolean {
  const status = set?.status as SetStatus | undefined;
  // Kubernetes has not looked at the newest StatefulSet yet, so its revision says nothing.
  if (status?.updateRevision === undefined || status.observedGeneration !== set?.metadata.generation) return false;
  return pod.metadata.labels?.["controller-revision-hash"] !== status.updateRevision;
}

/** Only what the node said after this pod began; an older word is about the pod before. */
function asksForRestart(facts: NodeFacts, pod: KubernetesObject): boolean {
  const settings = conditionOf(facts.node, "SettingsApplied");
  if (settings?.status !== "False" || settings.reason !== "RestartNeeded") return false;
  return Date.parse(settings.lastTransitionTime) > Date.parse(String(pod.metadata.creationTimestamp));
}

type DeleteAction = Extract<Action, { kind: "delete" }>;

function othersServe(view: View, node: NodeFacts): Blocked[] {
  const others = view.desired.fleet.nodes.filter(({ standing, name }) => standing === "Member" && name !== node.name);
  const down = others.filter(({ serving }) => !serving);
  if (others.length > 0 && down.length === 0) return [];
  const why =
    others.length === 0
      ? "no other node serves meanwhile"
      : `${down.map(({ name }) => name).join(", ")} does not serve`;
  const remedy =
    others.length === 0 ? `delete the pod ${node.name}-0 when an interruption suits` : "mend the other nodes first";
  return [{ gate: "fleetKeepsServing", subject: node.name, message: `must restart, but ${why}`, remedy }];
}

function deletePod(view: View, { name }: NodeFacts): DeleteAction[] {
  const object = objectOf(view.observed, "Pod", `${name}-0`);
  return object === undefined
    ? []
    : [{ kind: "delete", object, because: `${name} needs a pod of its newest specification` }];
}
