import type { NodeFacts } from "../desired/facts.ts";
import type { Action, KubernetesObject } from "../ports/types.ts";
import type { Blocked, LocalPolicy, View } from "./types.ts";

/** Deletes what belongs to a node that the specification does not name any more and that never joined. Its volume stays. */
export const removeUnjoined: LocalPolicy = ({ desired, observed }) =>
  desired.nodes.flatMap(({ facts }): Action[] => {
    if (!isRemoved(facts) || facts.standing !== "Waiting" || facts.node?.status?.clusterId !== undefined) return [];
    if (observed.lock.node === facts.name) return [];
    const object = facts.node as unknown as KubernetesObject;
    return [{ kind: "delete", object, because: `${facts.name} is not in the specification and never joined` }];
  });

/** Members that the specification does not name any more: they stay, and this says so. */
export function removedMembers({ desired }: View): Blocked[] {
  return desired.fleet.nodes
    .filter((node) => isRemoved(node) && belongs(node))
    .map(({ name, site }) => ({
      gate: "removalSupported",
      subject: name,
      message: `${name} is a member and cannot be removed in 0.1.0; it stays`,
      remedy: `put ${name} back into spec.sites (site ${site})`,
    }));
}

/** Whether the plan deletes the node, so that nothing of it is made again. */
export function isGoing(facts: NodeFacts): boolean {
  return isRemoved(facts) && facts.standing === "Waiting" && facts.node?.status?.clusterId === undefined;
}

function isRemoved({ entry }: NodeFacts): boolean {
  return entry === undefined;
}

function belongs({ standing }: NodeFacts): boolean {
  return standing === "Member" || standing === "Joining" || standing === "Founding";
}
