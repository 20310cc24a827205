import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import type { CertificateFacts } from "./facts.ts";

/** What of a node's spec concerns its certificate. */
export interface CertificateSpec {
  readonly certificateChain?: string;
  readonly trustBundle?: string;
  /** RFC 2253: CN=dc1-a,OU=dc1,O=bank. */
  readonly identity: string;
}

/** Certificates of a PEM text, in order; throws where one is not readable. */
export function certificatesOf(pem: string | undefined): X509Certificate[] {
  const blocks = (pem ?? "").match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** Whether the certificate of the spec is this node's, valid now, and leads to the trust bundle. */
export function certificateFacts(spec: CertificateSpec, privateKey: KeyObject, nowMs: number): CertificateFacts {
  if (spec.certificateChain === undefined) {
    return { state: "Requested", message: "the request is in the status; waits for the site's CA to sign it" };
  }
  try {
    return judge(certificatesOf(spec.certificateChain), certificatesOf(spec.trustBundle), { spec, privateKey, nowMs });
  } catch (error) {
    return invalid(`the certificate cannot be read (${(error as Error).message}); let the operator sign anew`);
  }
}

interface Expected {
  readonly spec: CertificateSpec;
  readonly privateKey: KeyObject;
  readonly nowMs: number;
}

function judge(
  chain: X509Certificate[],
  trust: X509Certificate[],
  { spec, privateKey, nowMs }: Expected,
): CertificateFacts {
  const leaf = chain[0];
  if (leaf === undefined) return invalid("spec.certificateChain holds no certificate; let the operator sign anew");
  const notAfter = leaf.validToDate.toISOString();
  const own = createPublicKey(privateKey.export({ type: "pkcs8", format: "pem" }) as string);
  if (!leaf.publicKey.equals(own))
    return invalid("the certificate is for another key; let the operator sign the present request", notAfter);
  if (identityOf(leaf) !== spec.identity)
    return invalid(`the certificate names ${identityOf(leaf)}, not ${spec.identity}`, notAfter);
  if (!leadsTo(leaf, [...chain.slice(1), ...trust], trust))
    return invalid("no CA of spec.trustBundle has signed the certificate", notAfter);
  return validity(leaf, nowMs, notAfter);
}

function validity(leaf: X509Certificate, nowMs: number, notAfter: string): CertificateFacts {
  const from = leaf.validFromDate.getTime();
  const to = leaf.validToDate.getTime();
  const begins = leaf.validFromDate.toISOString();
  if (nowMs < from)
    return outOfTime(
      `the certificate is valid from ${begins}; check the clocks of this node and of its operator`,
      notAfter,
    );
  if (nowMs >= to) return outOfTime(`the certificate expired at ${notAfter}; the operator must renew it`, notAfter);
  // Renewed at a third of its life left (DESIGN, certificates); the operator signs the same request again.
  if (nowMs > to - (to - from) / 3)
    return { state: "ExpiringSoon", message: `renewal is due; it ends at ${notAfter}`, notAfter };
  return { state: "Valid", message: `valid until ${notAfter}`, notAfter };
}

function leadsTo(leaf: X509Certificate, issuers: X509Certificate[], trust: X509Certificate[]): boolean {
  let current = leaf;
  for (let depth = 0; depth < 4; depth += 1) {
    const issuer = issuers.find((candidate) => current.checkIssued(candidate) && current.verify(candidate.publicKey));
    if (issuer === undefined) return false;
    if (trust.some((anchor) => anchor.fingerprint256 === issuer.fingerprint256)) return true;
    current = issuer;
  }
  return false;
}

/** The subject in RFC 2253 order, as spec.members[].identity has it; names of this fleet need no escapes. */
export function identityOf(certificate: X509Certificate): string {
  return certificate.subject.split("\n").reverse().join(",");
}

function outOfTime(message: string, notAfter: string): CertificateFacts {
  return { state: "OutOfTime", message, notAfter };
}

function invalid(message: string, notAfter?: string): CertificateFacts {
  return { state: "Invalid", message, ...(notAfter === undefined ? {} : { notAfter }) };
}

const rejudgeMs = 60_000;

/** certificateFacts that verifies signatures only when the spec has changed or a minute has passed. */
export function rememberedCertificateFacts(): typeof certificateFacts {
  let last: { readonly key: string; readonly atMs: number; readonly facts: CertificateFacts } | undefined;
  return (spec, privateKey, nowMs) => {
    const key = `${spec.certificateChain}${spec.trustBundle}${spec.identity}`;
    if (last === undefined || last.key !== key || Math.abs(nowMs - last.atMs) > rejudgeMs) {
      last = { key, atMs: nowMs, facts: certificateFacts(spec, privateKey, nowMs) };
    }
    return last.facts;
  };
}
