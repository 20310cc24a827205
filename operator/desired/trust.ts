import type { KmsCluster, Observed } from "../ports/types.ts";
import { certificatesIn } from "./certificates.ts";
import { viewOf } from "./facts.ts";
import { knownCas } from "./lost-ca.ts";
import { trustedCas } from "./own-ca.ts";

/** Says whether a certificate is the CA of that site and can speak for nothing else. */
export type IsCaOfSite = (pem: string, owner: { readonly cluster: string; readonly site: string }) => boolean;

/**
 * The CA certificates (PEM, two while one is renewed) of each site of the specification, by site: from the site's own copy of
 * the KmsCluster, or the last ones that this site or its nodes saw. One that could speak for another site is left out.
 */
export function siteCas(observed: Observed, isCaOfSite: IsCaOfSite): Map<string, string> {
  const found = new Map<string, string>();
  // This site's copy may be a new one that has seen nothing yet, and the other site may be away: its nodes still know.
  const trusted = viewOf(observed, observed.site)?.nodes.find(({ spec }) => spec.trustBundle !== undefined)?.spec
    .trustBundle;
  for (const { name: site } of observed.cluster.spec.sites) {
    const candidates =
      site === observed.site
        ? ownTexts(observed)
        : [publishedCa(viewOf(observed, site)?.cluster, site), publishedCa(observed.cluster, site), trusted];
    const owner = { cluster: observed.cluster.metadata.name, site };
    const good = candidates
      .map((text) => certificatesIn(text ?? "").filter((pem) => isCaOfSite(pem, owner)))
      .find((pems) => pems.length > 0);
    if (good !== undefined) found.set(site, good.map((pem) => pem.trim()).join("\n"));
  }
  return found;
}

/** What signed certificates that are in use stays trusted, also where nothing good is held any more. */
function ownTexts(observed: Observed): string[] {
  const known = knownCas(observed).map(({ pem }) => pem);
  return [trustedCas(observed), known].map((pems) => pems.join("\n"));
}

/** PEM of all CAs by which the members know each other. */
export function trustBundle(cas: ReadonlyMap<string, string>): string {
  return [...cas.values()].map((pem) => `${pem}\n`).join("");
}

/** A ConfigMap of clients' CAs that is not there, or has not that key, or holds more than fits. */
export interface MissingBundle {
  readonly name: string;
  readonly key: string;
  readonly isTooMuch: boolean;
}

/** What the CRD has room for: some 170 certificates. With more no document of any node would be taken any more. */
const mostBundleCharacters = 262_144;

/** The CA certificates of clients out of the ConfigMaps that the specification names, and which of those are missing or too large. */
export function clientBundle(observed: Observed): { caBundle: string; missing: MissingBundle[] } {
  const missing: MissingBundle[] = [];
  let found = new Set<string>();
  for (const { name, key = "ca.crt" } of observed.cluster.spec.clients?.caBundleRefs ?? []) {
    const text = observed.references.get(`ConfigMap/${name}`)?.data?.[key];
    const certificates = onlyCertificates(text ?? "");
    const all = new Set([...found, ...certificates]);
    const isTooMuch = inOneText(all).length > mostBundleCharacters;
    if (isTooMuch || certificates.length === 0) missing.push({ name, key, isTooMuch });
    if (!isTooMuch) found = all;
  }
  return { caBundle: inOneText(found), missing };
}

function inOneText(certificates: ReadonlySet<string>): string {
  return [...certificates].map((pem) => `${pem}\n`).join("");
}

/** Certificates only: whatever else somebody put into the file (a key!) goes nowhere. */
function onlyCertificates(text: string): string[] {
  return certificatesIn(text).filter((pem) => pem.startsWith("-----BEGIN CERTIFICATE-----"));
}

function publishedCa(cluster: KmsCluster | undefined, site: string): string | undefined {
  return cluster?.status?.siteStatus?.find(({ name }) => name === site)?.caCertificate;
}
