import type { KmsNode, Member } from "@keyfleet/crds/kms-node.ts";

/** How far a node has come. Derived from what its KmsNode says and from what other KmsNodes say of it, never stored. */
export type Standing = "Absent" | "Waiting" | "Founding" | Member["standing"];

const order: readonly Member["standing"][] = ["Joining", "Member", "Leaving", "Fenced", "Departed"];

/** Place of a standing in the order in which a life of a node passes through them; it never goes back. */
export function rankOf(standing: Member["standing"]): number {
  return order.indexOf(standing);
}

/** Whether a member is on its way out or has gone. */
export function isOut(standing: Standing): boolean {
  return standing === "Leaving" || standing === "Fenced" || standing === "Departed";
}

/**
 * The standing of a node that is on its way out or has gone: once it was listed so it stays so, whatever its own KmsNode
 * (of a site that was away) still says. Undefined when it is not, or when what is there now is a new life of it.
 */
export function outStanding(node: KmsNode | undefined, listed: Member | undefined): Standing | undefined {
  const asked = node?.spec.membership.action === "Leave" ? "Leaving" : undefined;
  if (listed === undefined || !isOut(listed.standing) || isNewLife(node, listed)) return asked;
  return listed.standing;
}

/** What membership.rejoin names: the life that has ended; "none" when that never had a log. */
export function rejoinMark(listed: Member | undefined): string {
  return listed?.incarnation ?? "none";
}

/** It waits or joins again after having departed: by consent, or with an empty volume. */
function isNewLife(node: KmsNode | undefined, listed: Member): boolean {
  if (node === undefined) return false;
  const { action, rejoin } = node.spec.membership;
  const incarnation = node.status?.incarnation;
  const isOther = incarnation === undefined || incarnation !== listed.incarnation;
  if (action === "None") return isOther && (listed.standing === "Departed" || rejoin === rejoinMark(listed));
  return rejoin === rejoinMark(listed);
}
