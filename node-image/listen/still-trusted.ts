import { X509Certificate } from "node:crypto";

const depthMax = 10;

/**
 * Asks whether a client's certificate leads to one of these authorities (PEM); undefined when all of `before` are among them, and
 * so is that of everybody who was let in. Issuers that a client sent with its certificate are not known any more after the
 * handshake: who needs them is told no, and may come again.
 */
export function distrust(before: string, now: string): ((leaf: X509Certificate) => boolean) | undefined {
  const authorities = certificatesOf(now);
  const prints = new Set(authorities.map(({ fingerprint256 }) => fingerprint256));
  if (certificatesOf(before).every(({ fingerprint256 }) => prints.has(fingerprint256))) return undefined;
  return (leaf) => !leadsTo(leaf, authorities);
}

function certificatesOf(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

function leadsTo(leaf: X509Certificate, authorities: readonly X509Certificate[]): boolean {
  let current: X509Certificate | undefined = leaf;
  for (let depth = 0; depth < depthMax && current !== undefined; depth += 1) {
    const issued: X509Certificate = current;
    const issuer = authorities.find((each) => issued.checkIssued(each) && issued.verify(each.publicKey));
    if (issuer?.checkIssued(issuer)) return true;
    current = issuer;
  }
  return false;
}
