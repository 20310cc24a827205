import { createPublicKey, type KeyObject } from "node:crypto";
import { type CertificateContents, isIssuedBy, makeCertificate, readCertificate } from "../cryptography/certificate.ts";
import { chainMax, chainValidity } from "../cryptography/certificate-chain.ts";
import {
  type CertificateRequest,
  extensionsFault,
  readCertificateRequest,
} from "../cryptography/certificate-request.ts";
import { isOnNamedCurve } from "../cryptography/curves.ts";
import { distinguishedName, type NamePart, nameOids, partFault } from "../cryptography/distinguished-name.ts";
import { keyFacts } from "../cryptography/key-facts.ts";
import { isWeak } from "../cryptography/rsa-key.ts";
import { digitalSignatureOf } from "../cryptography/signature-algorithms.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { certificateType, linkType, objectType, state, usage, validityIndicator } from "../objects/enumerations.ts";
import { seconds, stateOf } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json, ManagedObject } from "../objects/types.ts";
import { type ChosenIssuer, chooseIssuer, isOut, issuerOf } from "./certificate-issuer.ts";
import { parsed } from "./checked-key.ts";
import type { Context } from "./context.ts";
import { numberOf } from "./create.ts";
import { find } from "./find.ts";
import { type Link, linkedInstead, linkedTo, replacing, serially } from "./links.ts";
import { type NewObject, storeAll } from "./new-object.ts";
import { openMaterial, refuseCompromised } from "./open-material.ts";
import { checkOffset, checkReplaceable, inherited, lifetime as lifetimeDates, replacedLink } from "./re-key.ts";
import { factsOfCertificate } from "./register.ts";
import { consume } from "./usage-limits.ts";
import { openClear } from "./use-key.ts";

/** KMIP Certify (4.7). */
export interface CertifyRequest {
  /** The public key; may be left out if the request holds one that is not managed here. */
  readonly uniqueIdentifier?: string;
  readonly certificateRequestType?: number;
  readonly certificateRequest?: Buffer;
  readonly attributes: readonly AttributeInstance[];
}

/** KMIP Re-certify (4.8). */
export interface ReCertifyRequest extends CertifyRequest {
  /** The certificate that is renewed. */
  readonly uniqueIdentifier: string;
  readonly offset?: number;
}

/** The new certificate. */
export interface CertifyResponse {
  readonly uniqueIdentifier: string;
}

/** Days that a certificate is good for if nothing else is asked for, and at most. */
const days = { usual: 365, most: 3_650 } as const;
const daySeconds = 86_400;

/** Times that a certificate can tell (RFC 5280, 4.1.2.5), in seconds since 1970. */
const writable = { from: Date.UTC(1950) / 1000, until: Date.UTC(10_000) / 1000 - 1 } as const;

/** Makes a certificate of a public key, signed by a CA whose key is managed here. */
export async function certify(request: CertifyRequest, context: Context): Promise<CertifyResponse> {
  const csr = requestOf(request);
  const { uniqueIdentifier: publicId } = request;
  if (publicId === undefined && csr === undefined) {
    throw new Refusal("InvalidMessage", "Unique Identifier of the public key or a Certificate Request is missing");
  }
  return serially(publicId === undefined ? [] : [publicId], context, async () => {
    const object = publicId === undefined ? undefined : await find(publicId, context);
    const publicKey = await subjectKey(object, csr, context);
    const issuer = await chooseIssuer(request.attributes, object, context);
    const isAuthority = issuer.certificate === undefined;
    const contents = {
      subject: csr?.subject ?? subjectFrom(request.attributes),
      publicKey,
      ...validity(request.attributes, issuer, context),
      isAuthority,
      keyUsage: keyUsage(request.attributes, object, isAuthority),
      extensions: csr?.extensions ?? [],
    };
    return store({ contents, issuer, object }, request.attributes, context);
  });
}

/** Renews a certificate: same subject and key, same issuer, new dates. */
export function reCertify(request: ReCertifyRequest, context: Context): Promise<CertifyResponse> {
  return serially([request.uniqueIdentifier], context, async () => {
    const old = await find(request.uniqueIdentifier, context);
    if (old.objectType !== objectType.certificate) {
      throw new Refusal("PermissionDenied", "Re-certify renews a Certificate", "InvalidObjectType");
    }
    checkReplaceable(old, context);
    refuseCompromised(old, context);
    checkOffset(request, lifetimeDates);
    const { bytes } = openMaterial(old, context);
    const before = readCertificate(bytes);
    const csr = requestOf(request);
    if (csr !== undefined && !csr.publicKey.equals(before.publicKey)) {
      throw new Refusal("InvalidField", "The Certificate Request is for another key: Certify that one");
    }
    const publicId = linkedTo(old, linkType.publicKey);
    const object = publicId === undefined ? undefined : await visible(publicId, context);
    if (object !== undefined) refuseCompromised(object, context);
    const issuer = await issuerAgain(old, object, { request, context });
    if (before.isAuthority && !isIssuedBy(bytes, issuer.privateKey)) throw notItsIssuer();
    const lifetime = (before.notAfter.getTime() - before.notBefore.getTime()) / 1000;
    const contents = {
      ...before,
      ...(csr === undefined ? {} : { subject: csr.subject, extensions: csr.extensions }),
      ...validity(request.attributes, issuer, context, { lifetime, offset: request.offset ?? 0 }),
    };
    return store({ contents, issuer, object, old, offset: request.offset }, request.attributes, context);
  });
}

/** What is renewed may have been registered: who may have certificates made must not get a CA of his own by it. */
function notItsIssuer(): Refusal {
  return new Refusal(
    "PermissionDenied",
    "The certificate is one of a CA, which is renewed by who issued it: this issuer's key did not sign it",
  );
}

/** KMIP Validate (4.24). */
export interface ValidateRequest {
  readonly certificates: readonly { readonly subtype: number; readonly bytes: Buffer }[];
  readonly uniqueIdentifiers: readonly string[];
  /** Seconds since 1970. */
  readonly validityDate?: number;
}

/** Valid, Invalid or Unknown. */
export interface ValidateResponse {
  readonly validityIndicator: number;
}

/** Whether certificates make one good chain; those that are managed here must not be revoked. */
export async function validate(request: ValidateRequest, context: Context): Promise<ValidateResponse> {
  const { certificates, uniqueIdentifiers: ids, validityDate } = request;
  if (certificates.length + ids.length === 0 || certificates.length + ids.length > chainMax) {
    throw new Refusal("InvalidMessage", `Validate takes 1 to ${chainMax} certificates of one chain`);
  }
  const chain = certificates.map(({ bytes }) => bytes);
  let revoked = false;
  for (const id of ids) {
    const object = await find(id, context);
    if (object.objectType !== objectType.certificate)
      throw new Refusal("InvalidMessage", "Only Certificates are validated", "InvalidObjectType");
    revoked ||= isOut(object, context);
    chain.push(openMaterial(object, context).bytes);
  }
  const at = validityDate === undefined ? context.now() : new Date(validityDate * 1000);
  return { validityIndicator: revoked ? validityIndicator.invalid : chainValidity(chain, at) };
}

function requestOf({
  certificateRequest,
  certificateRequestType: type,
}: CertifyRequest): CertificateRequest | undefined {
  if (certificateRequest === undefined) return undefined;
  if (type === undefined) throw new Refusal("InvalidMessage", "Certificate Request Type is missing");
  return readCertificateRequest(type, certificateRequest);
}

async function subjectKey(
  object: ManagedObject | undefined,
  csr: CertificateRequest | undefined,
  context: Context,
): Promise<KeyObject> {
  if (object === undefined) return (csr as CertificateRequest).publicKey;
  if (object.objectType !== objectType.publicKey) {
    throw new Refusal("PermissionDenied", "Certify takes the identifier of a Public Key", "InvalidObjectType");
  }
  if (isDestroyed(object, context)) {
    throw new Refusal("PermissionDenied", "The public key has been destroyed: certify another", "ObjectDestroyed");
  }
  refuseCompromised(object, context);
  const key = parsed(object, await openClear(object, context));
  if (csr !== undefined && !csr.publicKey.equals(key)) {
    throw new Refusal(
      "InvalidField",
      "The Certificate Request is for another key than Unique Identifier names",
      "InvalidCSR",
    );
  }
  return key;
}

function isDestroyed(object: ManagedObject, context: Context): boolean {
  const current = stateOf(object, context.now());
  return current === state.destroyed || current === state.destroyedCompromised;
}

/** Far longer than any name. */
const subjectMaxLength = 4_096;

/** The subject from the parts that KMIP 2.x has as attributes, or from "x-subject", like "O=bank,CN=db1" without escapes. */
function subjectFrom(attributes: readonly AttributeInstance[]): Buffer {
  const parts: NamePart[] = attributes.flatMap(({ name, value }) => {
    const part = /^Certificate Subject (.+)$/.exec(name)?.[1];
    return part !== undefined && typeof value === "string" ? [{ part, value }] : [];
  });
  const text = (attributes.find(({ name }) => name === "x-subject")?.value as { value?: unknown } | undefined)?.value;
  if (typeof text === "string") {
    if (text.length > subjectMaxLength)
      throw new Refusal("InvalidField", `x-subject has at most ${subjectMaxLength} characters`);
    for (const piece of text.split(",")) {
      const [part = "", value = ""] = piece.split(/=(.*)/s).map((each) => each.trim());
      if (nameOids[part] === undefined || value === "")
        throw new Refusal("InvalidField", 'x-subject is like "O=bank,CN=db1"');
      parts.push({ part, value });
    }
  }
  const fault = parts.map(partFault).find((each) => each !== undefined);
  if (fault !== undefined) throw new Refusal("InvalidField", fault);
  if (parts.length > 0) return distinguishedName(parts);
  throw new Refusal(
    "MissingData",
    'Nothing says whom to certify: give a Certificate Request, "Certificate Subject CN" (2.x) or "x-subject"',
  );
}

/** Not before the Activation Date or now, not after the Deactivation Date, the usual time, the longest time or the issuer's end. */
function validity(
  attributes: readonly AttributeInstance[],
  issuer: ChosenIssuer,
  context: Context,
  renewed?: { readonly lifetime: number; readonly offset: number },
): Pick<CertificateContents, "notBefore" | "notAfter"> {
  const from = numberOf(attributes, "Activation Date") ?? seconds(context.now()) + (renewed?.offset ?? 0);
  const lifetime = Math.min(renewed?.lifetime ?? days.usual * daySeconds, days.most * daySeconds);
  const wanted = numberOf(attributes, "Deactivation Date") ?? from + lifetime;
  const ends = [
    wanted,
    from + days.most * daySeconds,
    ...(issuer.notAfter === undefined ? [] : [seconds(issuer.notAfter)]),
  ];
  const until = Math.min(...ends);
  if (from < writable.from || until > writable.until)
    throw new Refusal("InvalidField", "A certificate is good for times from 1950 to 9999: look at its dates");
  if (until <= from)
    throw new Refusal("InvalidField", "The certificate would end before it begins: look at its dates and its issuer's");
  return { notBefore: new Date(from * 1000), notAfter: new Date(until * 1000) };
}

/** KeyUsage (RFC 5280, 4.2.1.3) of what the public key may be used for; a CA signs certificates and lists. */
function keyUsage(
  attributes: readonly AttributeInstance[],
  object: ManagedObject | undefined,
  isAuthority: boolean,
): number {
  const own = object?.attributes.get("Cryptographic Usage Mask")?.[0];
  const mask = numberOf(attributes, "Cryptographic Usage Mask") ?? (typeof own === "number" ? own : 0);
  const rows: readonly (readonly [number, number])[] = [
    [usage.sign | usage.verify, 0],
    [usage.contentCommitment, 1],
    [usage.encrypt | usage.wrapKey, 2],
    [usage.keyAgreement | usage.deriveKey, 4],
  ];
  const bits = rows.reduce((sum, [has, bit]) => ((mask & has) === 0 ? sum : sum | (1 << bit)), 0);
  return isAuthority ? bits | (1 << 5) | (1 << 6) : bits;
}

/** What a link leads to, if the caller may renew certificates of it: links are the client's to write, and prove nothing. */
async function visible(id: string, context: Context): Promise<ManagedObject | undefined> {
  try {
    return await find(id, context);
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/** The issuer of a certificate that is renewed: the one named now, itself, or the one that its link leads to. */
async function issuerAgain(
  old: ManagedObject,
  publicKey: ManagedObject | undefined,
  { request, context }: { readonly request: ReCertifyRequest; readonly context: Context },
): Promise<ChosenIssuer> {
  const parent = linkedTo(old, parentLink);
  if (parent === undefined) return chooseIssuer(request.attributes, publicKey, context);
  return issuerOf(await find(parent, context, "Certify"), context);
}

/** Link Type Parent Link: from a certificate to that of its issuer. */
const parentLink = 0x108;

interface Made {
  readonly contents: CertificateContents;
  readonly issuer: ChosenIssuer;
  readonly object: ManagedObject | undefined;
  readonly old?: ManagedObject;
  readonly offset?: number | undefined;
}

async function store(made: Made, attributes: readonly AttributeInstance[], context: Context): Promise<CertifyResponse> {
  const { contents, issuer, object, old, offset } = made;
  checkOwnKey(issuer, contents.publicKey);
  checkStrength(contents.publicKey);
  const fault = extensionsFault(contents.extensions);
  if (fault !== undefined) throw new Refusal("InvalidField", `The certificate cannot be made: ${fault}`, "InvalidCSR");
  const bytes = await makeCertificate(contents, issuer);
  const id = context.newId();
  const links: Link[] = [
    ...(object === undefined ? [] : [{ linkType: linkType.publicKey, linkedObjectIdentifier: object.id }]),
    ...(issuer.id === undefined ? [] : [{ linkType: parentLink, linkedObjectIdentifier: issuer.id }]),
  ];
  const requested = attributes.filter(
    ({ name }) => !/^Certificate |^Cryptographic (Algorithm|Length)$|^Link$/.test(name),
  );
  const kept =
    old === undefined ? {} : inherited(old, { attributes, ...(offset === undefined ? {} : { offset }) }, context);
  const material = { format: 0, subtype: certificateType.x509, algorithm: 0, lengthBits: 0, bytes };
  const created: NewObject & { readonly id: string } = {
    id,
    objectType: objectType.certificate,
    requested,
    given: {
      ...kept,
      ...usageOf(requested, object, old),
      ...factsOfCertificate(material),
      ...signatureOf(bytes),
      ...factsOfKey(contents.publicKey),
      Link: [...(links as unknown as Json[]), ...(old === undefined ? [] : replacedLink(old))],
    },
    material,
  };
  const also = [
    ...(object === undefined
      ? []
      : [linkedInstead(object, { linkType: linkType.certificate, linkedObjectIdentifier: id }, context)]),
    ...(old === undefined ? [] : [replacing(old, id, context)]),
  ];
  await storeAll([created], context, also, () => consume(issuer.signer, { bytes: bytes.length }, context));
  return { uniqueIdentifier: id };
}

/** What is signed by a key that is not its issuer's verifies nowhere; links, which lead to the key, are the client's to write. Throws Refusal. */
function checkOwnKey({ certificate, privateKey }: ChosenIssuer, subjectKey: KeyObject): void {
  const issuerKey = certificate === undefined ? subjectKey : readCertificate(certificate).publicKey;
  if (createPublicKey(privateKey).equals(issuerKey)) return;
  const whose = certificate === undefined ? "public key" : "issuer's certificate";
  throw new Refusal("InvalidField", `The private key that is linked is not that of the ${whose}: correct the Link`);
}

/** Shorter moduli are factored (SP 800-131A, 3). Throws Refusal. */
function checkStrength(key: KeyObject): void {
  if (isWeak(key, modulusMinBits))
    throw new Refusal("InvalidField", `A key that is certified has ${modulusMinBits} bits or more: make a longer one`);
  if (key.asymmetricKeyType === "ec" && !isOnNamedCurve(key))
    throw new Refusal("InvalidField", "The key's elliptic curve is not offered: use P-256, P-384 or P-521");
}

const modulusMinBits = 2_048;

function usageOf(
  requested: readonly AttributeInstance[],
  object: ManagedObject | undefined,
  old: ManagedObject | undefined,
): Record<string, Json[]> {
  if (requested.some(({ name }) => name === "Cryptographic Usage Mask")) return {};
  const mask = (old ?? object)?.attributes.get("Cryptographic Usage Mask")?.[0] ?? 0;
  return { "Cryptographic Usage Mask": [mask] };
}

function signatureOf(bytes: Buffer): Record<string, Json[]> {
  const digital = digitalSignatureOf(readCertificate(bytes).signatureOid);
  return digital === undefined ? {} : { "Digital Signature Algorithm": [digital] };
}

/** Algorithm and length of the certified key (3.4, 3.5). */
function factsOfKey(key: KeyObject): Record<string, Json[]> {
  const { algorithm, lengthBits } = keyFacts(key);
  return {
    ...(algorithm === undefined ? {} : { "Cryptographic Algorithm": [algorithm] }),
    ...(lengthBits === undefined ? {} : { "Cryptographic Length": [lengthBits] }),
  };
}
