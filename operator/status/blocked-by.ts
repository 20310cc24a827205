import type { BlockedBy } from "@keyfleet/crds/kms-cluster.ts";
import type { Blocked } from "../plan/types.ts";
import type { KmsCluster } from "../ports/types.ts";

/** As long as a message of the status may be, in characters. */
export const longestMessage = 512;
/** As many closed gates as the status may hold. */
export const mostBlocked = 64;

/** A closed gate as the status tells it: `since` stays as long as the same gate is closed by the same subject, whatever the message says. */
export function blockedBy(cluster: KmsCluster, { gate, subject, message, remedy }: Blocked, nowMs: number): BlockedBy {
  const before = cluster.status?.blockedBy?.find((one) => one.gate === gate && one.subject === subject);
  const since = before?.since ?? new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z");
  return {
    gate,
    subject: subject.slice(0, 253),
    message: message.slice(0, longestMessage),
    since,
    remedy: remedy.slice(0, longestMessage),
  };
}
