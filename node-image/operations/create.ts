import { randomFillSync } from "node:crypto";
import type { AttributeInstance } from "../objects/attributes.ts";
import {
  cryptographicAlgorithm as algorithm,
  keyFormatType,
  objectType,
  rngAlgorithm,
} from "../objects/enumerations.ts";
import { seconds } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Context } from "./context.ts";
import { storeNew } from "./new-object.ts";

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

interface LengthRule {
  readonly allowed: (bits: number) => boolean;
  readonly say: string;
}

/** Lengths in bits that the server makes, by algorithm. */
const lengths: ReadonlyMap<number, LengthRule> = new Map<number, LengthRule>([
  [algorithm.aes, { allowed: (bits) => [128, 192, 256].includes(bits), say: "AES keys have 128, 192 or 256 bits" }],
  ...[algorithm.hmacSha1, algorithm.hmacSha224, algorithm.hmacSha256, algorithm.hmacSha384, algorithm.hmacSha512].map(
    (hmac) => [hmac, { allowed: isHmacLength, say: "HMAC keys have 112 to 4096 bits, a multiple of 8" }] as const,
  ),
]);

/** Makes a symmetric key from the system's random generator and stores it sealed. */
export async function create(request: CreateRequest, context: Context): Promise<CreateResponse> {
  if (request.objectType !== objectType.symmetricKey) {
    throw new Refusal("InvalidField", "Create makes Symmetric Keys only: use Register for other objects");
  }
  const [kind, bits] = [number(request, "Cryptographic Algorithm"), number(request, "Cryptographic Length")];
  checkLength(kind, bits);
  requireUsageMask(request.attributes);
  const bytes = randomFillSync(Buffer.alloc(bits / 8));
  const uniqueIdentifier = await storeNew(
    {
      objectType: request.objectType,
      requested: request.attributes.filter(({ name }) => name !== "Original Creation Date"),
      given: {
        "Original Creation Date": [seconds(context.now())],
        "Random Number Generator": [{ rngAlgorithm: rngAlgorithm.drbg }],
      },
      material: { format: keyFormatType.raw, subtype: 0, algorithm: kind, lengthBits: bits, bytes },
    },
    context,
  );
  return { objectType: request.objectType, uniqueIdentifier };
}

/** A key is made for something (3.19). */
function requireUsageMask(attributes: readonly AttributeInstance[]): void {
  if (!attributes.some(({ name }) => name === "Cryptographic Usage Mask")) {
    throw new Refusal("InvalidField", 'Attribute "Cryptographic Usage Mask" is missing: say what the key is for');
  }
}

function isHmacLength(bits: number): boolean {
  return bits >= 112 && bits <= 4096 && bits % 8 === 0;
}

function checkLength(kind: number, bits: number): void {
  const length = lengths.get(kind);
  if (length === undefined) {
    throw new Refusal("InvalidField", "This Cryptographic Algorithm is not made here: ask for AES or an HMAC-SHA key");
  }
  if (!length.allowed(bits)) throw new Refusal("InvalidField", `Cryptographic Length ${bits}: ${length.say}`);
}

function number(request: CreateRequest, name: string): number {
  const value = request.attributes.find((attribute) => attribute.name === name)?.value;
  if (typeof value !== "number") throw new Refusal("InvalidField", `Attribute "${name}" is missing`);
  return value;
}
