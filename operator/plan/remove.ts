import { hasConsent, rejoinAnnotation } from "../desired/consent.ts";
import type { NodeFacts } from "../desired/facts.ts";
import type { Action, KubernetesObject } from "../ports/types.ts";
import { markVolume } from "./kept-volumes.ts";
import { notPaused } from "./pause.ts";
import { hasHeard } from "./removal.ts";
import { neededMembers } from "./serving-gates.ts";
import type { Blocked, LocalPolicy, View } from "./types.ts";

/** Deletes what belongs to a node that the specification does not name and that never joined or has departed. The volume stays. */
export const removeObjects: LocalPolicy = (view) =>
  view.desired.nodes.flatMap(({ facts }): Action[] => {
    if (!isGoing(view, facts) || facts.node === undefined) return [];
    if (facts.standing === "Waiting" && view.observed.lock.node === facts.name) return [];
    const object = facts.node as unknown as KubernetesObject;
    const why = facts.standing === "Departed" ? "has departed" : "never joined";
    const because = `${facts.name} is not in the specification and ${why}`;
    return [...markVolume(view, facts), { kind: "delete", object, because }];
  });

/** Whether the plan deletes the node, so that nothing of it is made again. */
export function isGoing(view: View, facts: NodeFacts): boolean {
  if (facts.entry !== undefined) return false;
  if (facts.standing === "Departed") return isKnownToHaveDeparted(view, facts);
  if (facts.standing !== "Waiting" || notPaused(view, "").length > 0) return false;
  return facts.node?.status?.clusterId === undefined;
}

/** Whether every member that counts refuses what that node might still write. */
export function isKnownToHaveDeparted(view: View, { name }: NodeFacts): boolean {
  return neededMembers(view).every((member) => hasHeard(member, name, "Departed"));
}

/** Nodes that have departed and are named again: their old volume is wiped by consent only. */
export function returnedMembers(view: View): Blocked[] {
  const { name: fleet, namespace = "default" } = view.observed.cluster.metadata;
  return view.desired.fleet.nodes
    .filter((node) => node.entry !== undefined && node.standing === "Departed" && !hasConsent(view.observed, node))
    .map(({ name }) => ({
      gate: "rejoinConsent",
      subject: name,
      message: `${name} has left the fleet and still has its old volume, which it must not use`,
      remedy: `to wipe the volume and let it join as a new node: kubectl -n ${namespace} annotate --overwrite kms ${fleet} ${rejoinAnnotation}=${name}`,
    }));
}
