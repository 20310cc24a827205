import { X509Certificate } from "node:crypto";

/** What a certificate (the first of a PEM text) says of itself; times in milliseconds since the epoch. */
export interface CertificateFacts {
  readonly fromMs: number;
  readonly toMs: number;
  /** SHA-256 of the certificate, as much of it as people compare: 16 hexadecimal digits. */
  readonly fingerprint: string;
}

/** The certificates in a text, one by one; the whole text where it holds none. */
export function certificatesIn(text: string): string[] {
  const found = text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g);
  return found === null ? [text.trim()].filter((one) => one !== "") : [...found];
}

/** Undefined where it cannot be read. */
export function certificateFacts(pem: string): CertificateFacts | undefined {
  const known = read.get(pem) ?? readFacts(pem);
  if (read.size >= readMost) read.clear();
  read.set(pem, known);
  return known === "unreadable" ? undefined : known;
}

/** What share of its life a certificate has left; all of it where that cannot be read, so that nothing is made for it. */
export function lifeLeft(pem: string, nowMs: number): number {
  const facts = certificateFacts(pem);
  return facts === undefined ? 1 : (facts.toMs - nowMs) / (facts.toMs - facts.fromMs);
}

/** Every pass asks about the same few certificates; reading one takes longer than the rest of it. */
const read = new Map<string, CertificateFacts | "unreadable">();
const readMost = 4_096;

function readFacts(pem: string): CertificateFacts | "unreadable" {
  try {
    const { validFromDate, validToDate, fingerprint256 } = new X509Certificate(pem);
    const fingerprint = fingerprint256.replaceAll(":", "").slice(0, 16).toLowerCase();
    return { fromMs: validFromDate.getTime(), toMs: validToDate.getTime(), fingerprint };
  } catch {
    return "unreadable";
  }
}
