import { isPaused } from "../desired/staging.ts";
import type { Blocked, View } from "./types.ts";

/** Closed while spec.pause stops what the specification drives; what was begun is finished all the same. */
export function notPaused({ observed }: View, what: string): Blocked[] {
  if (!isPaused(observed.cluster)) return [];
  const subject = observed.cluster.metadata.name;
  return [{ gate: "notPaused", subject, message: `paused before ${what}`, remedy: "set spec.pause to None" }];
}
