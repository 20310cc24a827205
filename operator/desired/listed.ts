import type { KmsNode, Member } from "@keyfleet/crds/kms-node.ts";
import type { Observed } from "../ports/types.ts";
import { isOut, rankOf } from "./standing.ts";

/**
 * Members that any KmsNode lists or ever listed. Of one life of a node, the view that knows it to have come furthest is
 * right: nobody goes back. Of two lives, this site's own list is believed. The end of a log that has ended only rises.
 */
export function listedMembers(observed: Observed): Map<string, Member> {
  const views = [...observed.sites].sort((a, b) => Number(a.local) - Number(b.local));
  const members = views.flatMap((site) => site.nodes.flatMap((node) => node.spec.members));
  const found = new Map<string, Member>();
  for (const member of members) {
    const before = found.get(member.name);
    found.set(member.name, before === undefined ? member : later(before, member));
  }
  const nodes = views.flatMap((site) => site.nodes);
  for (const member of found.values())
    if (member.standing === "Departed") found.set(member.name, withHighestEnd(member, nodes, found));
  return found;
}

/**
 * Members agreed on the end of its log, but one that was away meanwhile may have taken in more of it before. Those are
 * acknowledged writes: the end rises to what any member says that it holds, so that all others take them in too.
 */
function withHighestEnd(member: Member, nodes: readonly KmsNode[], listed: ReadonlyMap<string, Member>): Member {
  const { incarnation, lastSequence } = member;
  if (incarnation === undefined || lastSequence === undefined) return member;
  const stays = (standing: Member["standing"] | undefined) => standing === "Member" || standing === "Leaving";
  const held = nodes
    .filter(({ metadata }) => stays(listed.get(metadata.name)?.standing))
    .flatMap(({ status }) => status?.departures ?? [])
    .filter((one) => one.incarnation === incarnation)
    .map(({ sequence }) => sequence);
  const highest = Math.max(lastSequence, ...held);
  return highest === lastSequence ? member : { ...member, lastSequence: highest };
}

/** Of two entries of the same name; the second is from the view that is believed more. */
function later(before: Member, next: Member): Member {
  if (!sameLife(before, next)) return next;
  const ahead = rankOf(before.standing) > rankOf(next.standing) ? before : next;
  const lastSequence = ends(before, next) ?? ahead.lastSequence;
  return { ...before, ...next, standing: ahead.standing, ...(lastSequence === undefined ? {} : { lastSequence }) };
}

/** The higher of two ends of the same log. */
function ends(a: Member, b: Member): number | undefined {
  if (a.lastSequence === undefined || b.lastSequence === undefined) return undefined;
  return Math.max(a.lastSequence, b.lastSequence);
}

/** One that joins after it has gone begins a new life, whose incarnation nobody may know yet. */
function sameLife(a: Member, b: Member): boolean {
  if (a.incarnation !== undefined && b.incarnation !== undefined) return a.incarnation === b.incarnation;
  const joins = a.standing === "Joining" || b.standing === "Joining";
  return !(joins && (isOut(a.standing) || isOut(b.standing)));
}
