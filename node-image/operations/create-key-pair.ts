import type { KeyObject } from "node:crypto";
import { keyBytes } from "../cryptography/key-format.ts";
import { type KeyPairRequest, makeKeyPair, type NewKeyPair } from "../cryptography/key-pair.ts";
import { attributeRule } from "../objects/attribute-rules.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { keyFormatType as format, linkType, objectType } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json } from "../objects/types.ts";
import type { Context } from "./context.ts";
import {
  isQuantumSafe,
  madeHere,
  numberOf,
  refuseUnsafe,
  requiredNumber,
  requireUsageMask,
  withoutOrigin,
} from "./create.ts";
import { withDefaults } from "./defaults.ts";
import { type NewObject, storeAll } from "./new-object.ts";

/** KMIP Create Key Pair (4.2). */
export interface CreateKeyPairRequest {
  readonly common: readonly AttributeInstance[];
  readonly privateKey: readonly AttributeInstance[];
  readonly publicKey: readonly AttributeInstance[];
}

/** The two new objects. */
export interface CreateKeyPairResponse {
  readonly privateKeyUniqueIdentifier: string;
  readonly publicKeyUniqueIdentifier: string;
}

/** Makes a key pair in a thread of its own and stores both keys, linked, in one write. */
export async function createKeyPair(request: CreateKeyPairRequest, context: Context): Promise<CreateKeyPairResponse> {
  const [ofPrivate, ofPublic] = await Promise.all([
    withDefaults(objectType.privateKey, merged(request.common, request.privateKey, context.version), context),
    withDefaults(objectType.publicKey, merged(request.common, request.publicKey, context.version), context),
  ]);
  requireUsageMask(ofPrivate);
  requireUsageMask(ofPublic);
  const wanted = wantedPair(ofPrivate);
  checkSame(ofPrivate, ofPublic);
  refuseUnsafe([...ofPrivate, ...ofPublic], isQuantumSafe(wanted.algorithm));
  const pair = await context.cryptography.generation(context.caller.identity, () => makeKeyPair(wanted));
  const ids = { privateKey: context.newId(), publicKey: context.newId() };
  const made = { pair, ids, algorithm: wanted.algorithm };
  await storeAll(
    [
      newKey("privateKey", { requested: ofPrivate, given: madeHere(context), ...made }),
      newKey("publicKey", { requested: ofPublic, given: madeHere(context), ...made }),
    ],
    context,
  );
  return { privateKeyUniqueIdentifier: ids.privateKey, publicKeyUniqueIdentifier: ids.publicKey };
}

/** One key of a pair, before it is stored. */
export interface PairPart {
  readonly requested: readonly AttributeInstance[];
  readonly given: Readonly<Record<string, Json[]>>;
  readonly pair: NewKeyPair;
  readonly ids: { readonly privateKey: string; readonly publicKey: string };
  /** KMIP Cryptographic Algorithm. */
  readonly algorithm: number;
}

/** The object of one key, linked to the other. */
export function newKey(which: "privateKey" | "publicKey", part: PairPart): NewObject & { readonly id: string } {
  const { pair, ids, algorithm } = part;
  const key = pair[which];
  const other = which === "privateKey" ? ids.publicKey : ids.privateKey;
  const link = {
    linkType: which === "privateKey" ? linkType.publicKey : linkType.privateKey,
    linkedObjectIdentifier: other,
  };
  const own = part.requested.filter(({ name }) => name === "Link").map(({ value }) => value);
  const keyFormat = usualFormat(key);
  return {
    id: ids[which],
    objectType: objectType[which],
    requested: withoutOrigin(part.requested).filter(({ name }) => name !== "Link" && name !== "Cryptographic Length"),
    given: { ...part.given, Link: [link, ...own], "Cryptographic Length": [pair.lengthBits] },
    material: {
      format: keyFormat,
      subtype: 0,
      algorithm,
      lengthBits: pair.lengthBits,
      bytes: keyBytes(key, keyFormat),
    },
  };
}

/** The format that a new key is kept in, and given in when none is asked for. */
export function usualFormat(key: KeyObject): number {
  if (key.asymmetricKeyType === "rsa") return format.pkcs1;
  if (key.type === "public") return format.x509;
  return key.asymmetricKeyType === "ec" ? format.ecPrivateKey : format.pkcs8;
}

/** What attributes say of the pair to be made. Throws Refusal. */
export function wantedPair(attributes: readonly AttributeInstance[]): KeyPairRequest {
  const domain = attributes.find(({ name }) => name === "Cryptographic Domain Parameters")?.value;
  const { recommendedCurve, qlength } = (domain ?? {}) as { recommendedCurve?: number; qlength?: number };
  const lengthBits = numberOf(attributes, "Cryptographic Length");
  return {
    algorithm: requiredNumber(attributes, "Cryptographic Algorithm"),
    ...(lengthBits === undefined ? {} : { lengthBits }),
    ...(recommendedCurve === undefined ? {} : { recommendedCurve }),
    ...(qlength === undefined ? {} : { qLength: qlength }),
  };
}

/** A key's own attributes go before the common ones; of those with several values all are taken (4.2). */
function merged(
  common: readonly AttributeInstance[],
  own: readonly AttributeInstance[],
  version: number,
): readonly AttributeInstance[] {
  const overridden = new Set(
    own.map(({ name }) => name).filter((name) => attributeRule(name, version)?.multiple !== true),
  );
  const taken = [...common.filter(({ name }) => !overridden.has(name)), ...own];
  const seen = new Map<string, number>();
  return taken.map(({ name, value, index }) => {
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    // Lists of two structures are numbered anew.
    return index === undefined ? { name, value } : { name, index: count, value };
  });
}

const sameInBoth = ["Cryptographic Algorithm", "Cryptographic Length", "Cryptographic Domain Parameters"];

/** Table 168: both keys say the same of the algorithm. */
function checkSame(one: readonly AttributeInstance[], other: readonly AttributeInstance[]): void {
  for (const wanted of sameInBoth) {
    const [first, second] = [one, other].map((list) => JSON.stringify(list.find(({ name }) => name === wanted)?.value));
    if (first !== undefined && second !== undefined && first !== second) {
      throw new Refusal("InvalidField", `"${wanted}" differs between the two keys: give it once, for both`);
    }
  }
}
