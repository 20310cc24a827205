import type { KeyObject, X509Certificate } from "node:crypto";
import { type CertificateExtension, extensionsOf } from "./certificate-request.ts";
import { type DerElement, DerError, derChildren, derOid, derTag, derUnsigned, expectTag, readDer } from "./der.ts";
import { constraintsHold, namesOf } from "./name-constraints.ts";
import { isWeak } from "./rsa-key.ts";

/** A certificate as far as a path is judged by it. */
interface PathCertificate {
  readonly subject: DerElement;
  readonly selfIssued: boolean;
  readonly signatureOid: string;
  readonly extensions: readonly CertificateExtension[];
  readonly weak: boolean;
}

const oid = {
  keyUsage: "2.5.29.15",
  alternativeName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  policies: "2.5.29.32",
  extendedKeyUsage: "2.5.29.37",
} as const;

/** Extensions that are understood here. What else is critical makes a path invalid (RFC 5280, 4.2). */
const understood: readonly string[] = Object.values(oid);

/** RSA with MD2, MD5 and SHA-1, DSA and ECDSA with SHA-1: others with the same signature can be made. */
const broken: readonly string[] = [
  "1.2.840.113549.1.1.2",
  "1.2.840.113549.1.1.4",
  "1.2.840.113549.1.1.5",
  "1.2.840.10040.4.3",
  "1.2.840.10045.4.1",
];

/** Shorter RSA and DSA keys are broken by whoever wants to. */
const modulusMinBits = 1_024;

/**
 * What RFC 5280 (6.1) asks of a path, from the leaf to the last issuer, besides signatures, dates and who names whom: that all
 * critical extensions are understood, how many CAs may come below one, and the names that they may give. Of policies nothing
 * is asked.
 */
export function pathHolds(chain: readonly X509Certificate[]): boolean {
  try {
    const path = chain.map(read);
    return path.every((each, at) => holds(each, path.slice(0, at), at === path.length - 1));
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}

/** The signature of the last one is its own, or one of who is not here. */
function holds(certificate: PathCertificate, below: readonly PathCertificate[], isLast: boolean): boolean {
  const { extensions, signatureOid, weak } = certificate;
  if (extensions.some(({ critical, oid: each }) => critical && !understood.includes(each))) return false;
  if ((!isLast && broken.includes(signatureOid)) || weak) return false;
  if (below.length === 0) return true;
  const between = below.slice(1).filter(({ selfIssued }) => !selfIssued);
  if (between.length > pathLength(certificate)) return false;
  const constraints = extensionValue(certificate, oid.nameConstraints);
  return constraints === undefined || [...between, ...below.slice(0, 1)].every((each) => permitted(constraints, each));
}

function permitted(constraints: Buffer, { subject, extensions }: PathCertificate): boolean {
  const alternative = extensions.find((each) => each.oid === oid.alternativeName)?.value;
  return constraintsHold(constraints, namesOf(subject, alternative));
}

/** How many CAs may come between it and the leaf (4.2.1.9). */
function pathLength(certificate: PathCertificate): number {
  const value = extensionValue(certificate, oid.basicConstraints);
  const number =
    value === undefined ? undefined : derChildren(readDer(value)).find(({ tag }) => tag === derTag.integer);
  if (number === undefined) return Number.POSITIVE_INFINITY;
  const bytes = derUnsigned(number);
  return bytes.length > 4 ? Number.POSITIVE_INFINITY : bytes.readUIntBE(0, bytes.length);
}

function extensionValue({ extensions }: PathCertificate, wanted: string): Buffer | undefined {
  return extensions.find((each) => each.oid === wanted)?.value;
}

/** Throws DerError. */
function read(certificate: X509Certificate): PathCertificate {
  const [body, algorithm] = derChildren(readDer(certificate.raw));
  const fields = derChildren(expectTag(body, derTag.sequence)).filter(({ tag }) => tag !== 0xa0);
  const [, , issuer, , subject] = fields;
  const list = fields.find(({ tag }) => tag === 0xa3);
  const name = expectTag(subject, derTag.sequence);
  return {
    subject: name,
    selfIssued: expectTag(issuer, derTag.sequence).bytes.equals(name.bytes),
    signatureOid: derOid(derChildren(expectTag(algorithm, derTag.sequence))[0]),
    extensions: list === undefined ? [] : extensionsOf(expectTag(derChildren(list, 0xa3)[0], derTag.sequence)),
    weak: isWeak(publicKeyOf(certificate), modulusMinBits),
  };
}

function publicKeyOf(certificate: X509Certificate): KeyObject {
  try {
    return certificate.publicKey;
  } catch {
    throw new DerError("a key that is not readable");
  }
}
