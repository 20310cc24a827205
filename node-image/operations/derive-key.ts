import { joinAndClear } from "../cryptography/bytes.ts";
import * as derive from "../cryptography/derivation.ts";
import { startEncryption } from "../cryptography/encryption.ts";
import type { CryptographicParameters } from "../cryptography/parameters.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { cryptographicAlgorithm, keyFormatType, linkType, objectType, usage } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import type { ManagedObject } from "../objects/types.ts";
import type { UsableKey } from "./checked-key.ts";
import type { Context } from "./context.ts";
import { madeHere, numberOf, refuseUnsafe, withoutOrigin } from "./create.ts";
import { find } from "./find.ts";
import { checkHandedOut } from "./get.ts";
import { linked, serially } from "./links.ts";
import { storeAll } from "./new-object.ts";
import { symmetricKeyBytes, withOddParity } from "./symmetric-keys.ts";
import { keyFor, openClear } from "./use-key.ts";

/** KMIP Derive Key (4.6). */
export interface DeriveKeyRequest {
  readonly objectType: number;
  readonly uniqueIdentifiers: readonly string[];
  readonly derivationMethod: number;
  readonly derivationParameters: {
    readonly cryptographicParameters?: CryptographicParameters;
    readonly iv?: Buffer;
    readonly derivationData?: Buffer;
    readonly salt?: Buffer;
    readonly iterationCount?: number;
  };
  readonly attributes: readonly AttributeInstance[];
}

/** The new object's identifier. */
export interface DeriveKeyResponse {
  readonly uniqueIdentifier: string;
}

/** Secret Data Type of what is derived: nobody typed it (9.1.3.2.9). */
const seed = 2;
const idsMax = 2;

/** Derives a symmetric key or Secret Data, and links it with what it came from. */
export async function deriveKey(request: DeriveKeyRequest, context: Context): Promise<DeriveKeyResponse> {
  const { uniqueIdentifiers: ids } = request;
  if (ids.length === 0 || ids.length > idsMax || new Set(ids).size < ids.length) {
    throw new Refusal(
      "InvalidField",
      "Derive Key takes the Unique Identifier of a key, and of a second object if need be",
    );
  }
  const { bytes: length, algorithm, lengthBits } = wantedOf(request, context);
  refuseUnsafe(request.attributes, lengthBits >= 256);
  // It may take seconds, in which the bases' owner must be able to revoke them.
  const bytes = await derived(request, { bases: await basesOf(request, context), length, context });
  if (algorithm === cryptographicAlgorithm.tripleDes) withOddParity(bytes);
  return serially(ids, context, async () => {
    const bases = await basesOf(request, context);
    const id = context.newId();
    const links = bases.map(({ object }) => ({ linkType: linkType.derivationBase, linkedObjectIdentifier: object.id }));
    const isKey = request.objectType === objectType.symmetricKey;
    const material = { format: keyFormatType.raw, subtype: isKey ? 0 : seed, algorithm, lengthBits, bytes };
    const requested = withoutOrigin(request.attributes).filter(({ name }) => name !== "Link");
    const { "Original Creation Date": born = [] } = madeHere(context);
    await storeAll(
      [
        {
          id,
          objectType: request.objectType,
          requested,
          given: { "Original Creation Date": born, Link: links },
          material,
        },
      ],
      context,
      bases.map(({ object }) => linked(object, { linkType: linkType.derivedKey, linkedObjectIdentifier: id }, context)),
    );
    return { uniqueIdentifier: id };
  }).finally(() => bytes.fill(0));
}

interface Wanted {
  readonly bytes: number;
  readonly algorithm: number;
  readonly lengthBits: number;
}

/** Length and algorithm are always asked for; a key must be one of its algorithm (4.6). */
function wantedOf({ objectType: type, attributes }: DeriveKeyRequest, context: Context): Wanted {
  const algorithm = numberOf(attributes, "Cryptographic Algorithm");
  const lengthBits = numberOf(attributes, "Cryptographic Length");
  if (type !== objectType.symmetricKey && type !== objectType.secretData) {
    throw new Refusal("InvalidField", "Derive Key makes Symmetric Keys and Secret Data");
  }
  if (lengthBits === undefined || (type === objectType.symmetricKey && algorithm === undefined)) {
    throw new Refusal("InvalidField", "Cryptographic Length, and for keys Cryptographic Algorithm, must be given");
  }
  if (type === objectType.symmetricKey) {
    const kind = { algorithm: algorithm ?? 0, bits: lengthBits };
    return {
      bytes: symmetricKeyBytes(kind, context.cryptography.policy.legacyCiphers),
      algorithm: kind.algorithm,
      lengthBits,
    };
  }
  const bytes = lengthBits / 8;
  if (!Number.isInteger(bytes) || bytes < 1 || bytes > derive.derivedMaxBytes) {
    throw new Refusal("InvalidField", `Cryptographic Length ${lengthBits} is no multiple of 8, or too large`);
  }
  return { bytes, algorithm: algorithm ?? 0, lengthBits };
}

async function basesOf(request: DeriveKeyRequest, context: Context): Promise<readonly UsableKey[]> {
  const given = request.derivationParameters.cryptographicParameters;
  const use = { usage: usage.deriveKey, purpose: "derive" } as const;
  const bases: UsableKey[] = [];
  for (const id of request.uniqueIdentifiers) bases.push(await keyFor(id, use, given, context));
  return bases;
}

interface Work {
  readonly bases: readonly UsableKey[];
  readonly length: number;
  readonly context: Context;
}

async function derived(request: DeriveKeyRequest, { bases, length, context }: Work): Promise<Buffer> {
  const [base, second] = bases;
  const { derivationMethod: method, derivationParameters: given } = request;
  if (base === undefined) throw new Refusal("ItemNotFound", "There is nothing to derive from");
  if (method === derive.derivationMethod.asymmetricKey) {
    if (second === undefined)
      throw new Refusal("InvalidField", "Key agreement needs a Private Key and another's Public Key");
    return derive.agreedBytes(base.key, second.key, length);
  }
  const data = await dataOf(request, second, context);
  const { algorithm, key, parameters } = base;
  const { iv = empty, salt = empty, iterationCount: iterations = 0 } = given;
  const derivation = { algorithm, key, parameters, data, iv, salt, iterations, length };
  try {
    return await byMethod(method, derivation, context);
  } catch (error) {
    // A key that cannot do it is Invalid Field in deriving (Table 333).
    if (error instanceof Refusal && error.code === "PermissionDenied")
      throw new Refusal("InvalidField", error.message, error.finer);
    throw error;
  } finally {
    if (second !== undefined) data.fill(0);
  }
}

const empty = Buffer.alloc(0);

/** The derivation data, from the request or from a second object; not from both (4.6). */
async function dataOf(request: DeriveKeyRequest, second: UsableKey | undefined, context: Context): Promise<Buffer> {
  const { derivationData } = request.derivationParameters;
  if (second === undefined) return derivationData ?? empty;
  if (derivationData !== undefined) {
    throw new Refusal("InvalidMessage", "Derivation Data is given twice: by itself and by a second object");
  }
  if (second.key.type !== "secret") throw new Refusal("InvalidField", "Derivation Data is taken from Secret Data");
  // Whoever has the other key has what is encrypted under it: that needs what Get needs.
  if (request.derivationMethod === derive.derivationMethod.encrypt) await mustBeGettable(second.object, context);
  return (await openClear(second.object, context)).bytes;
}

async function mustBeGettable({ id }: ManagedObject, context: Context): Promise<void> {
  checkHandedOut(await find(id, context, "Get"), false);
}

async function byMethod(method: number, derivation: derive.Derivation, context: Context): Promise<Buffer> {
  switch (method) {
    case derive.derivationMethod.pbkdf2:
      return stretched(derivation, context);
    case derive.derivationMethod.hkdf:
      return derive.hkdfBytes(derivation);
    case derive.derivationMethod.hash:
      return derive.hashBytes(derivation);
    case derive.derivationMethod.hmac:
      return derive.hmacBytes(derivation);
    case derive.derivationMethod.encrypt:
      return encrypted(derivation, context);
    case derive.derivationMethod.counter:
      return derive.sp800108Bytes("counter", derivation);
    case derive.derivationMethod.feedback:
      return derive.sp800108Bytes("feedback", derivation);
    case derive.derivationMethod.doublePipeline:
      return derive.sp800108Bytes("doublePipeline", derivation);
    default:
      throw new Refusal("FeatureNotSupported", "This Derivation Method is not offered");
  }
}

/** Rounds of PBKDF2 that keep a thread for no longer than other requests do (about 20 ms). */
const quickRounds = 50_000;

/** What takes seconds takes its turn, as making key pairs does: one caller must not have all threads of the pool. */
function stretched(derivation: derive.Derivation, { cryptography, caller }: Context): Promise<Buffer> {
  if (derive.pbkdf2Work(derivation) <= quickRounds) return derive.pbkdf2Bytes(derivation);
  return cryptography.generation(caller.identity, () => derive.pbkdf2Bytes(derivation));
}

/** A key that is the encryption of data under another. */
function encrypted({ algorithm, key, parameters, data, iv, length }: derive.Derivation, context: Context): Buffer {
  if (data.length === 0) throw new Refusal("InvalidField", "Derivation Data is missing");
  const { nonces } = context.cryptography;
  const given = iv.length === 0 ? {} : { iv };
  const { stream } = startEncryption({ direction: "encrypt", algorithm, key, parameters, nonces, ...given });
  return derive.first(joinAndClear([stream.update(data), stream.final().data]), length);
}
