import { certificateSignBit, type Issuer, readCertificate } from "../cryptography/certificate.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { linkType, objectType, state, usage } from "../objects/enumerations.ts";
import { stateOf } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import { type Description, fact, type ManagedObject } from "../objects/types.ts";
import { checkUse, type UsableKey } from "./checked-key.ts";
import type { Context } from "./context.ts";
import { find } from "./find.ts";
import { linkedTo } from "./links.ts";
import { openMaterial } from "./open-material.ts";
import { keyFor } from "./use-key.ts";

/** The client's own attribute that names the issuer: the Unique Identifier of its certificate. */
export const issuerAttribute = "x-issuer";

/** The use that the issuer's private key must allow. */
const signing = { usage: usage.certificateSign, purpose: "protect", right: "Certify" } as const;
/** Certificates that are looked through for an issuer. */
const candidatesMax = 1_000;

/** Who signs: the certificate's object (none for one that signs itself) and what makeCertificate needs. */
export interface ChosenIssuer extends Issuer {
  readonly id: string | undefined;
  readonly notAfter: Date | undefined;
  /** The object of the private key, whose uses may be limited. */
  readonly signer: ManagedObject;
}

/**
 * The issuer of a certificate, by these rules: the certificate that "x-issuer" names; else the subject's own private key if its
 * mask allows Certificate Sign (a root); else the caller's only active CA certificate whose private key is here and may sign.
 */
export async function chooseIssuer(
  attributes: readonly AttributeInstance[],
  publicKey: ManagedObject | undefined,
  context: Context,
): Promise<ChosenIssuer> {
  const named = attributes.find(({ name }) => name === issuerAttribute)?.value as { value?: unknown } | undefined;
  if (named !== undefined) return issuerOf(await find(String(named.value), context, "Certify"), context);
  const own = publicKey === undefined ? undefined : await ownSigner(publicKey, context);
  if (own !== undefined)
    return { id: undefined, certificate: undefined, privateKey: own.key, notAfter: undefined, signer: own.object };
  const { first, count } = await authorities(context);
  if (count === 1 && first !== undefined) return issuerOf(first, context);
  throw new Refusal(
    "MissingData",
    `You have ${count} certificates of CAs that could sign here: name one by the attribute "${issuerAttribute}"`,
  );
}

/** An issuer by its certificate. Rejects with Refusal if it is no CA, or if its key is not here or may not sign. */
export async function issuerOf(object: ManagedObject, context: Context): Promise<ChosenIssuer> {
  if (object.objectType !== objectType.certificate)
    throw new Refusal("InvalidField", "An issuer is named by its Certificate");
  const certificate = openMaterial(object, context).bytes;
  const { isAuthority, notAfter, keyUsage } = readCertificate(certificate);
  if (!isAuthority || (keyUsage !== 0 && (keyUsage & certificateSignBit) === 0))
    throw new Refusal("InvalidField", "The issuer's certificate is not one of a CA");
  if (isOut(object, context)) throw new Refusal("PermissionDenied", "The issuer's certificate was revoked");
  const privateId = await privateKeyOf(object, context);
  if (privateId === undefined)
    throw new Refusal("InvalidField", "The issuer's private key is not linked with its certificate");
  const { key, object: signer } = await keyFor(privateId, signing, undefined, context);
  return { id: object.id, certificate, privateKey: key, notAfter, signer };
}

/** Certificate → public key → private key, by links. */
async function privateKeyOf(certificate: ManagedObject, context: Context): Promise<string | undefined> {
  const direct = linkedTo(certificate, linkType.privateKey);
  if (direct !== undefined) return direct;
  const publicId = linkedTo(certificate, linkType.publicKey);
  const publicKey = await linkedObject(publicId, context);
  return publicKey === undefined ? undefined : linkedTo(publicKey, linkType.privateKey);
}

async function ownSigner(publicKey: ManagedObject, context: Context): Promise<UsableKey | undefined> {
  const object = await linkedObject(linkedTo(publicKey, linkType.privateKey), context);
  if (object === undefined || !mayUse(object, context)) return undefined;
  return keyFor(object.id, signing, undefined, context);
}

/** The caller's certificates of CAs that could sign: how many, and one. They may be large, so one after the other is read. */
async function authorities(context: Context): Promise<{ readonly first: ManagedObject | undefined; count: number }> {
  const filter = { owner: context.caller.identity, objectType: objectType.certificate, withoutFacts: fact.destroyed };
  const ids = await context.store.locate(filter, candidatesMax);
  const candidates: string[] = [];
  for await (const page of context.store.descriptions(ids.slice(0, candidatesMax)))
    candidates.push(...page.filter((each) => leadsToKey(each) && !isOut(each, context)).map(({ id }) => id));
  let [first, count]: [ManagedObject | undefined, number] = [undefined, 0];
  for (const id of candidates) {
    const [object] = await context.store.objects([id]);
    if (object?.sealed === undefined || isOut(object, context)) continue;
    const key = await keyOfCandidate(object, context);
    if (key === undefined || !mayUse(key, context)) continue;
    if (readCertificate(openMaterial(object, context).bytes).isAuthority) {
      first ??= object;
      count += 1;
    }
  }
  return { first, count };
}

function leadsToKey(certificate: Description): boolean {
  return [linkType.privateKey, linkType.publicKey].some((type) => linkedTo(certificate, type) !== undefined);
}

/** The private key of a certificate that is one of several to choose from: one whose key is archived is none. */
async function keyOfCandidate(certificate: ManagedObject, context: Context): Promise<ManagedObject | undefined> {
  try {
    return await linkedObject(await privateKeyOf(certificate, context), context);
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/**
 * What a link leads to, if the caller may use it here. Links are the client's to write: what is another's must not be told from
 * what is absent. An archived object is told: only those hear of it who may use it.
 */
async function linkedObject(id: string | undefined, context: Context): Promise<ManagedObject | undefined> {
  if (id === undefined) return undefined;
  try {
    return await find(id, context, signing.right);
  } catch (error) {
    if (error instanceof Refusal && error.code !== "ObjectArchived") return undefined;
    throw error;
  }
}

function mayUse(object: ManagedObject, context: Context): boolean {
  try {
    checkUse(object, signing, context);
    return true;
  } catch {
    return false;
  }
}

/** Whether a certificate was revoked, or its time as an object is over. */
export function isOut(object: Description, context: Context): boolean {
  const current = stateOf(object, context.now());
  return current !== state.preActive && current !== state.active;
}
