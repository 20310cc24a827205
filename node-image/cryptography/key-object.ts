import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject, X509Certificate } from "node:crypto";
import { keyFormatType as format, objectType } from "../objects/enumerations.ts";
import type { Material } from "../objects/material.ts";
import { Refusal } from "../objects/refusal.ts";
import { curveAlgorithms, keyTypes } from "./algorithms.ts";
import { type Curve, curveOfLength } from "./curves.ts";
import { checkGroup, numberMaxBits, tooLong } from "./group-size.ts";
import { checkRsaKey } from "./rsa-key.ts";

/** What a stored object is, for use as a key. */
export interface StoredKey {
  readonly objectType: number;
  readonly material: Material;
  /** KMIP Cryptographic Algorithm; the material may leave it out. */
  readonly algorithm: number;
  /** For raw keys on curves. */
  readonly curve?: Curve;
}

/** The key in OpenSSL's hands; leaves the material's bytes to the caller. Throws Refusal if they are not what they claim to be. */
export function keyObjectOf(stored: StoredKey): KeyObject {
  try {
    const key = parse(stored);
    checkRsaKey(key);
    return withinBounds(key);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal("CryptographicFailure", "The stored bytes are not a key of this Key Format Type and algorithm");
  }
}

function withinBounds(key: KeyObject): KeyObject {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits > numberMaxBits) throw tooLong();
  return key;
}

function parse(stored: StoredKey): KeyObject {
  const { material } = stored;
  switch (stored.objectType) {
    // Its bytes are all there is to Secret Data: PyKMIP and others call them Opaque.
    case objectType.secretData:
      return createSecretKey(material.bytes);
    case objectType.symmetricKey:
    case objectType.splitKey:
      if (material.format === format.opaque) throw opaque();
      return createSecretKey(material.bytes);
    case objectType.publicKey:
      return publicKey(stored);
    case objectType.privateKey:
      return privateKey(stored);
    case objectType.certificate:
      return new X509Certificate(material.bytes).publicKey;
    default:
      throw new Refusal("InvalidField", "Objects of this type are not keys to be used here");
  }
}

/** Transparent keys are kept as SubjectPublicKeyInfo, see transparent.ts. */
function publicKey(stored: StoredKey): KeyObject {
  const { bytes: key, format: kept } = stored.material;
  if (kept === format.opaque) throw opaque();
  if (kept === format.pkcs1) return createPublicKey({ key, format: "der", type: "pkcs1" });
  if (kept === format.raw) return rawPublic(stored);
  return createPublicKey({ key, format: "der", type: "spki" });
}

/** Transparent keys are kept as PKCS#8. */
function privateKey(stored: StoredKey): KeyObject {
  const { bytes: key, format: kept } = stored.material;
  if (kept === format.opaque) throw opaque();
  if (kept === format.pkcs1) return createPrivateKey({ key, format: "der", type: "pkcs1" });
  if (kept === format.ecPrivateKey) return createPrivateKey({ key, format: "der", type: "sec1" });
  if (kept === format.raw) return rawPrivate(stored);
  checkGroup(key);
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}

/** node:crypto's raw formats, which its types do not tell of yet. */
type RawInput = Parameters<typeof createPublicKey>[0] & Parameters<typeof createPrivateKey>[0];

function rawPublic(stored: StoredKey): KeyObject {
  const { type, namedCurve } = rawType(stored);
  const input = { key: stored.material.bytes, format: "raw-public", asymmetricKeyType: type, namedCurve };
  return createPublicKey(input as unknown as RawInput);
}

/** ML-KEM and ML-DSA have seeds as their shortest form, everything else its number or string. */
function rawPrivate(stored: StoredKey): KeyObject {
  const { type, namedCurve } = rawType(stored);
  const seed = type.startsWith("ml-");
  const input = {
    key: stored.material.bytes,
    format: seed ? "raw-seed" : "raw-private",
    asymmetricKeyType: type,
    namedCurve,
  };
  return createPrivateKey(input as unknown as RawInput);
}

function rawType({ algorithm, curve, material }: StoredKey): { type: string; namedCurve?: string } {
  const type = keyTypes[algorithm];
  if (type !== undefined) return { type };
  if (!curveAlgorithms.includes(algorithm)) {
    throw new Refusal(
      "KeyFormatTypeNotSupported",
      "Raw keys of this algorithm cannot be used: register them in PKCS#8",
    );
  }
  const on = curve ?? curveOfLength(material.lengthBits);
  return on.weierstrass ? { type: "ec", namedCurve: on.name } : { type: on.name };
}

function opaque(): Refusal {
  return new Refusal("KeyFormatTypeNotSupported", "An opaque key cannot be used here: its format is not known");
}
