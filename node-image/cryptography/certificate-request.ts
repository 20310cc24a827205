import { createPublicKey, type KeyObject } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import {
  type DerElement,
  DerError,
  der,
  derBits,
  derChildren,
  derObjectIdentifier,
  derOctets,
  derOid,
  derSequence,
  derTag,
  expectTag,
  readDer,
} from "./der.ts";
import { isName } from "./distinguished-name.ts";
import { checkRsaKey } from "./rsa-key.ts";
import { isVerified, verifyNamed } from "./signature-algorithms.ts";

/** What a certificate request asks for. */
export interface CertificateRequest {
  /** Name in DER. */
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  /** Extensions that are taken over, each whole: Subject Alternative Name and Extended Key Usage. */
  readonly extensions: readonly Buffer[];
}

/** KMIP Certificate Request Type (1.4, 9.1.3.2.22). */
export const requestType = { crmf: 1, pkcs10: 2, pem: 3, pgp: 4 } as const;

/** Bytes of a request that are looked at. */
const requestMaxBytes = 65_536;

/** Reads and proves a PKCS#10 request (RFC 2986), in DER or PEM: its signature shows that the asker has the private key. Throws Refusal. */
export function readCertificateRequest(type: number, bytes: Buffer): CertificateRequest {
  if (bytes.length > requestMaxBytes) throw unreadable("it is too long");
  if (type !== requestType.pkcs10 && type !== requestType.pem) {
    throw new Refusal("FeatureNotSupported", "Certificate requests are taken as PKCS#10 or PEM");
  }
  try {
    return parse(type === requestType.pem ? fromPem(bytes) : bytes);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw unreadable(error instanceof DerError ? error.message : "its key is not readable");
  }
}

function parse(bytes: Buffer): CertificateRequest {
  const [info, algorithm, signature] = derChildren(readDer(bytes));
  const [version, subject, spki, attributes] = derChildren(expectTag(info, derTag.sequence));
  expectTag(version, derTag.integer);
  const name = expectTag(subject, derTag.sequence).bytes;
  const key = createPublicKey({ key: expectTag(spki, derTag.sequence).bytes, format: "der", type: "spki" });
  checkRsaKey(key);
  const oid = derOid(derChildren(expectTag(algorithm, derTag.sequence))[0]);
  if (!isVerified(oid)) throw unreadable(`signatures by ${oid} are not taken: sign it with SHA-256 or better`);
  const signed = { data: expectTag(info, derTag.sequence).bytes, signature: derBits(signature) };
  if (!verifyNamed(oid, key, signed)) throw unreadable("its signature is not one of its key");
  const extensions = attributes === undefined ? [] : requestedExtensions(attributes);
  if (!isName(name) && !extensions.some(({ oid: each }) => each === alternativeName))
    throw unreadable("it names nobody");
  const own = extensions.filter(({ oid: each }) => taken.includes(each));
  return { subject: name, publicKey: key, extensions: own.map((each) => (isName(name) ? each.bytes : critical(each))) };
}

const extensionRequest = "1.2.840.113549.1.9.14";
const alternativeName = "2.5.29.17";
const extendedKeyUsage = "2.5.29.37";
/** What else a request asks for (to be a CA, key usages) is for the issuer to say. */
const taken = [alternativeName, extendedKeyUsage];

/** What alone names the subject must be critical (RFC 5280, 4.1.2.6). */
function critical({ oid, bytes, value }: CertificateExtension): Buffer {
  if (oid !== alternativeName) return bytes;
  return derSequence(derObjectIdentifier(oid), der(derTag.boolean, Buffer.from([0xff])), derOctets(value));
}

function requestedExtensions(attributes: DerElement): CertificateExtension[] {
  return derChildren(attributes, 0xa0).flatMap((attribute) => {
    const [oid, values] = derChildren(attribute);
    if (derOid(oid) !== extensionRequest) return [];
    const [list] = derChildren(expectTag(values, derTag.set), derTag.set);
    return extensionsOf(expectTag(list, derTag.sequence));
  });
}

/** The extensions in a SEQUENCE of them, with their identifiers. Throws DerError. */
export function extensionsOf(list: DerElement): CertificateExtension[] {
  return derChildren(list).map((extension) => {
    const parts = derChildren(extension);
    const value = expectTag(parts.at(-1), derTag.octetString).content;
    const critical = parts.length > 2 && expectTag(parts[1], derTag.boolean).content[0] !== 0;
    return { oid: derOid(parts[0]), bytes: extension.bytes, critical, value };
  });
}

/** An extension of a certificate (RFC 5280, 4.2). */
export interface CertificateExtension {
  readonly oid: string;
  /** All of it. */
  readonly bytes: Buffer;
  readonly critical: boolean;
  readonly value: Buffer;
}

/** By it others take the subject's word for what the issuer has revoked (RFC 6960, 4.2.2.2). */
const ocspSigning = "1.3.6.1.5.5.7.3.9";

/** What is wrong with extensions that are to be taken over: each once, readable, and none by which the subject speaks for its issuer. */
export function extensionsFault(extensions: readonly Buffer[]): string | undefined {
  try {
    const all = extensionsOf(readDer(derSequence(...extensions)));
    if (new Set(all.map(({ oid }) => oid)).size < all.length) return "an extension is there twice";
    return all.map(extensionFault).find((fault) => fault !== undefined);
  } catch (error) {
    if (error instanceof DerError) return "an extension is not readable";
    throw error;
  }
}

function extensionFault({ oid, value }: CertificateExtension): string | undefined {
  const items = derChildren(readDer(value));
  if (items.length === 0) return "an extension is empty";
  if (oid !== extendedKeyUsage || items.every((each) => derOid(each) !== ocspSigning)) return undefined;
  return "who answers for its issuer (OCSP signing) is for the issuer to say";
}

function fromPem(bytes: Buffer): Buffer {
  const match = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END/.exec(
    bytes.toString("latin1"),
  );
  if (match?.[1] === undefined) throw unreadable("it has no PEM block CERTIFICATE REQUEST");
  return Buffer.from(match[1], "base64");
}

function unreadable(why: string): Refusal {
  return new Refusal("InvalidField", `The Certificate Request is not a good PKCS#10: ${why}`, "InvalidCSR");
}
