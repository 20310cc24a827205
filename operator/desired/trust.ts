import type { KmsCluster, Observed } from "../ports/types.ts";
import { objectOf, viewOf } from "./facts.ts";

/** Says whether a certificate is the CA of that site and can speak for nothing else. */
export type IsCaOfSite = (pem: string, owner: { readonly cluster: string; readonly site: string }) => boolean;

/** Name of the Secret that holds the key of this site's CA; it never leaves the site. */
export function siteCaName(cluster: string): string {
  return `keyfleet-${cluster}-ca`;
}

/** PEM of this site's CA certificate; undefined until it was made. */
export function ownCa(observed: Observed): string | undefined {
  const secret = objectOf(observed, "Secret", siteCaName(observed.cluster.metadata.name));
  const encoded = (secret?.data as Record<string, string> | undefined)?.["tls.crt"];
  return encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString("utf8").trim();
}

/**
 * The CA certificate of each site of the specification, by site: from the site's own copy of the KmsCluster, or the last
 * one that this site saw. One that could speak for another site is left out.
 */
export function siteCas(observed: Observed, isCaOfSite: IsCaOfSite): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name: site } of observed.cluster.spec.sites) {
    const candidates =
      site === observed.site
        ? [ownCa(observed)]
        : [publishedCa(viewOf(observed, site)?.cluster, site), publishedCa(observed.cluster, site)];
    const owner = { cluster: observed.cluster.metadata.name, site };
    const good = candidates.find((pem) => pem !== undefined && isCaOfSite(pem, owner));
    if (good !== undefined) found.set(site, good.trim());
  }
  return found;
}

/** PEM of all CAs by which the members know each other. */
export function trustBundle(cas: ReadonlyMap<string, string>): string {
  return [...cas.values()].map((pem) => `${pem}\n`).join("");
}

/** A ConfigMap of clients' CAs that is not there, or has not that key. */
export interface MissingBundle {
  readonly name: string;
  readonly key: string;
}

/** The CA certificates of clients out of the ConfigMaps that the specification names, and which of those are missing. */
export function clientBundle(observed: Observed): { caBundle: string; missing: MissingBundle[] } {
  const found: string[] = [];
  const missing: MissingBundle[] = [];
  for (const { name, key = "ca.crt" } of observed.cluster.spec.clients?.caBundleRefs ?? []) {
    const text = observed.references.get(`ConfigMap/${name}`)?.data?.[key];
    const certificates = certificatesIn(text ?? "");
    if (certificates.length === 0) missing.push({ name, key });
    found.push(...certificates);
  }
  return { caBundle: [...new Set(found)].map((pem) => `${pem}\n`).join(""), missing };
}

/** Certificates only: whatever else somebody put into the file (a key!) goes nowhere. */
function certificatesIn(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
}

function publishedCa(cluster: KmsCluster | undefined, site: string): string | undefined {
  return cluster?.status?.siteStatus?.find(({ name }) => name === site)?.caCertificate;
}
