import { checkPrime, generatePrime } from "node:crypto";
import { promisify } from "node:util";
import {
  fitTogether,
  join,
  type Share,
  type Sharing,
  sharingFault,
  sharingMaxWork,
  split,
  splitKeyMethod,
  usualPolynomial,
} from "../cryptography/secret-sharing.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { keyFormatType, objectType } from "../objects/enumerations.ts";
import type { Material, SplitPart } from "../objects/material.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json, ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { madeHere, requiredNumber, withoutOrigin } from "./create.ts";
import { find } from "./find.ts";
import { type NewObject, storeAll, storeNew } from "./new-object.ts";
import { mustBeServed, openMaterial, refuseCompromised } from "./open-material.ts";
import { makeSymmetricKey } from "./symmetric-keys.ts";

/** KMIP Create Split Key (1.4, 4.38); `primeFieldSize` in decimal digits. */
export interface CreateSplitKeyRequest {
  readonly objectType: number;
  /** The key to be split; without it a new one is made and only its parts are kept. */
  readonly uniqueIdentifier?: string;
  readonly parts: number;
  readonly threshold: number;
  readonly method: number;
  readonly primeFieldSize?: string;
  readonly attributes: readonly AttributeInstance[];
}

/** The parts, by Key Part Identifier from 1. */
export interface CreateSplitKeyResponse {
  readonly uniqueIdentifiers: readonly string[];
}

/** KMIP Join Split Key (1.4, 4.39). */
export interface JoinSplitKeyRequest {
  readonly objectType: number;
  readonly uniqueIdentifiers: readonly string[];
  readonly secretDataType?: number;
  readonly attributes: readonly AttributeInstance[];
}

/** Largest secret that is shared in a prime field: larger ones would hold up everybody. */
const primeSecretMaxBytes = 64;
/** Largest prime that is computed with. */
const primeMaxBytes = 2 * primeSecretMaxBytes;
const splittable: readonly number[] = [objectType.symmetricKey, objectType.privateKey, objectType.secretData];

/** Splits a key, or makes one, and stores the parts, all or none. */
export async function createSplitKey(
  request: CreateSplitKeyRequest,
  context: Context,
): Promise<CreateSplitKeyResponse> {
  if (![objectType.splitKey, ...splittable].includes(request.objectType as 5)) {
    throw new Refusal("InvalidField", "Split Keys are made of symmetric keys, private keys and secret data");
  }
  if (request.attributes.some(({ name }) => name === "Name")) {
    throw new Refusal("InvalidField", "The parts cannot all have one Name: name them afterwards");
  }
  const source = await sourceOf(request, context);
  try {
    const sharing = await sharingOf(request, source.material.bytes.length);
    const shares = split(source.material.bytes, sharing);
    const set = context.newId();
    const created = shares.map(({ index, bytes }) => ({
      id: context.newId(),
      ...partOf({ source, bytes, part: partFacts(sharing, index, set) }, request, context),
    }));
    await storeAll(created, context);
    return { uniqueIdentifiers: created.map(({ id }) => id) };
  } finally {
    source.material.bytes.fill(0);
  }
}

interface Source {
  readonly material: Material;
  /** Attributes of the key, which go before those of the request. */
  readonly attributes: ReadonlyMap<string, readonly Json[]>;
}

/** Whoever has the parts has the key: so splitting needs the right to Get it, too. */
async function sourceOf({ uniqueIdentifier, attributes }: CreateSplitKeyRequest, context: Context): Promise<Source> {
  if (uniqueIdentifier === undefined) {
    const [algorithm, bits] = ["Cryptographic Algorithm", "Cryptographic Length"].map((name) =>
      requiredNumber(attributes, name),
    );
    const bytes = makeSymmetricKey({ algorithm: algorithm as number, bits: bits as number }, false);
    const material = {
      format: keyFormatType.raw,
      subtype: 0,
      algorithm: algorithm as number,
      lengthBits: bits as number,
      bytes,
    };
    return { material, attributes: new Map() };
  }
  await find(uniqueIdentifier, context);
  const object = await find(uniqueIdentifier, context, "Get");
  if (!splittable.includes(object.objectType)) {
    throw new Refusal(
      "IllegalOperation",
      "Only symmetric keys, private keys and secret data are split",
      "IllegalObjectType",
    );
  }
  refuseKept(object);
  refuseCompromised(object, context);
  const material = openMaterial(object, context);
  if (material.wrapping === undefined) return { material, attributes: object.attributes };
  material.bytes.fill(0);
  throw keptWrapped();
}

function keptWrapped(): Refusal {
  const text = "The key is kept wrapped: what is in it is not known here";
  return new Refusal("IllegalOperation", text, "IllegalObjectType");
}

function refuseKept({ attributes }: ManagedObject): void {
  if (attributes.get("Extractable")?.[0] === false)
    throw new Refusal("NotExtractable", "The object is not Extractable");
}

async function sharingOf(request: CreateSplitKeyRequest, secretBytes: number): Promise<Sharing> {
  const { method, parts, threshold } = request;
  const prime = method === splitKeyMethod.polynomialPrime ? { prime: await primeOf(request, secretBytes) } : {};
  const sharing = { method, parts, threshold, ...prime };
  const fault = sharingFault(sharing, secretBytes);
  if (fault !== undefined) throw new Refusal("InvalidField", fault);
  return sharing;
}

async function primeOf({ primeFieldSize }: CreateSplitKeyRequest, secretBytes: number): Promise<bigint> {
  if (secretBytes > primeSecretMaxBytes) {
    throw new Refusal(
      "InvalidField",
      `In a prime field keys of up to ${primeSecretMaxBytes} bytes are shared: use GF(2^8)`,
    );
  }
  if (primeFieldSize === undefined) return newPrime(8 * secretBytes + 1);
  const prime = BigInt(primeFieldSize);
  if (prime < 2n || isTooLarge(prime) || !(await promisify(checkPrime)(prime))) {
    throw new Refusal("InvalidField", "Prime Field Size is no prime, or far larger than any key: leave it out");
  }
  return prime;
}

function newPrime(bits: number): Promise<bigint> {
  return new Promise((resolve, reject) => {
    generatePrime(bits, { bigint: true }, (error, prime) => (error ? reject(error) : resolve(prime)));
  });
}

function partFacts({ method, parts, threshold, prime }: Sharing, identifier: number, set: string): SplitPart {
  return {
    method,
    parts,
    threshold,
    identifier,
    set,
    ...(prime === undefined ? {} : { primeFieldSize: String(prime) }),
    ...(method === splitKeyMethod.polynomial8 ? { polynomial: usualPolynomial } : {}),
  };
}

/** How parts are to be joined. */
function sharingBy({ method, parts, threshold, primeFieldSize, polynomial, set }: SplitPart): Sharing {
  return {
    method,
    parts,
    threshold,
    polynomial: polynomial ?? (set === undefined ? usualPolynomial : 283),
    ...(primeFieldSize === undefined ? {} : { prime: BigInt(primeFieldSize) }),
  };
}

interface NewPart {
  readonly source: Source;
  readonly bytes: Buffer;
  readonly part: SplitPart;
}

function partOf({ source, bytes, part }: NewPart, request: CreateSplitKeyRequest, context: Context): NewObject {
  const { material, attributes } = source;
  const own = ["Cryptographic Algorithm", "Cryptographic Length"].flatMap((name): [string, Json[]][] => {
    const value =
      attributes.get(name) ?? request.attributes.filter((each) => each.name === name).map(({ value: each }) => each);
    return value.length === 0 ? [] : [[name, [...value]]];
  });
  const mask = attributes.get("Cryptographic Usage Mask")?.[0] ?? 0;
  const asked = withoutOrigin(request.attributes);
  const masked = asked.some(({ name }) => name === "Cryptographic Usage Mask");
  return {
    objectType: objectType.splitKey,
    requested: asSecretAs([attributes], asked),
    given: {
      ...madeHere(context),
      ...Object.fromEntries(own),
      ...(masked ? {} : { "Cryptographic Usage Mask": [mask] }),
      ".split": [{ ...part }],
    },
    material: { ...material, lengthBits: material.lengthBits || 8 * material.bytes.length, bytes },
  };
}

/** What comes from a sensitive key, or from any part of one, is as sensitive. */
function asSecretAs(
  sources: readonly ReadonlyMap<string, readonly Json[]>[],
  requested: readonly AttributeInstance[],
): readonly AttributeInstance[] {
  if (!sources.some((attributes) => attributes.get("Sensitive")?.[0] === true)) return requested;
  return [...requested.filter(({ name }) => name !== "Sensitive"), { name: "Sensitive", value: true }];
}

/** Joins parts to the key they are of; a few at once, since the parts of one may be large. */
export async function joinSplitKey(
  request: JoinSplitKeyRequest,
  context: Context,
): Promise<{ readonly uniqueIdentifier: string }> {
  if (!splittable.includes(request.objectType)) {
    throw new Refusal("InvalidField", "Split keys are joined to symmetric keys, private keys and secret data");
  }
  return context.cryptography.joins(context.caller.identity, () => joined(request, context));
}

async function joined(request: JoinSplitKeyRequest, context: Context): Promise<{ readonly uniqueIdentifier: string }> {
  const objects = await partsFor(request.uniqueIdentifiers, context);
  const [first] = objects as [PartObject, ...PartObject[]];
  for (const { object } of objects) mustBeServed(object, context);
  const opened = objects.map(({ object, part }) => ({
    index: part.identifier,
    material: openMaterial(object, context),
  }));
  try {
    if (opened.some(({ material }) => material.wrapping !== undefined)) throw keptWrapped();
    const { format, ...told } = (opened[0] as (typeof opened)[number]).material;
    const { algorithm, lengthBits } = keyFacts(told, first, request);
    const sharing = sharingBy(first.part);
    const shares = opened.map(({ index, material }) => ({ index, bytes: material.bytes }));
    const secretBytes = Math.ceil(lengthBits / 8);
    checkShares(shares, sharing, secretBytes);
    await checkField(sharing);
    if (!fitTogether(shares, sharing, secretBytes))
      throw new Refusal("CryptographicFailure", "The parts do not fit each other: one of them was changed");
    const bytes = join(shares, sharing, secretBytes);
    if (told.lengthBits === 0) checkLength(bytes, lengthBits, request);
    const subtype = request.objectType === objectType.secretData ? (request.secretDataType ?? 1) : 0;
    return {
      uniqueIdentifier: await storeJoined(
        { format, subtype, algorithm, lengthBits, bytes },
        { objects, request },
        context,
      ),
    };
  } finally {
    for (const { material } of opened) material.bytes.fill(0);
  }
}

/** What the parts' Key Blocks leave out is in their attributes, or in the request: the key's own must have it (2.1.3). */
function keyFacts(
  told: Pick<Material, "algorithm" | "lengthBits">,
  { object }: PartObject,
  { attributes }: JoinSplitKeyRequest,
): Pick<Material, "algorithm" | "lengthBits"> {
  const number = (name: string) =>
    Number(object.attributes.get(name)?.[0] ?? attributes.find((each) => each.name === name)?.value ?? 0);
  return {
    algorithm: told.algorithm || number("Cryptographic Algorithm"),
    lengthBits: told.lengthBits || number("Cryptographic Length"),
  };
}

function checkLength(bytes: Buffer, lengthBits: number, { objectType: type }: JoinSplitKeyRequest): void {
  if (type !== objectType.symmetricKey || lengthBits === 0 || lengthBits === 8 * bytes.length) return;
  const found = 8 * bytes.length;
  bytes.fill(0);
  throw new Refusal("InvalidField", `Cryptographic Length is ${lengthBits}, the joined key has ${found} bits`);
}

interface PartObject {
  readonly object: ManagedObject;
  readonly part: SplitPart;
}

async function partsFor(ids: readonly string[], context: Context): Promise<readonly PartObject[]> {
  if (new Set(ids).size !== ids.length) throw new Refusal("InvalidField", "A Unique Identifier is given twice");
  if (ids.length === 0 || ids.length > 100) throw new Refusal("InvalidField", "Give 1 to 100 parts");
  const found: PartObject[] = [];
  let bytes = 0;
  for (const id of ids) {
    await find(id, context);
    const object = await find(id, context, "Get");
    const part = object.attributes.get(".split")?.[0] as unknown as SplitPart | undefined;
    if (part === undefined) throw new Refusal("InvalidField", "Only Split Keys are joined", "IllegalObjectType");
    refuseKept(object);
    bytes += object.sealed?.length ?? 0;
    if (bytes > sharingMaxWork) throw tooMuchWork();
    found.push({ object: withoutMore(object), part });
  }
  checkSameSet(found.map(({ part }) => part));
  return found;
}

function tooMuchWork(): Refusal {
  return new Refusal("CryptographicFailure", "So many parts of this length are not joined here");
}

/** All that is asked of a part's attributes: a hundred parts may have many more, of which one after the other is read. */
const askedOfParts: ReadonlySet<string> = new Set([
  "Cryptographic Algorithm",
  "Cryptographic Length",
  "Cryptographic Usage Mask",
  "Sensitive",
  "Activation Date",
  "Deactivation Date",
  ".split",
]);

function withoutMore(object: ManagedObject): ManagedObject {
  return { ...object, attributes: new Map([...object.attributes].filter(([name]) => askedOfParts.has(name))) };
}

function checkSameSet(parts: readonly SplitPart[]): void {
  const [first] = parts as [SplitPart, ...SplitPart[]];
  const kind = ({ identifier: _, ...rest }: SplitPart) => JSON.stringify(Object.entries(rest).sort());
  if (parts.some((part) => kind(part) !== kind(first))) {
    throw new Refusal("CryptographicFailure", "The parts are of different split keys");
  }
  if (new Set(parts.map(({ identifier }) => identifier)).size < parts.length) {
    throw new Refusal("CryptographicFailure", "Two of the parts have the same Key Part Identifier");
  }
  // By XOR every part is needed, whatever threshold parts from elsewhere tell.
  const needed = first.method === splitKeyMethod.xor ? first.parts : first.threshold;
  if (parts.length < needed)
    throw new Refusal("CryptographicFailure", `${needed} parts are needed, ${parts.length} were given`);
}

/** Parts may have been registered by clients: they must be fit to be computed with. */
function checkShares(shares: readonly Share[], { method, prime }: Sharing, secretBytes: number): void {
  const length = shares[0]?.bytes.length ?? 0;
  const even = method !== splitKeyMethod.polynomial16 || length % 2 === 0;
  if (!even || (prime === undefined && shares.some(({ bytes }) => bytes.length !== length))) {
    throw new Refusal("CryptographicFailure", "The parts have lengths that do not fit each other");
  }
  const longest = Math.max(secretBytes, ...shares.map(({ bytes }) => bytes.length));
  if (prime !== undefined && (longest > primeMaxBytes || isTooLarge(prime))) {
    throw new Refusal(
      "CryptographicFailure",
      `Parts in a prime field of more than ${primeMaxBytes} bytes are not joined here`,
    );
  }
  if (shares.length * length > sharingMaxWork) throw tooMuchWork();
  const elements = { [splitKeyMethod.polynomial8]: 0x100, [splitKeyMethod.polynomial16]: 0x1_0000 }[method];
  if (shares.some(({ index }) => index >= (elements ?? prime ?? Number.POSITIVE_INFINITY))) {
    throw new Refusal("CryptographicFailure", "A Key Part Identifier is larger than the field has elements");
  }
}

/** Modulo what is no prime there are no inverses, and another key would come of the parts. */
async function checkField({ prime }: Sharing): Promise<void> {
  if (prime !== undefined && !(await promisify(checkPrime)(prime)))
    throw new Refusal("CryptographicFailure", "Prime Field Size of the parts is no prime");
}

function isTooLarge(prime: bigint): boolean {
  return prime >> BigInt(8 * primeMaxBytes) > 0n;
}

function storeJoined(
  material: Material,
  { objects, request }: { readonly objects: readonly PartObject[]; readonly request: JoinSplitKeyRequest },
  context: Context,
): Promise<string> {
  const { attributes } = (objects[0] as PartObject).object;
  // What the parts say of the key counts, not the request.
  const ofParts = ["Cryptographic Algorithm", "Cryptographic Length"].filter((name) => attributes.has(name));
  const asked = withoutOrigin(request.attributes).filter(({ name }) => !ofParts.includes(name));
  const masked = asked.some(({ name }) => name === "Cryptographic Usage Mask");
  const kept = [...ofParts, ...(masked ? [] : ["Cryptographic Usage Mask"])];
  const given = Object.fromEntries(
    kept.flatMap((name) => (attributes.has(name) ? [[name, [...(attributes.get(name) ?? [])]]] : [])),
  );
  const all = objects.map(({ object }) => object.attributes);
  return storeNew({ objectType: request.objectType, requested: asSecretAs(all, asked), given, material }, context);
}
