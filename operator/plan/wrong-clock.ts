import { certificateFacts, certificatesIn } from "../desired/certificates.ts";
import { conditionOf } from "../desired/facts.ts";
import type { KmsNode } from "../ports/types.ts";
import type { Blocked, View } from "./types.ts";

/** What is signed by a clock that is wrong by so much is good all the same (act/certificates.ts). */
const dayMs = 24 * 3600_000;

/**
 * The operator's own clock is off: a node of its site, whose clock is held against time servers, finds its certificate good
 * when it is not by this clock, or the other way round, or due for renewal at another time. What a clock signs that is days
 * ahead no node takes before its time; it goes on with the one of before.
 */
export function wrongClock({ observed, desired }: View): Blocked[] {
  const { site, nowMs } = observed;
  const [witness] = desired.fleet.nodes.flatMap(({ name, local, siteReachable, node }) => {
    const finds = local && siteReachable && node !== undefined ? differenceOf(node, nowMs) : undefined;
    return finds === undefined ? [] : [{ name, finds }];
  });
  if (witness === undefined) return [];
  const day = new Date(nowMs).toISOString().slice(0, 10);
  const message = `site ${site}: the clock of its operator says ${day}, when the certificate of ${witness.name} ${witness.finds}`;
  const remedy = `set the clock of the machine of the operator in ${site} right; until then nodes may not be able to use what is signed there, and go on with the certificates that they have`;
  return [{ gate: "clockWithinBound", subject: site, message, remedy }];
}

/** How the clock of the operator differs from that of a node, which was measured, by what both make of its certificate. */
function differenceOf(node: KmsNode, nowMs: number): string | undefined {
  const certificate = certificateFacts(certificatesIn(node.spec.certificateChain ?? "")[0] ?? "");
  if (certificate === undefined || !isMeasured(node)) return undefined;
  const { fromMs, toMs } = certificate;
  const isNow = nowMs >= fromMs && nowMs < toMs;
  const dueMs = toMs - (toMs - fromMs) / 3;
  const { status, reason } = conditionOf(node, "Certificates") ?? {};
  if (reason === "OutOfTime") return isNow ? "is good, which it is not by the node's clock" : undefined;
  if (status !== "True") return undefined;
  if (!isNow) return "is not valid, and the node uses it";
  if (reason === "Valid" && nowMs > dueMs + dayMs) return "is due for renewal, which it is not by the node's clock";
  if (reason === "ExpiringSoon" && nowMs < dueMs - dayMs)
    return "is not due for renewal, which it is by the node's clock";
  return undefined;
}

/** Whether a node knows the time, and what it says of its certificate is of the one that it has by now. */
function isMeasured(node: KmsNode): boolean {
  const { observedGeneration } = node.status ?? {};
  if (observedGeneration !== undefined && observedGeneration !== node.metadata.generation) return false;
  return conditionOf(node, "TimeSynchronised")?.status === "True";
}
