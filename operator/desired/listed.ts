import type { Member } from "@keyfleet/crds/kms-node.ts";
import type { Observed } from "../ports/types.ts";
import { isOut, rankOf } from "./standing.ts";

/**
 * Members that any KmsNode lists or ever listed. Of one life of a node, the view that knows it to have come furthest is
 * right: nobody goes back. Of two lives, this site's own list is believed.
 */
export function listedMembers(observed: Observed): Map<string, Member> {
  const views = [...observed.sites].sort((a, b) => Number(a.local) - Number(b.local));
  const members = views.flatMap((site) => site.nodes.flatMap((node) => node.spec.members));
  const found = new Map<string, Member>();
  for (const member of members) {
    const before = found.get(member.name);
    found.set(member.name, before === undefined ? member : later(before, member));
  }
  return found;
}

/** Of two entries of the same name; the second is from the view that is believed more. */
function later(before: Member, next: Member): Member {
  if (!sameLife(before, next)) return next;
  const ahead = rankOf(before.standing) > rankOf(next.standing) ? before : next;
  const { lastSequence } = ahead;
  return { ...before, ...next, standing: ahead.standing, ...(lastSequence === undefined ? {} : { lastSequence }) };
}

/** One that joins after it has gone begins a new life, whose incarnation nobody may know yet. */
function sameLife(a: Member, b: Member): boolean {
  if (a.incarnation !== undefined && b.incarnation !== undefined) return a.incarnation === b.incarnation;
  const joins = a.standing === "Joining" || b.standing === "Joining";
  return !(joins && (isOut(a.standing) || isOut(b.standing)));
}
