import { randomFillSync } from "node:crypto";
import type { CryptographicParameters } from "../cryptography/parameters.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import {
  cryptographicAlgorithm,
  keyFormatType,
  objectType,
  rngAlgorithm,
  secretDataType,
} from "../objects/enumerations.ts";
import { seconds } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { withDefaults } from "./defaults.ts";
import { storeNew } from "./new-object.ts";
import { makeSymmetricKey } from "./symmetric-keys.ts";

/** KMIP Create (4.1). */
export interface CreateRequest {
  readonly objectType: number;
  readonly attributes: readonly AttributeInstance[];
}

/** The new object's type and identifier. */
export interface CreateResponse {
  readonly objectType: number;
  readonly uniqueIdentifier: string;
}

/** Makes a symmetric key, or since 2.0 Secret Data, from the system's random generator and stores it sealed. */
export async function create(request: CreateRequest, context: Context): Promise<CreateResponse> {
  const attributes = await withDefaults(request.objectType, request.attributes, context);
  if (request.objectType === objectType.secretData && context.version >= 20) return createSecret(attributes, context);
  if (request.objectType !== objectType.symmetricKey) {
    throw new Refusal("InvalidField", "Create makes Symmetric Keys, since 2.0 Secret Data: use Register for others");
  }
  const algorithm = requiredNumber(attributes, "Cryptographic Algorithm");
  const bits = requiredNumber(attributes, "Cryptographic Length");
  requireUsageMask(attributes);
  refuseUnsafe(attributes, bits >= 256);
  const { legacyCiphers } = context.cryptography.policy;
  const bytes = makeSymmetricKey({ algorithm, bits, ...modeOf(attributes) }, legacyCiphers);
  const uniqueIdentifier = await storeNew(
    {
      objectType: request.objectType,
      requested: withoutOrigin(attributes),
      given: madeHere(context),
      material: { format: keyFormatType.raw, subtype: 0, algorithm, lengthBits: bits, bytes },
    },
    context,
  );
  return { objectType: request.objectType, uniqueIdentifier };
}

/** Most bits of a secret that is made. */
const secretBitsMax = 8192;

/** Random bytes as Secret Data (2.0, 6.1.6): a password that nobody chose, as the OASIS case TC-CREATE-SD-1-21 has it. */
async function createSecret(attributes: readonly AttributeInstance[], context: Context): Promise<CreateResponse> {
  const bits = requiredNumber(attributes, "Cryptographic Length");
  if (bits < 8 || bits > secretBitsMax || bits % 8 !== 0) {
    const text = `Cryptographic Length ${bits}: Secret Data have 8 to ${secretBitsMax} bits, a multiple of 8`;
    throw new Refusal("InvalidField", text, "InvalidAttributeValue");
  }
  const bytes = randomFillSync(Buffer.alloc(bits / 8));
  const uniqueIdentifier = await storeNew(
    {
      objectType: objectType.secretData,
      requested: withoutOrigin(attributes),
      given: madeHere(context),
      material: { format: keyFormatType.opaque, subtype: secretDataType.password, algorithm: 0, lengthBits: 0, bytes },
    },
    context,
  );
  return { objectType: objectType.secretData, uniqueIdentifier };
}

/** Attributes that tell where an object that the server made comes from (3.43, 3.44). */
export function madeHere(context: Context): Record<string, Json[]> {
  return {
    "Original Creation Date": [seconds(context.now())],
    "Random Number Generator": [{ rngAlgorithm: rngAlgorithm.drbg }],
  };
}

/** What a client says of the origin of an object that the server makes is not taken. */
export function withoutOrigin(attributes: readonly AttributeInstance[]): readonly AttributeInstance[] {
  return attributes.filter(({ name }) => name !== "Original Creation Date" && name !== "Random Number Generator");
}

/** A key is made for something (3.19). */
export function requireUsageMask(attributes: readonly AttributeInstance[]): void {
  if (!attributes.some(({ name }) => name === "Cryptographic Usage Mask")) {
    throw new Refusal("InvalidField", 'Attribute "Cryptographic Usage Mask" is missing: say what the key is for');
  }
}

/** The value of a number among attributes. */
export function numberOf(attributes: readonly AttributeInstance[], name: string): number | undefined {
  const value = attributes.find((attribute) => attribute.name === name)?.value;
  return typeof value === "number" ? value : undefined;
}

/** The value of a number that must be there. Throws Refusal. */
export function requiredNumber(attributes: readonly AttributeInstance[], name: string): number {
  const value = numberOf(attributes, name);
  if (value === undefined) throw new Refusal("InvalidField", `Attribute "${name}" is missing`);
  return value;
}

/**
 * Refuses what is asked to be Quantum Safe and is not (KMIP Profiles 2.1, 5.9): Grover's algorithm halves the strength of a
 * symmetric key, so 256 bits are safe and 128 are not; of key pairs the lattice- and hash-based ones are.
 */
export function refuseUnsafe(attributes: readonly AttributeInstance[], safe: boolean): void {
  const wanted = attributes.some(({ name, value }) => name === "Quantum Safe" && value === true);
  if (wanted && !safe) {
    throw new Refusal(
      "GeneralFailure",
      "This key is not Quantum Safe: ask for 256 bits, or for ML-KEM, ML-DSA or SLH-DSA",
    );
  }
}

/** Whether pairs of an algorithm are Quantum Safe. */
export function isQuantumSafe(algorithm: number): boolean {
  return algorithm >= cryptographicAlgorithm.mlKem512;
}

/** The Block Cipher Mode that the key is meant for, if its parameters name one. */
export function modeOf(attributes: readonly AttributeInstance[]): { mode?: number } {
  const value = attributes.find(({ name }) => name === "Cryptographic Parameters")?.value;
  const mode = (value as CryptographicParameters | undefined)?.blockCipherMode;
  return mode === undefined ? {} : { mode };
}
