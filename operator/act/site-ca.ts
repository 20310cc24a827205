import "reflect-metadata";
import { X509Certificate as PlatformCertificate, webcrypto } from "node:crypto";
import { AsnConvert } from "@peculiar/asn1-schema";
import {
  GeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  id_ce_nameConstraints,
  Name,
  NameConstraints,
} from "@peculiar/asn1-x509";
import * as x509 from "@peculiar/x509";

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);

/** Whose CA it is. */
export interface SiteCaOwner {
  readonly cluster: string;
  readonly site: string;
}

/** A CA as it is kept in its Secret. */
export interface SiteCa {
  /** PEM. */
  readonly certificate: string;
  /** PKCS#8 (DER); fill with zeros after use. */
  readonly key: Buffer;
}

/** Key and signature of every certificate of the fleet's own. */
export const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
export const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" } as const;

/** The operator's own certificates begin a little in the past, because clocks differ. */
export const backdatedMs = 5 * 60_000;

/** What a clock signed that was hours ahead (a wrong time zone) must be good by the right one too: nodes serve with it. */
export const dayBackMs = 24 * 3600_000;

const caLifeMs = 10 * 365 * 24 * 3600_000;

/** Subject of a CA and of nodes, in encoding order: the fleet, then the site, then the name. */
export function distinguishedName(owner: SiteCaOwner, commonName: string): x509.Name {
  return new x509.Name([{ O: [owner.cluster] }, { OU: [owner.site] }, { CN: [commonName] }]);
}

/** Makes the CA of a site. It is good for names of that site only (name constraint, RFC 5280 4.2.1.10). */
export async function makeSiteCa(owner: SiteCaOwner, nowMs: number): Promise<SiteCa> {
  const keys = (await webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: distinguishedName(owner, "keyfleet CA"),
    notBefore: new Date(nowMs - dayBackMs),
    notAfter: new Date(nowMs + caLifeMs),
    keys,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      // Not critical, against RFC 5280: Go's verifier refuses a chain with a critical constraint on directory names,
      // and KMIP clients in Go are many. OpenSSL, which guards the mesh, enforces it either way (decision 0007).
      new x509.Extension(id_ce_nameConstraints, false, nameConstraints(owner)),
    ],
  });
  const exported = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { certificate: certificate.toString("pem"), key: Buffer.from(exported) };
}

/**
 * Whether a certificate is the CA of that site and can speak for nothing else. A site that published a CA without the
 * constraint could make certificates of other sites' nodes, so such a one is never trusted.
 */
export function isCaOfSite(pem: string, owner: SiteCaOwner): boolean {
  const key = `${owner.cluster}/${owner.site}/${pem}`;
  const known = judged.get(key) ?? judge(pem, owner);
  if (judged.size >= judgedMost) judged.clear();
  judged.set(key, known);
  return known;
}

/** Every pass asks about the same few certificates, one a site of each fleet; a signature costs a good part of a pass. */
const judged = new Map<string, boolean>();
const judgedMost = 1_024;

function judge(pem: string, owner: SiteCaOwner): boolean {
  if (pem.match(/-----BEGIN /g)?.length !== 1) return false;
  try {
    const parsed = new x509.X509Certificate(pem);
    const constraints = parsed.extensions.filter(({ type }) => type === id_ce_nameConstraints);
    const basic = parsed.getExtension(x509.BasicConstraintsExtension);
    const platform = new PlatformCertificate(pem);
    return (
      constraints.length === 1 &&
      constraints[0] !== undefined &&
      Buffer.from(constraints[0].value).equals(Buffer.from(nameConstraints(owner))) &&
      basic?.ca === true &&
      basic.pathLength === 0 &&
      parsed.subject === distinguishedName(owner, "keyfleet CA").toString() &&
      platform.verify(platform.publicKey)
    );
  } catch {
    return false;
  }
}

function nameConstraints(owner: SiteCaOwner): ArrayBuffer {
  const name = new x509.Name([{ O: [owner.cluster] }, { OU: [owner.site] }]);
  const directoryName = AsnConvert.parse(name.toArrayBuffer(), Name);
  const base = new GeneralName({ directoryName });
  return AsnConvert.serialize(
    new NameConstraints({ permittedSubtrees: new GeneralSubtrees([new GeneralSubtree({ base })]) }),
  );
}
