import { X509Certificate } from "node:crypto";
import { validityIndicator } from "../objects/enumerations.ts";
import { pathHolds } from "./certificate-path.ts";

/** Certificates of one chain that are looked at. */
export const chainMax = 10;

/**
 * Whether certificates, in any order, make one chain: each signed by the next, all valid at the date, each issuer a CA that may
 * issue the ones below it, the last one signed by itself. Invalid if a link or a date is wrong; unknown if no fault is found but the
 * chain has no end that is its own root.
 */
export function chainValidity(certificates: readonly Buffer[], at: Date): number {
  const chain = inOrder(certificates);
  if (chain === undefined) return validityIndicator.invalid;
  const inTime = chain.every((each) => each.validFromDate <= at && at <= each.validToDate);
  if (!inTime || !pathHolds(chain) || !isLinked(chain)) return validityIndicator.invalid;
  const root = chain.at(-1);
  const rooted = root?.checkIssued(root) === true && root.verify(root.publicKey);
  return rooted ? validityIndicator.valid : validityIndicator.unknown;
}

function isLinked(chain: readonly X509Certificate[]): boolean {
  return chain.every((each, index) => {
    const issuer = chain[index + 1];
    return issuer === undefined || (issuer.ca && each.checkIssued(issuer) && each.verify(issuer.publicKey));
  });
}

/** From the leaf to the root; undefined if the certificates are not one chain, or not readable. */
function inOrder(bytes: readonly Buffer[]): X509Certificate[] | undefined {
  let left: X509Certificate[];
  try {
    left = bytes.map((each) => new X509Certificate(each));
  } catch {
    return undefined;
  }
  const isIssuer = (one: X509Certificate) => left.some((other) => other !== one && other.checkIssued(one));
  let next = left.find((each) => !isIssuer(each)) ?? left[0];
  const chain: X509Certificate[] = [];
  while (next !== undefined) {
    const current = next;
    chain.push(current);
    left = left.filter((each) => each !== current);
    next = left.find((each) => current.checkIssued(each));
  }
  return left.length === 0 ? chain : undefined;
}
