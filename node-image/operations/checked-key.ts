import type { KeyObject } from "node:crypto";
import { recommendedCurve } from "../cryptography/curves.ts";
import { keyObjectOf } from "../cryptography/key-object.ts";
import type { CryptographicParameters } from "../cryptography/parameters.ts";
import { cryptographicAlgorithm, objectType, state, usage } from "../objects/enumerations.ts";
import { reached, stateOf } from "../objects/lifecycle.ts";
import type { Material } from "../objects/material.ts";
import { type FinerCode, Refusal } from "../objects/refusal.ts";
import type { Json, ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { find } from "./find.ts";
import { mustBeServed, openMaterial } from "./open-material.ts";

/** What a key is wanted for. */
export interface KeyUse {
  /** A bit of the Cryptographic Usage Mask that it must have. */
  readonly usage: number;
  /**
   * Protection is applied (encrypt, sign, wrap) while the key is active and before its Protect Stop Date; processing (decrypt,
   * verify, unwrap) goes on longer; other keys are derived from what is active, or not active yet.
   */
  readonly purpose: "protect" | "process" | "derive";
  /** The right that the caller needs, where it is not that of the operation: a wrapping key. */
  readonly right?: string;
}

/** A key that may be used now. */
export interface UsableKey {
  readonly object: ManagedObject;
  readonly key: KeyObject;
  /** KMIP Cryptographic Algorithm; 0 where none is known (Secret Data). */
  readonly algorithm: number;
  readonly parameters: CryptographicParameters;
}

/** The key, after all checks: rights, mask, state, dates. `given` goes before the object's own parameters. Rejects with Refusal. */
export async function checkedKey(
  id: string,
  use: KeyUse & { readonly given: CryptographicParameters | undefined },
  context: Context,
  open: Opening,
): Promise<UsableKey> {
  return usableKey(await find(id, context, ...(use.right === undefined ? [] : [use.right])), use, context, open);
}

/** Opens an object's material, in clear. Rejects with Refusal. */
export type Opening = (object: ManagedObject) => Promise<OpenedMaterial>;

/** Material in clear, and whether another key had to unwrap it. */
export interface OpenedMaterial {
  readonly material: Material;
  readonly unwrapped: boolean;
}

async function usableKey(
  object: ManagedObject,
  use: KeyUse & { readonly given: CryptographicParameters | undefined },
  context: Context,
  open: Opening,
): Promise<UsableKey> {
  // Another node may have destroyed it: then its key is not kept here either.
  if (object.sealed === undefined) context.cryptography.keys.drop(object.id);
  checkUse(object, use, context);
  const algorithm = number(object, "Cryptographic Algorithm") ?? 0;
  checkPolicy(algorithm, context);
  const { keys } = context.cryptography;
  const key = await keys.keyOf(object, context.keyring, async () => {
    const { material, unwrapped } = await open(object);
    return { key: parsed(object, material), mayBeKept: !unwrapped };
  });
  checkLength(key, use);
  return { object, key, algorithm, parameters: use.given ?? ownParameters(object) };
}

/** Shorter RSA and DSA keys are broken in days by whoever wants to: what they protected is still read, nothing more is protected. */
const modulusMinBits = 1_024;

function checkLength(key: KeyObject, { purpose }: KeyUse): void {
  const { modulusLength = modulusMinBits } = key.asymmetricKeyDetails ?? {};
  if (purpose !== "protect" || modulusLength >= modulusMinBits) return;
  throw new Refusal("PermissionDenied", `A key of ${modulusLength} bits protects nothing: make one of 2048 or more`);
}

/** A key that wraps others: it must be kept in clear itself, so that no chain of wrapped keys has an end that is its beginning. */
export async function wrappingKeyFor(
  id: string,
  use: KeyUse & { readonly right: string; readonly given: CryptographicParameters | undefined },
  context: Context,
): Promise<UsableKey> {
  try {
    const object = await find(id, context, use.right);
    if (!wrapping.has(object.objectType)) {
      throw new Refusal("IllegalOperation", "The object that is to wrap or unwrap is no key", "InvalidObjectType");
    }
    const open = async () => ({ material: clearMaterial(object, context), unwrapped: false });
    return await usableKey(object, use, context, open);
  } catch (error) {
    throw ofWrappingKey(error);
  }
}

function clearMaterial(object: ManagedObject, context: Context): Material {
  const material = openMaterial(object, context);
  if (material.wrapping === undefined) return material;
  material.bytes.fill(0);
  throw new Refusal(
    "PermissionDenied",
    "The wrapping key was itself registered wrapped: register it in clear",
    "InvalidObjectType",
  );
}

/** Objects whose key may wrap another (Table 338): Secret Data is no key, and wraps none. */
const wrapping: ReadonlySet<number> = new Set([
  objectType.symmetricKey,
  objectType.publicKey,
  objectType.privateKey,
  objectType.certificate,
]);

/** 2.x tells the wrapping key from the object that is asked for. */
function ofWrappingKey(error: unknown): unknown {
  if (!(error instanceof Refusal)) return error;
  const { code, message, finer } = error;
  if (code === "ItemNotFound") return new Refusal(code, message, "WrappingObjectNotFound");
  if (code === "ObjectArchived") return new Refusal(code, message, "WrappingObjectArchived");
  return finer === "ObjectDestroyed" ? new Refusal(code, message, "WrappingObjectDestroyed") : error;
}

/** The key in OpenSSL's hands; the material's bytes are zeroed. Throws Refusal. */
export function parsed(object: ManagedObject, material: Material): KeyObject {
  const algorithm = number(object, "Cryptographic Algorithm") ?? material.algorithm;
  const domain = object.attributes.get("Cryptographic Domain Parameters")?.[0] as
    | { recommendedCurve?: number }
    | undefined;
  const curve = domain?.recommendedCurve === undefined ? {} : { curve: recommendedCurve(domain.recommendedCurve) };
  try {
    return keyObjectOf({ objectType: object.objectType, material, algorithm, ...curve });
  } finally {
    material.bytes.fill(0);
  }
}

/** Parameters of the object with the lowest index (4.29). */
export function ownParameters(object: ManagedObject): CryptographicParameters {
  const instances: readonly Json[] = object.attributes.get("Cryptographic Parameters") ?? [];
  return (instances.find((value) => value !== null) ?? {}) as CryptographicParameters;
}

/** Refuses what the object may not be used for, now or ever. Throws Refusal. */
export function checkUse(object: ManagedObject, use: KeyUse, context: Context): void {
  const now = context.now();
  const mask = number(object, "Cryptographic Usage Mask") ?? 0;
  checkServed(object, use, context);
  if (noKeys.has(object.objectType)) {
    throw unable(use, "An object of this type is no key that is used here", "InvalidObjectType");
  }
  if ((mask & use.usage) === 0) {
    const text = "The object's Cryptographic Usage Mask does not allow this operation";
    throw unable(use, text, "IncompatibleCryptographicUsageMask");
  }
  const row = ofType.find(({ usages, types }) => (use.usage & ~usages) === 0 && types.includes(object.objectType));
  if (row !== undefined) throw unable(use, row.advice, "InvalidObjectType");
  const fault = faults[use.purpose](object, stateOf(object, now), now);
  if (fault !== undefined) throw unable(use, fault, "WrongKeyLifecycleState");
}

/** What an object cannot be used for is Permission Denied, but in deriving a key Invalid Field (Tables 333, 353 to 358). */
function unable({ purpose }: KeyUse, message: string, finer?: FinerCode): Refusal {
  return new Refusal(purpose === "derive" ? "InvalidField" : "PermissionDenied", message, finer);
}

function checkServed(object: ManagedObject, use: KeyUse, context: Context): void {
  try {
    mustBeServed(object, context);
  } catch (error) {
    throw error instanceof Refusal ? unable(use, error.message, error.finer) : error;
  }
}

const { symmetricKey, publicKey, privateKey, splitKey, certificate, secretData } = objectType;

const noKeys: ReadonlySet<number> = new Set([
  objectType.opaqueObject,
  objectType.template,
  objectType.pgpKey,
  objectType.certificateRequest,
]);

/** Types of keys that cannot do what their mask may say. */
const ofType: readonly { readonly usages: number; readonly types: readonly number[]; readonly advice: string }[] = [
  {
    usages: usage.sign,
    types: [symmetricKey, splitKey, secretData, publicKey, certificate],
    advice: "Sign needs a private key; for codes of secret keys use MAC",
  },
  {
    usages: usage.verify,
    types: [symmetricKey, splitKey, secretData],
    advice: "Signature Verify needs a public key; for codes of secret keys use MAC Verify",
  },
  {
    usages: usage.macGenerate | usage.macVerify,
    types: [privateKey, publicKey, certificate],
    advice: "MAC needs a secret key; with key pairs use Sign",
  },
  {
    usages: usage.decrypt,
    types: [publicKey, certificate],
    advice: "Decrypt needs the private key of the pair",
  },
];

type Fault = (object: ManagedObject, current: number, now: Date) => string | undefined;

const faults: Readonly<Record<KeyUse["purpose"], Fault>> = {
  protect: protectFault,
  process: processFault,
  derive: (_, current) =>
    current === state.active || current === state.preActive
      ? undefined
      : "No keys are derived from a key that is out of use",
};

function protectFault(object: ManagedObject, current: number, now: Date): string | undefined {
  if (current !== state.active) return "The key must be active to protect data: Activate it, or use its successor";
  return reached(object, "Protect Stop Date", now) ? "The key's Protect Stop Date has passed" : undefined;
}

/** What was protected stays readable when the key is old (SP 800-57-1, 7): it must be, to be protected anew. */
function processFault(object: ManagedObject, current: number, now: Date): string | undefined {
  if (current === state.preActive) return "The key is not active yet: Activate it first";
  const starts = object.attributes.get("Process Start Date")?.[0];
  if (starts === undefined || reached(object, "Process Start Date", now)) return undefined;
  return "The key's Process Start Date has not come";
}

/** Algorithms that the fleet's owner has to allow. */
export function checkPolicy(algorithm: number, { cryptography }: Context): void {
  if (algorithm === cryptographicAlgorithm.tripleDes && !cryptography.policy.legacyCiphers) {
    throw new Refusal("FeatureNotSupported", "3DES is switched off in this fleet: use AES");
  }
}

function number(object: ManagedObject, name: string): number | undefined {
  const value = object.attributes.get(name)?.[0];
  return typeof value === "number" ? value : undefined;
}
