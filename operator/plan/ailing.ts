import { conditionOf, type NodeFacts } from "../desired/facts.ts";
import type { Blocked, View } from "./types.ts";

/** What passes by itself does so in less: a certificate that is being signed, a page that is read again. */
const passingMs = 60_000;

/** What a node may lack while it serves, and what to do about it. What its message says already is not said again. */
const ailments: readonly {
  readonly type: "Replicating" | "StoreIntact" | "Certificates" | "SettingsApplied";
  readonly reasons: readonly string[];
  readonly remedy: (node: NodeFacts) => string;
}[] = [
  {
    type: "Replicating",
    reasons: ["DiskFull"],
    remedy: ({ name }) =>
      `make room: raise storage.size of ${name}, where its storage class can grow volumes; it writes again by itself`,
  },
  {
    type: "Replicating",
    reasons: ["LogRefused"],
    remedy: ({ name }) =>
      `take ${name} out of the document, and add it again when it has left; what it wrote meanwhile is on its disk only`,
  },
  {
    type: "StoreIntact",
    reasons: ["ObjectsDamaged", "PagesDamaged", "Damaged"],
    remedy: ({ name }) =>
      `find out who or what changed its volume; then take ${name} out of the document and add it again`,
  },
  {
    type: "Certificates",
    reasons: ["Invalid", "OutOfTime", "Requested"],
    remedy: ({ site }) =>
      `correct the Secret of interfaces.*.certificateSecretRef where it has one; else see the log of the operator in ${site}`,
  },
  {
    type: "SettingsApplied",
    reasons: ["Invalid", "NotSupported"],
    remedy: () => "correct the field that the message names, or what it refers to",
  },
];

/**
 * Wanted members of this site that serve and still say that something is wrong with them. Nothing waits for that, and nobody
 * would look: all nodes serve.
 */
export function ailingMembers(view: View): Blocked[] {
  return view.desired.fleet.nodes
    .filter(({ local, siteReachable, entry, serving }) => local && siteReachable && entry !== undefined && serving)
    .flatMap((facts) => ailmentOf(view, facts));
}

function ailmentOf(view: View, facts: NodeFacts): Blocked[] {
  for (const { type, reasons, remedy } of ailments) {
    const condition = conditionOf(facts.node, type);
    if (condition?.status !== "False" || !reasons.includes(condition.reason)) continue;
    if (view.observed.nowMs - Date.parse(condition.lastTransitionTime) < passingMs) continue;
    const message = `${facts.name} serves, but ${type} is ${condition.reason}: ${condition.message}`;
    return [{ gate: "memberServes", subject: facts.name, message, remedy: remedy(facts) }];
  }
  return [];
}
