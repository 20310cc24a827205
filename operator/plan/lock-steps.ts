import type { Membership } from "@keyfleet/crds/kms-node.ts";
import { begunAnnotation } from "../desired/consent.ts";
import type { NodeFacts } from "../desired/facts.ts";
import { rejoinMark } from "../desired/standing.ts";
import { unseenSite } from "./fleet-gates.ts";
import type { Blocked, FleetStep, View } from "./types.ts";

/** The step that takes the lock for an operation on a node. */
export function takeLock(operation: string, node: string, doing: string): FleetStep {
  return { kind: "actions", doing, actions: [{ kind: "takeLock", operation, node, because: doing }] };
}

/**
 * The step that tells a node of this site what to do about belonging; it keeps the consent to its new life. When that was
 * begun is written down: how long a node is at it shows whether it can go on.
 */
export function memberStep(view: View, facts: NodeFacts, membership: Membership, doing: string): FleetStep {
  const { name, node, listed } = facts;
  const ended = listed?.standing === "Departed" ? rejoinMark(listed) : node?.spec.membership.rejoin;
  const isNew = node?.spec.membership.action !== membership.action;
  const change = {
    membership: { ...membership, ...(ended === undefined ? {} : { rejoin: ended }) },
    ...(isNew ? { annotations: { [begunAnnotation]: new Date(view.observed.nowMs).toISOString() } } : {}),
  };
  return { kind: "node", node: name, change, doing };
}

/** The step that gives the lock back. */
export function releaseLock(because: string): FleetStep {
  return { kind: "actions", doing: "giving the fleet lock back", actions: [{ kind: "releaseLock", because }] };
}

/** The step without change, while another site holds the lock that this site needs. */
export function waitForLock(view: View, doing: string): FleetStep {
  const { holder = "another site" } = view.observed.lock;
  const message = `site ${holder} holds the fleet lock`;
  const blocked: Blocked = { gate: "lockHeld", subject: holder, message, remedy: "wait", passing: true };
  return { kind: "wait", doing, blocked: [blocked] };
}

/** The step without change, while the operator of another site is at work; that nobody sees that site is told. */
export function leaveToSite(view: View, site: string, doing: string): FleetStep {
  const blocked = unseenSite(view, site);
  return {
    kind: "wait",
    doing: blocked.length === 0 ? doing : `waiting for ${site} before going on with ${doing}`,
    blocked,
  };
}

/** Waits for gates of the fleet to open; the lock is not kept meanwhile, so that nobody is held up by who waits. */
export function waitUnlocked(view: View, doing: string, blocked: readonly Blocked[]): FleetStep {
  return view.observed.lock.heldByMe ? releaseLock(doing) : { kind: "wait", doing, blocked };
}
