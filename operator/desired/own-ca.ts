import type { Observed } from "../ports/types.ts";
import { allCas, caSecrets, generationOf, type OwnCa, ownCas, siteCaName } from "./ca-secrets.ts";
import { certificateFacts, lifeLeft } from "./certificates.ts";
import { lostCas, renewedAt } from "./lost-ca.ts";

/** The new one signs when this share of the old one's life is left: until then clients are given it too. */
const replacedAt = 0.05;

/** PEM of the CAs by which the certificates of this site's nodes are known, the oldest first: lost ones too. */
export function trustedCas(observed: Observed): string[] {
  const held = ownCas(observed).map(({ pem }) => pem);
  const lost = lostCas(observed).map(({ pem }) => pem);
  return lost.length === 0 ? held : [...held, ...lost].sort((a, b) => beginMs(a) - beginMs(b));
}

/**
 * The CA that signs now: the older one, until its end comes near and every node of the fleet trusts the newer one. Sites
 * that are named lost are not waited for. Undefined until one was made, and while the one whose turn it is is lost.
 */
export function signingCa(observed: Observed): OwnCa | undefined {
  const due = dueCa(observed);
  return ownCas(observed).find(({ pem }) => pem === due);
}

function dueCa(observed: Observed): string | undefined {
  const cas = trustedCas(observed);
  if (cas.length <= 1) return cas[0];
  const trusted = cas.filter((pem) => isTrustedByAll(observed, pem));
  const oldest = trusted[0];
  if (oldest !== undefined && lifeLeft(oldest, observed.nowMs) > replacedAt) return oldest;
  return trusted.at(-1) ?? cas[0];
}

/** When a CA begins, where that is later than now. */
export function beginsLater({ pem }: OwnCa, nowMs: number): string | undefined {
  const fromMs = beginMs(pem);
  return fromMs > nowMs ? new Date(fromMs).toISOString() : undefined;
}

/** Name of the Secret for the CA that is to be made now; undefined when none is. In the place of a lost one: by consent only. */
export function caToMake(observed: Observed): string | undefined {
  if (lostCas(observed).length > 0) return undefined;
  const cas = allCas(observed);
  const newest = cas.at(-1);
  const first = siteCaName(observed.cluster.metadata.name);
  // Whatever is there under that name is never replaced: it may be all that is left of a CA.
  if (newest === undefined) return caSecrets(observed).length === 0 ? first : undefined;
  return lifeLeft(newest.pem, observed.nowMs) > renewedAt
    ? undefined
    : `${first}-${generationOf(first, newest.secret) + 1}`;
}

function beginMs(pem: string): number {
  return certificateFacts(pem)?.fromMs ?? 0;
}

function isTrustedByAll(observed: Observed, pem: string): boolean {
  const lost = observed.cluster.spec.recovery?.lostSites ?? [];
  const nodes = observed.sites.filter(({ name }) => !lost.includes(name)).flatMap((site) => site.nodes);
  return nodes.every(({ spec }) => spec.trustBundle === undefined || spec.trustBundle.includes(pem));
}
