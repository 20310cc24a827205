import "reflect-metadata";
import { createHash, X509Certificate as PlatformCertificate, webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import type { KmsNode } from "../ports/types.ts";
import { dayBackMs, distinguishedName, keyAlgorithm, type SiteCa, signingAlgorithm } from "./site-ca.ts";

/** How long a node certificate is good for; it is renewed when a third of that is left. */
export const nodeCertificateLifeMs = 30 * 24 * 3600_000;

/** A request that must not be signed; the message says why. */
export class CertificateRequestError extends Error {
  override readonly name = "CertificateRequestError";
}

/**
 * Signs the request of a node. Subject and addresses come from the KmsNode's specification, which this operator wrote;
 * of the request only the public key is taken. Answers PEM, leaf first. Throws CertificateRequestError.
 */
export async function signNodeCertificate(node: KmsNode, ca: SiteCa, nowMs: number): Promise<string> {
  const request = await checkedRequest(node);
  const { issuer, signingKey } = await readCa(ca);
  const names = subjectAlternativeNames(node);
  const leaf = await x509.X509CertificateGenerator.create({
    subject: subjectOf(node),
    issuer: issuer.subjectName,
    notBefore: new Date(nowMs - dayBackMs),
    notAfter: new Date(nowMs + nodeCertificateLifeMs),
    publicKey: request.publicKey,
    signingKey,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(request.publicKey),
      ...(names === undefined ? [] : [names]),
    ],
  });
  // Nobody would take it, and the node would lose the one that it has.
  if (!(await leaf.verify({ publicKey: issuer.publicKey, signatureOnly: true })))
    throw new CertificateRequestError(
      "the CA of the site has a key (ca.key) that is not that of its certificate (tls.crt)",
    );
  return `${leaf.toString("pem")}\n${ca.certificate.trim()}\n`;
}

/** What the library says of a text that is none could quote from a key. */
async function readCa(ca: SiteCa): Promise<{ issuer: x509.X509Certificate; signingKey: webcrypto.CryptoKey }> {
  try {
    const issuer = new x509.X509Certificate(ca.certificate);
    const signingKey = await webcrypto.subtle.importKey("pkcs8", ca.key, keyAlgorithm, false, ["sign"]);
    return { issuer, signingKey };
  } catch {
    throw new CertificateRequestError("the CA of the site has a tls.crt or a ca.key that cannot be read");
  }
}

/** Why a node needs a new certificate, for people; undefined when the one it has is good. Pure. */
export function certificateNeed(node: KmsNode, ca: string, nowMs: number): string | undefined {
  const { certificateRequest } = node.status ?? {};
  if (certificateRequest === undefined || node.spec.address === undefined) return undefined;
  if (node.spec.clientAddress === undefined) return undefined;
  const chain = node.spec.certificateChain;
  if (chain === undefined) return "it has none yet";
  const judgement = judgedOnce(node, { chain, ca, certificateRequest });
  if (judgement.difference !== undefined) return judgement.difference;
  return isContent(node) ? needOfContent(node, judgement, nowMs) : needInTime(judgement, nowMs);
}

function needInTime({ beginsAtMs, renewAtMs }: Judgement, nowMs: number): string | undefined {
  // Nobody takes it before then, and its end may be years away: by a right clock it is signed anew.
  if (nowMs < beginsAtMs) return "it is not valid yet, a clock was wrong when it was signed";
  return nowMs > renewAtMs ? aThird : undefined;
}

/**
 * What a wrong clock signs is of no use to a node whose own clock, held against time servers, is right. So that is signed
 * which both find: the one of the document is good by neither clock, or it is by both and the node says that it ends soon.
 * A clock that is days behind need not find that too, as long as the new one ends later.
 */
function needOfContent(node: KmsNode, judgement: Judgement, nowMs: number): string | undefined {
  const { beginsAtMs, endsAtMs } = judgement;
  const isNow = nowMs >= beginsAtMs && nowMs < endsAtMs;
  const { reason } = says(node, "Certificates") ?? {};
  if (reason === "OutOfTime") return isNow ? undefined : needInTime(judgement, nowMs);
  // It may speak of one of before: a machine outside Kubernetes has its document when somebody brings it.
  const isOfThis = Date.parse(node.status?.certificateNotAfter ?? "") === endsAtMs;
  const endsLater = nowMs + nodeCertificateLifeMs > endsAtMs + dayBackMs;
  const isDue = isOfThis ? endsLater : nowMs > judgement.renewAtMs;
  return reason === "ExpiringSoon" && isNow && isDue ? aThird : undefined;
}

const aThird = "a third of its life is left";

/** Whether a node uses its certificate, by a clock that it has measured. */
function isContent(node: KmsNode): boolean {
  return says(node, "TimeSynchronised")?.status === "True" && says(node, "Certificates")?.status === "True";
}

function says({ status }: KmsNode, type: "TimeSynchronised" | "Certificates") {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** What a certificate lacks, whatever the time; when it begins and when it has to be renewed (milliseconds since the epoch). */
interface Judgement {
  readonly difference: string | undefined;
  readonly beginsAtMs: number;
  readonly endsAtMs: number;
  readonly renewAtMs: number;
}

interface Issued {
  readonly chain: string;
  readonly ca: string;
  readonly certificateRequest: string;
}

/** Every pass asks about the same certificates; reading one costs more than the rest of a pass. */
const judged = new Map<string, Judgement>();
const judgedMost = 4_096;

function judgedOnce(node: KmsNode, issued: Issued): Judgement {
  const { name } = node.metadata;
  const { cluster, site, address, clientAddress } = node.spec;
  const key = createHash("sha256")
    .update(
      JSON.stringify([cluster, site, name, address, clientAddress, issued.chain, issued.ca, issued.certificateRequest]),
    )
    .digest("base64");
  const judgement = judged.get(key) ?? judge(node, issued);
  if (judged.size >= judgedMost) judged.clear();
  judged.set(key, judgement);
  return judgement;
}

function judge(node: KmsNode, issued: Issued): Judgement {
  try {
    const leaf = new x509.X509Certificate(firstOf(issued.chain));
    const [beginsAtMs, endsAtMs] = [leaf.notBefore.getTime(), leaf.notAfter.getTime()];
    const renewAtMs = endsAtMs - (endsAtMs - beginsAtMs) / 3;
    return { difference: differenceOf(node, leaf, issued), beginsAtMs, endsAtMs, renewAtMs };
  } catch {
    return { difference: "the one it has cannot be read", beginsAtMs: 0, endsAtMs: 0, renewAtMs: 0 };
  }
}

function differenceOf(
  node: KmsNode,
  leaf: x509.X509Certificate,
  { ca, certificateRequest }: Issued,
): string | undefined {
  const request = new x509.Pkcs10CertificateRequest(certificateRequest);
  const issuer = new PlatformCertificate(ca);
  const wanted = subjectAlternativeNames(node);
  const has = leaf.getExtension(x509.SubjectAlternativeNameExtension);
  if (!bytesEqual(leaf.publicKey.rawData, request.publicKey.rawData)) return "the node made a new key";
  if (leaf.subject !== subjectOf(node).toString()) return "it names another node";
  if (!bytesEqual(has?.value, wanted?.value)) return "the node's addresses changed";
  const signed = new PlatformCertificate(Buffer.from(leaf.rawData)).verify(issuer.publicKey);
  return signed ? undefined : "the CA of the site changed";
}

async function checkedRequest(node: KmsNode): Promise<x509.Pkcs10CertificateRequest> {
  const text = node.status?.certificateRequest ?? "";
  let request: x509.Pkcs10CertificateRequest;
  try {
    request = new x509.Pkcs10CertificateRequest(text);
  } catch (error) {
    throw new CertificateRequestError("the certificate request is not PKCS#10", { cause: error });
  }
  const { name, namedCurve } = request.publicKey.algorithm as { name: string; namedCurve?: string };
  if (name !== keyAlgorithm.name || namedCurve !== keyAlgorithm.namedCurve)
    throw new CertificateRequestError(`the key of the certificate request is ${name} ${namedCurve ?? ""}, not P-256`);
  if (!(await request.verify()))
    throw new CertificateRequestError("the certificate request is not signed by the key in it");
  if (request.subject !== "" && request.subject !== subjectOf(node).toString())
    throw new CertificateRequestError(`the certificate request is for ${request.subject}, not for ${subjectOf(node)}`);
  return request;
}

function subjectOf(node: KmsNode): x509.Name {
  return distinguishedName(node.spec, node.metadata.name);
}

function subjectAlternativeNames(node: KmsNode): x509.SubjectAlternativeNameExtension | undefined {
  const addresses = [node.spec.address, node.spec.clientAddress].filter((address) => address !== undefined);
  const outside = [...new Set(addresses)].filter((address) => address !== "localhost");
  if (outside.length === 0) return undefined;
  return new x509.SubjectAlternativeNameExtension(
    outside.map((value) => ({ type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value })),
  );
}

function firstOf(chain: string): string {
  return chain.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/)?.[0] ?? "";
}

function bytesEqual(a: ArrayBuffer | undefined, b: ArrayBuffer | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return Buffer.from(a).equals(Buffer.from(b));
}
