import type { KmsNode, KmsNodeStatus, Member } from "@keyfleet/crds/kms-node.ts";
import type { NodeStore } from "../store/types.ts";

type Departures = NonNullable<KmsNodeStatus["departures"]>;

/** How far this node holds the log of each member that goes, itself included; durable, since the store's vector is. */
export function departures(node: KmsNode, store: Pick<NodeStore, "vector" | "incarnation">): Departures {
  const vector = store.vector();
  return node.spec.members.filter(isGoing).flatMap(({ name, incarnation: listed }) => {
    // Before the first report of a leaving node reached the list it knows its own log better.
    const incarnation = name === node.metadata.name ? store.incarnation : listed;
    return incarnation === undefined ? [] : [{ name, incarnation, sequence: vector.get(incarnation) ?? 0 }];
  });
}

/**
 * Whether this incarnation is out: the others do not speak to it any more. An entry for an earlier life of the node says
 * nothing about the present one.
 */
export function isOut(own: Member | undefined, incarnation: string | undefined): boolean {
  if (own?.standing !== "Fenced" && own?.standing !== "Departed") return false;
  return own.incarnation === undefined || incarnation === undefined || own.incarnation === incarnation;
}

function isGoing({ standing }: Member): boolean {
  return standing === "Leaving" || standing === "Fenced";
}
