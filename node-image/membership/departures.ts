import type { KmsNode, KmsNodeStatus, Member } from "@keyfleet/crds/kms-node.ts";
import type { NodeStore } from "../store/types.ts";

type Departures = NonNullable<KmsNodeStatus["departures"]>;

/** The contract has room for no more (crds/manifests/kmsnodes.yaml). */
const mostDepartures = 64;

/**
 * How far this node holds the log of each member that goes, itself included, and of each that has departed when that is
 * more than the others agreed on; durable, since the store's vector is. Of its own log, when the others take no more of it,
 * as far as they hold it: nobody would else ever hold all, and it could not leave.
 */
export function departures(
  node: KmsNode,
  store: Pick<NodeStore, "vector" | "incarnation">,
  ownLogRefused?: { readonly held: number },
): Departures {
  const vector = new Map(store.vector());
  if (ownLogRefused !== undefined) vector.set(store.incarnation, ownLogRefused.held);
  const going = node.spec.members.filter(isGoing).flatMap(({ name, incarnation: listed }) => {
    // Before the first report of a leaving node reached the list it knows its own log better.
    const incarnation = name === node.metadata.name ? store.incarnation : listed;
    return incarnation === undefined ? [] : [{ name, incarnation, sequence: vector.get(incarnation) ?? 0 }];
  });
  return [...going, ...beyondTheirEnd(node, store)].slice(0, mostDepartures);
}

/**
 * What this node took in of a departed member before it heard of its end: acknowledged writes, which the others refuse
 * until the operator has raised the end to this. What a departed node says of its own log does not count.
 */
function beyondTheirEnd(node: KmsNode, store: Pick<NodeStore, "vector" | "incarnation">): Departures {
  const vector = store.vector();
  return node.spec.members.flatMap(({ name, standing, incarnation, lastSequence }) => {
    if (standing !== "Departed" || incarnation === undefined || lastSequence === undefined) return [];
    const sequence = vector.get(incarnation) ?? 0;
    return sequence > lastSequence && incarnation !== store.incarnation ? [{ name, incarnation, sequence }] : [];
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
