import { X509Certificate } from "node:crypto";
import type { KubernetesObject, Observed } from "../ports/types.ts";
import { objectsOf } from "./facts.ts";

/** A CA of this site: its certificate (PEM) and the Secret that holds it and its key. */
export interface OwnCa {
  readonly secret: string;
  readonly pem: string;
}

/** A new CA is made when this share of the newest one's life is left: a year of ten. */
const renewedAt = 0.1;
/** The new one signs when this share of the old one's life is left: until then clients are given it too. */
const replacedAt = 0.05;

/** Name of the Secret that holds the key of this site's first CA; later ones have a number behind it. They never leave the site. */
export function siteCaName(cluster: string): string {
  return `keyfleet-${cluster}-ca`;
}

/** The CAs of this site that have not ended, the oldest first. */
export function ownCas(observed: Observed): OwnCa[] {
  return allCas(observed).filter(({ pem }) => lifeLeft(pem, observed.nowMs) > 0);
}

/**
 * The CA that signs now: the older one, until its end comes near and every node of the fleet trusts the newer one. Sites
 * that are named lost are not waited for. Undefined until one was made.
 */
export function signingCa(observed: Observed): OwnCa | undefined {
  const cas = ownCas(observed);
  if (cas.length <= 1) return cas[0];
  const trusted = cas.filter(({ pem }) => isTrustedByAll(observed, pem));
  const oldest = trusted[0];
  if (oldest !== undefined && lifeLeft(oldest.pem, observed.nowMs) > replacedAt) return oldest;
  return trusted.at(-1) ?? cas[0];
}

/** Names of the Secrets for CAs of this site that have no certificate. */
export function emptyCas(observed: Observed): string[] {
  return caSecrets(observed)
    .filter((secret) => certificateOf(secret) === undefined)
    .map(({ metadata }) => metadata.name);
}

/** When a CA begins, where that is later than now. */
export function beginsLater({ pem }: OwnCa, nowMs: number): string | undefined {
  const life = lifeOfCa(pem);
  return life !== "unreadable" && life.fromMs > nowMs ? new Date(life.fromMs).toISOString() : undefined;
}

/** Whether a certificate (the first of a PEM text) is good at that time; one that cannot be read says nothing. */
export function isNow(pem: string, nowMs: number): boolean {
  const life = lifeOfCa(certificatesIn(pem)[0] ?? "");
  return life === "unreadable" || (nowMs >= life.fromMs && nowMs < life.toMs);
}

/** Name of the Secret for the CA that is to be made now; undefined when none is. */
export function caToMake(observed: Observed): string | undefined {
  const cas = allCas(observed);
  const newest = cas.at(-1);
  const first = siteCaName(observed.cluster.metadata.name);
  // Whatever is there under that name is never replaced: it may be all that is left of a CA.
  if (newest === undefined) return caSecrets(observed).length === 0 ? first : undefined;
  return lifeLeft(newest.pem, observed.nowMs) > renewedAt
    ? undefined
    : `${first}-${generationOf(first, newest.secret) + 1}`;
}

/** The certificates in a text, one by one; the whole text where it holds none. */
export function certificatesIn(text: string): string[] {
  const found = text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g);
  return found === null ? [text.trim()].filter((one) => one !== "") : [...found];
}

function allCas(observed: Observed): OwnCa[] {
  return caSecrets(observed).flatMap((secret) => {
    const pem = certificateOf(secret);
    return pem === undefined ? [] : [{ secret: secret.metadata.name, pem }];
  });
}

function caSecrets(observed: Observed): KubernetesObject[] {
  const first = siteCaName(observed.cluster.metadata.name);
  return objectsOf(observed, "Secret")
    .filter(({ metadata }) => generationOf(first, metadata.name) > 0)
    .sort((a, b) => generationOf(first, a.metadata.name) - generationOf(first, b.metadata.name));
}

/** 1 for the first, 2 and more for later ones, 0 for another Secret. */
function generationOf(first: string, name: string): number {
  if (name === first) return 1;
  const number = name.startsWith(`${first}-`) ? Number(name.slice(first.length + 1)) : 0;
  return Number.isSafeInteger(number) && number > 1 ? number : 0;
}

function certificateOf(secret: KubernetesObject): string | undefined {
  const encoded = (secret.data as Record<string, string> | undefined)?.["tls.crt"];
  return encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString("utf8").trim();
}

/** What share of its life a certificate has left; all of it where that cannot be read, so that nothing is made for it. */
function lifeLeft(pem: string, nowMs: number): number {
  const life = lifeOfCa(pem);
  return life === "unreadable" ? 1 : (life.toMs - nowMs) / (life.toMs - life.fromMs);
}

function lifeOfCa(pem: string): Life {
  const life = lives.get(pem) ?? lifeOf(pem);
  if (lives.size >= livesMost) lives.clear();
  lives.set(pem, life);
  return life;
}

type Life = { readonly fromMs: number; readonly toMs: number } | "unreadable";

/** Every pass asks about the same few certificates; reading one takes longer than the rest of it. */
const lives = new Map<string, Life>();
const livesMost = 1_024;

function lifeOf(pem: string): Life {
  try {
    const { validFromDate, validToDate } = new X509Certificate(pem);
    return { fromMs: validFromDate.getTime(), toMs: validToDate.getTime() };
  } catch {
    return "unreadable";
  }
}

function isTrustedByAll(observed: Observed, pem: string): boolean {
  const lost = observed.cluster.spec.recovery?.lostSites ?? [];
  const nodes = observed.sites.filter(({ name }) => !lost.includes(name)).flatMap((site) => site.nodes);
  return nodes.every(({ spec }) => spec.trustBundle === undefined || spec.trustBundle.includes(pem));
}
