import "reflect-metadata";
import { createPrivateKey, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import {
  backdatedMs,
  distinguishedName,
  keyAlgorithm,
  type SiteCa,
  type SiteCaOwner,
  signingAlgorithm,
} from "./site-ca.ts";

/** By what the operator shows External nodes of its site who it is; made anew by each process, never stored. */
export interface OperatorCertificate {
  /** PEM of the certificate and of its CA. */
  readonly chainPem: string;
  readonly privateKeyPem: string;
  /** Milliseconds since the epoch at which it begins, and at which a new one is due. */
  readonly beginsAtMs: number;
  readonly renewAtMs: number;
}

/** Common name of an operator; the dot keeps it from being the name of any node. */
export const operatorName = "keyfleet.operator";

const lifeMs = 24 * 3600_000;

/** Makes a key and signs a certificate for it with the CA of the site: good for a day, for a client only. */
export async function signOperatorCertificate(
  owner: SiteCaOwner,
  ca: SiteCa,
  nowMs: number,
): Promise<OperatorCertificate> {
  const keys = (await webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const issuer = new x509.X509Certificate(ca.certificate);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: distinguishedName(owner, operatorName),
    issuer: issuer.subjectName,
    notBefore: new Date(nowMs - backdatedMs),
    notAfter: new Date(nowMs + lifeMs),
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey("pkcs8", ca.key, keyAlgorithm, false, ["sign"]),
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  const exported = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = createPrivateKey({ key: exported, format: "der", type: "pkcs8" });
  exported.fill(0);
  return {
    chainPem: `${certificate.toString("pem")}\n${ca.certificate.trim()}\n`,
    privateKeyPem: key.export({ format: "pem", type: "pkcs8" }) as string,
    beginsAtMs: nowMs - backdatedMs,
    renewAtMs: nowMs + (lifeMs * 2) / 3,
  };
}
