import { createHash, createPublicKey, type KeyObject, randomFillSync, X509Certificate } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import { extensionsOf } from "./certificate-request.ts";
import {
  der,
  derBitString,
  derBits,
  derChildren,
  derInteger,
  derObjectIdentifier,
  derOctets,
  derOid,
  derSequence,
  derSmall,
  derTag,
  expectTag,
  readDer,
} from "./der.ts";
import { signerOf } from "./signature-algorithms.ts";

/** What a new certificate says. */
export interface CertificateContents {
  /** Name in DER. */
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly isAuthority: boolean;
  /** Bits of KeyUsage in order from digitalSignature on (RFC 5280, 4.2.1.3). */
  readonly keyUsage: number;
  /** Whole extensions to be taken over. */
  readonly extensions: readonly Buffer[];
}

/** Who signs it: a certificate and its key; without a certificate the new one signs itself. */
export interface Issuer {
  readonly certificate: Buffer | undefined;
  readonly privateKey: KeyObject;
}

/** Extensions that are made anew for each certificate. */
const oid = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAlternativeName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
} as const;
/** Bits of KeyUsage: keyCertSign, cRLSign. */
export const certificateSignBit: number = 1 << 5;
const caUsages = certificateSignBit | (1 << 6);
const utcUntil = Date.UTC(2050, 0, 1);

/** Makes a certificate (RFC 5280) in DER. Rejects with Refusal. */
export async function makeCertificate(contents: CertificateContents, issuer: Issuer): Promise<Buffer> {
  const signer = signerOf(issuer.privateKey);
  const issued = issuer.certificate === undefined ? undefined : readCertificate(issuer.certificate);
  const keyIdentifier = identifierOf(contents.publicKey);
  // Who is no CA signs neither certificates nor lists (RFC 5280, 4.2.1.3).
  const keyUsage = contents.isAuthority ? contents.keyUsage : contents.keyUsage & ~caUsages;
  const serial = randomFillSync(Buffer.alloc(16));
  // A positive number of full length.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const body = derSequence(
    der(0xa0, derSmall(2)),
    derInteger(serial),
    signer.identifier,
    issued?.subject ?? contents.subject,
    derSequence(time(contents.notBefore), time(contents.notAfter)),
    contents.subject,
    contents.publicKey.export({ format: "der", type: "spki" }),
    der(
      0xa3,
      derSequence(
        extension(
          oid.basicConstraints,
          derSequence(...(contents.isAuthority ? [der(derTag.boolean, Buffer.from([0xff]))] : [])),
          true,
        ),
        ...(keyUsage === 0 ? [] : [extension(oid.keyUsage, usageBits(keyUsage), true)]),
        extension(oid.subjectKeyIdentifier, derOctets(keyIdentifier)),
        extension(oid.authorityKeyIdentifier, derSequence(der(0x80, issued?.keyIdentifier ?? keyIdentifier))),
        ...contents.extensions,
      ),
    ),
  );
  return derSequence(body, signer.identifier, derBitString(await signer.sign(body)));
}

/** What a successor or an issuer's subject needs to know of a certificate. Bytes are views. */
export interface CertificateParts {
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly signatureOid: string;
  readonly publicKey: KeyObject;
  readonly keyIdentifier: Buffer;
  readonly isAuthority: boolean;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Whole extensions of the subject's own: names and purposes. */
  readonly extensions: readonly Buffer[];
  readonly keyUsage: number;
}

/** Takes a certificate apart. Throws Refusal. */
export function readCertificate(bytes: Buffer): CertificateParts {
  try {
    const certificate = new X509Certificate(bytes);
    const [body, algorithm] = derChildren(readDer(bytes));
    const fields = derChildren(expectTag(body, derTag.sequence)).filter(({ tag }) => tag !== 0xa0);
    const [, , issuer, , subject] = fields;
    const list = fields.find(({ tag }) => tag === 0xa3);
    const extensions = list === undefined ? [] : extensionsOf(expectTag(derChildren(list, 0xa3)[0], derTag.sequence));
    const valueOfExtension = (wanted: string) => extensions.find((each) => each.oid === wanted)?.value;
    const ownIdentifier = valueOfExtension(oid.subjectKeyIdentifier);
    return {
      subject: expectTag(subject, derTag.sequence).bytes,
      issuer: expectTag(issuer, derTag.sequence).bytes,
      signatureOid: derOid(derChildren(expectTag(algorithm, derTag.sequence))[0]),
      publicKey: certificate.publicKey,
      keyIdentifier: ownIdentifier === undefined ? identifierOf(certificate.publicKey) : readDer(ownIdentifier).content,
      isAuthority: certificate.ca,
      notBefore: certificate.validFromDate,
      notAfter: certificate.validToDate,
      extensions: extensions.filter((each) => own.includes(each.oid)).map((each) => each.bytes),
      keyUsage: usageOf(valueOfExtension(oid.keyUsage)),
    };
  } catch {
    throw new Refusal("CryptographicFailure", "The certificate is not readable");
  }
}

/** Whether a certificate was signed by a private key. */
export function isIssuedBy(bytes: Buffer, privateKey: KeyObject): boolean {
  return new X509Certificate(bytes).verify(createPublicKey(privateKey));
}

const own: readonly string[] = [oid.subjectAlternativeName, oid.extendedKeyUsage];

/** The leftmost 160 bits of the SHA-256 of the public key (RFC 7093, 2). */
function identifierOf(key: KeyObject): Buffer {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  const [, bits] = derChildren(readDer(publicKey.export({ format: "der", type: "spki" })));
  return createHash("sha256").update(derBits(bits)).digest().subarray(0, 20);
}

function extension(name: string, value: Buffer, critical = false): Buffer {
  const flag = critical ? [der(derTag.boolean, Buffer.from([0xff]))] : [];
  return derSequence(derObjectIdentifier(name), ...flag, derOctets(value));
}

/** A BIT STRING whose trailing zeros are left out (X.690, 11.2.2). */
function usageBits(usage: number): Buffer {
  const highest = 31 - Math.clz32(usage);
  const bytes = Buffer.alloc(Math.floor(highest / 8) + 1);
  for (let bit = 0; bit <= highest; bit++) {
    if ((usage >> bit) & 1) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  }
  return der(derTag.bitString, Buffer.from([7 - (highest & 7)]), bytes);
}

function usageOf(value: Buffer | undefined): number {
  if (value === undefined) return 0;
  const bits = expectTag(readDer(value), derTag.bitString).content.subarray(1);
  let usage = 0;
  for (let bit = 0; bit < bits.length * 8; bit++) if (((bits[bit >> 3] ?? 0) << (bit & 7)) & 0x80) usage |= 1 << bit;
  return usage;
}

/** UTCTime until 2049, GeneralizedTime later (RFC 5280, 4.1.2.5). */
function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return date.getTime() < utcUntil
    ? der(derTag.utcTime, Buffer.from(digits.slice(2), "latin1"))
    : der(derTag.generalizedTime, Buffer.from(digits, "latin1"));
}
