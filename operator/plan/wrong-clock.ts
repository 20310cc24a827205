import { isNow } from "../desired/certificates.ts";
import { conditionOf } from "../desired/facts.ts";
import type { Blocked, View } from "./types.ts";

/**
 * The operator's own clock is years or weeks off: a node of its site, whose clock is held against time servers, uses a
 * certificate that is not good by it. No node's certificate is renewed then (act/certificates.ts).
 */
export function wrongClock({ observed, desired }: View): Blocked[] {
  const { site, nowMs } = observed;
  const witness = desired.fleet.nodes.find(
    ({ local, siteReachable, node }) =>
      local &&
      siteReachable &&
      conditionOf(node, "TimeSynchronised")?.status === "True" &&
      conditionOf(node, "Certificates")?.status === "True" &&
      !isNow(node?.spec.certificateChain ?? "", nowMs),
  );
  if (witness === undefined) return [];
  const day = new Date(nowMs).toISOString().slice(0, 10);
  const message = `site ${site}: the clock of its operator says ${day}, when the certificate that ${witness.name} uses is not valid`;
  const remedy = `set the clock of the machine of the operator in ${site} right; until then no certificate is renewed there`;
  return [{ gate: "clockWithinBound", subject: site, message, remedy }];
}
