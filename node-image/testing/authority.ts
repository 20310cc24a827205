import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import { AsnConvert } from "@peculiar/asn1-schema";
import {
  Name as AsnName,
  GeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  id_ce_nameConstraints,
  NameConstraints,
} from "@peculiar/asn1-x509";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 86_400_000;

/** A certificate authority of a test: a site's, or the clients'. */
export interface Authority {
  readonly certificatePem: string;
  /**
   * Signs a request (PEM) for serving and calling; `names` are IP addresses or DNS names. Leaf first, then this CA. It begins
   * `aheadMs` from now, by a clock that is wrong by so much.
   */
  sign(requestPem: string, names: readonly string[], lifeMs?: number, aheadMs?: number): Promise<string>;
  /** A new key and its certificate for a client, both PEM. */
  issue(
    subject: JsonName,
    lifeMs?: number,
    names?: readonly string[],
  ): Promise<{ readonly certificatePem: string; readonly keyPem: string }>;
}

/** The CA of a site: good for names below O=cluster, OU=site alone. */
export function siteAuthority(cluster: string, site: string): Promise<Authority> {
  const within = [{ O: [cluster] }, { OU: [site] }];
  return authority([...within, { CN: ["keyfleet CA"] }], [nameConstraint(within)]);
}

/** A CA without constraints, for KMIP clients. */
export function clientAuthority(name = "clients"): Promise<Authority> {
  return authority([{ CN: [name] }], []);
}

async function authority(subject: JsonName, extensions: Extension[]): Promise<Authority> {
  const keys = await makeKeys();
  const name = new Name(subject).toString();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: subject,
    ...validity(30 * dayMs),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ...extensions,
    ],
  });
  const certificatePem = `${certificate.toString("pem")}\n`;
  const issueFor = async (
    to: { subject: string | JsonName; publicKey: webcrypto.CryptoKey; names: readonly string[] },
    lifeMs: number,
    aheadMs = 0,
  ) => {
    const leaf = await X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: to.subject,
      issuer: name,
      ...validity(lifeMs, aheadMs),
      signingAlgorithm: algorithm,
      publicKey: to.publicKey,
      signingKey: keys.privateKey,
      extensions: leafExtensions(to.names),
    });
    return `${leaf.toString("pem")}\n`;
  };
  return {
    certificatePem,
    sign: async (requestPem, names, lifeMs = 7 * dayMs, aheadMs = 0) => {
      const request = new Pkcs10CertificateRequest(requestPem);
      if (!(await request.verify())) throw new Error("the request is not signed by its own key");
      const publicKey = await request.publicKey.export();
      const to = { subject: request.subjectName.toJSON(), publicKey, names };
      return (await issueFor(to, lifeMs, aheadMs)) + certificatePem;
    },
    issue: async (to, lifeMs = 7 * dayMs, names = []) => {
      const pair = await makeKeys();
      const certificate = await issueFor({ subject: to, publicKey: pair.publicKey, names }, lifeMs);
      return { certificatePem: certificate, keyPem: await privatePem(pair.privateKey) };
    },
  };
}

function leafExtensions(names: readonly string[]): Extension[] {
  const alternatives = names.map((value) => ({
    type: /^[\d.]+$|:/.test(value) ? ("ip" as const) : ("dns" as const),
    value,
  }));
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    ...(alternatives.length === 0 ? [] : [new SubjectAlternativeNameExtension(alternatives)]),
  ];
}

/** RFC 5280 4.2.1.10: permitted directory names. */
function nameConstraint(within: JsonName): Extension {
  const directoryName = AsnConvert.parse(new Name(within).toArrayBuffer(), AsnName);
  const permitted = new GeneralSubtrees([new GeneralSubtree({ base: new GeneralName({ directoryName }) })]);
  return new Extension(
    id_ce_nameConstraints,
    false,
    AsnConvert.serialize(new NameConstraints({ permittedSubtrees: permitted })),
  );
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const base64 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${base64.replace(/(.{64})/g, "$1\n").trim()}\n-----END PRIVATE KEY-----\n`;
}

function validity(lifeMs: number, aheadMs = 0): { notBefore: Date; notAfter: Date } {
  const now = Date.now() + aheadMs;
  return { notBefore: new Date(now - 60_000), notAfter: new Date(now + lifeMs) };
}

function serial(): string {
  return `0${randomBytes(15).toString("hex")}`.replace(/^00/, "01");
}
