import "reflect-metadata";
import type { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** A certificate with its private key, both PEM. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

/** An authority that certifies for tests. */
export interface TestAuthority {
  readonly certificate: string;
  /** Certifies a new key on the authority's curve. */
  issue(subject: string, options?: IssueOptions): Promise<Identity>;
}

/** Days may be negative: an expired certificate. */
export interface IssueOptions {
  readonly daysFrom?: number;
  readonly daysTo?: number;
  readonly usage?: "client" | "server" | "none";
}

/** Keys of certificates, by what they protect. */
const algorithms = {
  "P-256": { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  "P-384": { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
} as const;
type Algorithm = (typeof algorithms)[keyof typeof algorithms];
const dayMs = 86_400_000;

/** Makes an authority with its own key. Subjects are written in encoding order: "O=bank, OU=dc1, CN=client". */
export async function testAuthority(subject: string, curve: keyof typeof algorithms = "P-256"): Promise<TestAuthority> {
  const algorithm = algorithms[curve];
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    name: subject,
    keys,
    signingAlgorithm: algorithm,
    ...validity({}),
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  return {
    certificate: own.toString("pem"),
    issue: (name, options = {}) => issue({ name, options, issuer: own, signingKey: keys.privateKey, algorithm }),
  };
}

async function issue(order: {
  readonly name: string;
  readonly options: IssueOptions;
  readonly issuer: x509.X509Certificate;
  readonly signingKey: webcrypto.CryptoKey;
  readonly algorithm: Algorithm;
}): Promise<Identity> {
  const { algorithm } = order;
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: order.name,
    issuer: order.issuer.subject,
    publicKey: keys.publicKey,
    signingKey: order.signingKey,
    signingAlgorithm: algorithm,
    ...validity(order.options),
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
      ]),
      ...usages(order.options.usage ?? "client"),
    ],
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { certificate: certificate.toString("pem"), key: x509.PemConverter.encode(key, "PRIVATE KEY") };
}

function validity({ daysFrom = -1, daysTo = 30 }: IssueOptions) {
  const now = Date.now();
  return { notBefore: new Date(now + daysFrom * dayMs), notAfter: new Date(now + daysTo * dayMs) };
}

function usages(usage: "client" | "server" | "none"): x509.Extension[] {
  if (usage === "none") return [];
  const purpose = usage === "client" ? x509.ExtendedKeyUsage.clientAuth : x509.ExtendedKeyUsage.serverAuth;
  return [new x509.ExtendedKeyUsageExtension([purpose])];
}
