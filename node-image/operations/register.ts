import type { KeyObject } from "node:crypto";
import { algorithmOfType } from "../cryptography/algorithms.ts";
import { readCertificate } from "../cryptography/certificate.ts";
import { keyFacts } from "../cryptography/key-facts.ts";
import { keyObjectOf } from "../cryptography/key-object.ts";
import { ImpossibleKey } from "../cryptography/rsa-key.ts";
import { splitKeyMethod } from "../cryptography/secret-sharing.ts";
import { digitalSignatureOf } from "../cryptography/signature-algorithms.ts";
import { transparentFormats } from "../cryptography/transparent.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { certificateAttributes } from "../objects/certificate.ts";
import {
  certificateType,
  cryptographicAlgorithm,
  keyFormatType as format,
  objectType,
} from "../objects/enumerations.ts";
import type { Material } from "../objects/material.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { withDefaults } from "./defaults.ts";
import { type NewObject, storeNew } from "./new-object.ts";

/** KMIP Register (4.3); the material's bytes are zeroed afterwards. */
export interface RegisterRequest {
  readonly objectType: number;
  readonly attributes: readonly AttributeInstance[];
  readonly material: Material;
}

/** The new object's identifier. */
export interface RegisterResponse {
  readonly uniqueIdentifier: string;
}

const transparentPublic = Object.entries(transparentFormats).flatMap(([value, { type }]) =>
  type === "public" ? [Number(value)] : [],
);
const transparentPrivate = Object.entries(transparentFormats).flatMap(([value, { type }]) =>
  type === "private" ? [Number(value)] : [],
);

/** Key formats taken for each object type; bytes are kept as given, transparent numbers as DER. */
const formats: Readonly<Record<number, readonly number[]>> = {
  [objectType.symmetricKey]: [format.raw, format.opaque, format.transparentSymmetricKey],
  [objectType.secretData]: [format.raw, format.opaque],
  [objectType.publicKey]: [format.raw, format.opaque, format.pkcs1, format.x509, ...transparentPublic],
  [objectType.privateKey]: [
    format.raw,
    format.opaque,
    format.pkcs1,
    format.pkcs8,
    format.ecPrivateKey,
    ...transparentPrivate,
  ],
  [objectType.splitKey]: [
    format.raw,
    format.opaque,
    format.transparentSymmetricKey,
    format.pkcs1,
    format.pkcs8,
    format.ecPrivateKey,
  ],
  [objectType.pgpKey]: [format.raw, format.opaque],
  [objectType.certificate]: [0],
  [objectType.opaqueObject]: [0],
  [objectType.certificateRequest]: [0],
  [objectType.template]: [0],
};

/** More than twice the largest one, by SLH-DSA; it is read several times, and everybody waits. */
const certificateMaxBytes = 131_072;

/** Stores an object that the client brings. */
export async function register(request: RegisterRequest, context: Context): Promise<RegisterResponse> {
  const attributes = await withDefaults(request.objectType, request.attributes, context);
  return { uniqueIdentifier: await storeNew(brought({ ...request, attributes }, context), context) };
}

/** A new object of what a client brings, if it may be brought. Throws Refusal. */
export function brought(request: RegisterRequest, context: Context): NewObject {
  const material = normalised(request);
  return {
    objectType: request.objectType,
    requested: request.attributes,
    given: {
      ...learned(request, material),
      ...agreed(request.attributes, material, context.version),
      ...certificateFacts(request),
      ...usage(request),
      ...splitRow(material),
    },
    material,
  };
}

/** What a part of a key says of itself is kept beside it (2.2.5). */
function splitRow({ split }: Material): Record<string, Json[]> {
  if (split === undefined) return {};
  const { parts, threshold, identifier, method, primeFieldSize } = split;
  const prime = primeFieldSize !== undefined;
  if (parts < 1 || threshold < 1 || threshold > parts || identifier < 1 || identifier > parts) {
    throw new Refusal("InvalidField", "Key Part Identifier and Split Key Threshold are from 1 to Split Key Parts");
  }
  if (prime !== (method === splitKeyMethod.polynomialPrime)) {
    throw new Refusal(
      "InvalidField",
      "Prime Field Size belongs to Polynomial Sharing Prime Field, and to no other method",
    );
  }
  if (prime && BigInt(primeFieldSize) < 2n) throw new Refusal("InvalidField", "Prime Field Size is no prime");
  return { ".split": [{ parts, threshold, identifier, method, ...(prime ? { primeFieldSize } : {}) }] };
}

/** Everything but opaque objects has a Cryptographic Usage Mask (3.19); many clients leave it out for what they bring. */
function usage({ objectType: type, attributes }: RegisterRequest): Record<string, Json[]> {
  const given = attributes.some(({ name }) => name === "Cryptographic Usage Mask");
  const unused: readonly number[] = [objectType.opaqueObject, objectType.template, objectType.certificateRequest];
  return given || unused.includes(type) ? {} : { "Cryptographic Usage Mask": [0] };
}

function normalised({ objectType: type, material }: RegisterRequest): Material {
  const accepted = formats[type];
  if (accepted === undefined) {
    throw new Refusal("InvalidField", "Objects of this type cannot be registered here");
  }
  if (!accepted.includes(material.format)) {
    throw new Refusal("KeyFormatTypeNotSupported", "This Key Format Type is not taken for this object type");
  }
  if (material.bytes.length === 0) throw new Refusal("InvalidField", "The object is empty");
  if (type === objectType.certificate && material.bytes.length > certificateMaxBytes)
    throw new Refusal("InvalidField", `A certificate has at most ${certificateMaxBytes} bytes`);
  return type === objectType.symmetricKey ? symmetric(material) : material;
}

/** Algorithms whose lengths may leave the parity bits out, and keys of none that is told. */
const parity: readonly number[] = [0, cryptographicAlgorithm.des, cryptographicAlgorithm.tripleDes];

/** Raw and transparent keys are the same bytes; their length is known, so it is checked, or filled in. They are given as they came. */
function symmetric(material: Material): Material {
  if (material.format === format.opaque || material.wrapping !== undefined) return material;
  const lengthBits = material.bytes.length * 8;
  if (!parity.includes(material.algorithm) && ![0, lengthBits].includes(material.lengthBits)) {
    throw new Refusal("InvalidField", `Cryptographic Length is ${material.lengthBits}, the key has ${lengthBits} bits`);
  }
  return { ...material, lengthBits: material.lengthBits || lengthBits };
}

/**
 * What the client leaves out of algorithm and length, and of a certificate's signature, is read from the key itself. Keys that
 * OpenSSL cannot read are kept as they are; those that it reads and that are none are not taken.
 */
function learned({ objectType: type, attributes }: RegisterRequest, material: Material): Record<string, Json[]> {
  const pair = type === objectType.publicKey || type === objectType.privateKey || type === objectType.certificate;
  if (!pair || material.wrapping !== undefined || material.format === format.opaque) return {};
  const key = readable(type, material);
  if (key === undefined) return {};
  if (!isAsTold(key, attributes, material))
    throw new Refusal(
      "InvalidField",
      "The key has another Cryptographic Algorithm or Length than is told: leave them out",
    );
  const { algorithm, lengthBits } = keyFacts(key);
  const facts = [
    ["Cryptographic Algorithm", algorithm],
    ["Cryptographic Length", lengthBits],
    ["Digital Signature Algorithm", type === objectType.certificate ? signatureOf(material) : undefined],
  ] as const;
  const given = new Set(attributes.map(({ name }) => name));
  return Object.fromEntries(
    facts.flatMap(([name, value]) => (value === undefined || given.has(name) ? [] : [[name, [value]]])),
  );
}

/** The key, if OpenSSL reads it and it is used here. Throws Refusal if it reads one that can be none. */
function readable(type: number, material: Material): KeyObject | undefined {
  try {
    return keyObjectOf({ objectType: type, material, algorithm: material.algorithm });
  } catch (error) {
    if (error instanceof ImpossibleKey) throw new Refusal("InvalidField", error.message);
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

function signatureOf({ bytes }: Material): number | undefined {
  try {
    return digitalSignatureOf(readCertificate(bytes).signatureOid);
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

/** Whether algorithm and length of an RSA or DSA key are what the client says; keys on curves go by several names. */
function isAsTold(key: KeyObject, attributes: readonly AttributeInstance[], material: Material): boolean {
  const { modulusLength } = key.asymmetricKeyDetails ?? {};
  const told = (name: string, inBlock: number) => inBlock || attributes.find((each) => each.name === name)?.value;
  const isSame = (value: unknown, found: number | undefined) => value === undefined || value === found;
  return (
    modulusLength === undefined ||
    (isSame(told("Cryptographic Length", material.lengthBits), modulusLength) &&
      isSame(told("Cryptographic Algorithm", material.algorithm), algorithmOfType(key.asymmetricKeyType)))
  );
}

/** Algorithm and length may stand in the Key Block, among the attributes, or in both; then they must agree (4.3). */
function agreed(attributes: readonly AttributeInstance[], material: Material, version: number): Record<string, Json[]> {
  const blocks = [
    ["Cryptographic Algorithm", material.algorithm],
    ["Cryptographic Length", material.lengthBits],
  ] as const;
  return Object.fromEntries(
    blocks.flatMap(([name, inBlock]) => {
      const asked = attributes.find((attribute) => attribute.name === name)?.value;
      if (inBlock !== 0 && asked !== undefined && asked !== inBlock) {
        throw new Refusal(
          "InvalidField",
          `"${name}" differs between the Key Block and the attributes (KMIP ${version / 10})`,
        );
      }
      return inBlock === 0 ? [] : [[name, [inBlock]]];
    }),
  );
}

function certificateFacts({ objectType: type, material }: RegisterRequest): Record<string, Json[]> {
  return type === objectType.certificate ? factsOfCertificate(material) : {};
}

/** The attributes that follow from a certificate: names, and algorithm and length of its key as far as they are known here. Throws Refusal. */
export function factsOfCertificate({ subtype, bytes }: Material): Record<string, Json[]> {
  if (subtype !== certificateType.x509) {
    throw new Refusal("InvalidField", "Certificates are taken as X.509 (DER) only");
  }
  return { "Certificate Type": [subtype], ...certificateAttributes(bytes) };
}
