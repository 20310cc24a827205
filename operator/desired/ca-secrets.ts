import type { KubernetesObject, Observed } from "../ports/types.ts";
import { lifeLeft } from "./certificates.ts";
import { objectsOf } from "./facts.ts";

/** A CA of this site: its certificate (PEM) and the Secret that holds it and its key. */
export interface OwnCa {
  readonly secret: string;
  readonly pem: string;
}

/** Name of the Secret that holds the key of this site's first CA; later ones have a number behind it. They never leave the site. */
export function siteCaName(cluster: string): string {
  return `keyfleet-${cluster}-ca`;
}

/** The CAs of this site that have not ended and whose Secrets are there, the oldest first. */
export function ownCas(observed: Observed): OwnCa[] {
  return allCas(observed).filter(({ pem }) => lifeLeft(pem, observed.nowMs) > 0);
}

/** Those that have ended too. */
export function allCas(observed: Observed): OwnCa[] {
  return caSecrets(observed).flatMap((secret) => {
    const pem = certificateOf(secret);
    return pem === undefined ? [] : [{ secret: secret.metadata.name, pem }];
  });
}

/** Names of the Secrets for CAs of this site that have no certificate. */
export function emptyCas(observed: Observed): string[] {
  return caSecrets(observed)
    .filter((secret) => certificateOf(secret) === undefined)
    .map(({ metadata }) => metadata.name);
}

/** All Secrets for CAs of this site, whatever is in them, in the order of their making. */
export function caSecrets(observed: Observed): KubernetesObject[] {
  const first = siteCaName(observed.cluster.metadata.name);
  return objectsOf(observed, "Secret")
    .filter(({ metadata }) => generationOf(first, metadata.name) > 0)
    .sort((a, b) => generationOf(first, a.metadata.name) - generationOf(first, b.metadata.name));
}

/** 1 for the first, 2 and more for later ones, 0 for another Secret. */
export function generationOf(first: string, name: string): number {
  if (name === first) return 1;
  const number = name.startsWith(`${first}-`) ? Number(name.slice(first.length + 1)) : 0;
  return Number.isSafeInteger(number) && number > 1 ? number : 0;
}

function certificateOf(secret: KubernetesObject): string | undefined {
  const encoded = (secret.data as Record<string, string> | undefined)?.["tls.crt"];
  return encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString("utf8").trim();
}
