import type { Observed } from "../ports/types.ts";
import { ownCas } from "./ca-secrets.ts";
import { certificateFacts, certificatesIn, lifeLeft } from "./certificates.ts";
import { givenUpCas } from "./consent.ts";
import { viewOf } from "./facts.ts";

/** A CA of this site whose Secret is gone: nothing can be signed with it, and what it signed is good and trusted. */
export interface LostCa {
  readonly pem: string;
  /** SHA-256, 16 hexadecimal digits: by it somebody consents to go on without it. */
  readonly fingerprint: string;
}

/** A new CA is made when this share of the newest one's life is left: a year of ten. */
export const renewedAt = 0.1;
/** So much later than it was made a CA at most begins, for the comparison of two: it is dated back by a day. */
const roundingMs = 2 * 24 * 3600_000;

/**
 * CAs of this site that nodes or clients go by and no Secret holds. Where another one was put into its place by hand, that one
 * is the CA: only of those that follow each other, as one that was renewed, each keeps its turn.
 */
export function lostCas(observed: Observed): LostCa[] {
  const held = ownCas(observed).map(({ pem }) => pem);
  const fingerprints = new Set(held.map((pem) => certificateFacts(pem)?.fingerprint));
  return knownCas(observed).filter(
    ({ pem, fingerprint }) =>
      !fingerprints.has(fingerprint) && held.every((one) => follows(one, pem) || follows(pem, one)),
  );
}

/** CAs of this site that have not ended and that nobody gave up, by what its operator wrote itself (decision 0022). */
export function knownCas(observed: Observed): LostCa[] {
  const givenUp = givenUpCas(observed);
  return everKnown(observed).filter(
    ({ pem, fingerprint }) => lifeLeft(pem, observed.nowMs) > 0 && !givenUp.has(fingerprint),
  );
}

/** Whether somebody consented to go on without a CA that this site had. */
export function isInsteadOfOne(observed: Observed): boolean {
  const givenUp = givenUpCas(observed);
  return everKnown(observed).some(({ fingerprint }) => givenUp.has(fingerprint));
}

/** From the certificates that this site's nodes have, and from the status by which its CA is told to other sites. */
function everKnown(observed: Observed): LostCa[] {
  const { site, cluster } = observed;
  const issuers = (viewOf(observed, site)?.nodes ?? []).flatMap(({ spec }) =>
    certificatesIn(spec.certificateChain ?? "").slice(1),
  );
  const published = cluster.status?.siteStatus?.find(({ name }) => name === site)?.caCertificate ?? "";
  const known = [...issuers, ...certificatesIn(published)].flatMap((pem) => {
    const facts = certificateFacts(pem);
    return facts === undefined ? [] : [[facts.fingerprint, { pem, fingerprint: facts.fingerprint }] as const];
  });
  return [...new Map(known).values()];
}

/** Whether a CA was made because that one's end came near. */
function follows(pem: string, before: string): boolean {
  const madeMs = certificateFacts(pem)?.fromMs;
  return madeMs !== undefined && lifeLeft(before, madeMs + roundingMs) <= renewedAt;
}
