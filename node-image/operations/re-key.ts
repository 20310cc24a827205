import { makeKeyPair } from "../cryptography/key-pair.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { keyFormatType, linkType, objectType, state } from "../objects/enumerations.ts";
import { reached, seconds, stateOf } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import { sameValue } from "../objects/same-value.ts";
import type { Json, ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { isQuantumSafe, madeHere, modeOf, refuseUnsafe, withoutOrigin } from "./create.ts";
import { newKey, wantedPair } from "./create-key-pair.ts";
import { find } from "./find.ts";
import { linkedTo, links, replacing, serially } from "./links.ts";
import { storeAll } from "./new-object.ts";
import { makeSymmetricKey } from "./symmetric-keys.ts";

/** KMIP Re-key (4.4). */
export interface ReKeyRequest {
  readonly uniqueIdentifier: string;
  /** Seconds from now to the Activation Date of the new key. */
  readonly offset?: number;
  readonly attributes: readonly AttributeInstance[];
}

/** The new key. */
export interface ReKeyResponse {
  readonly uniqueIdentifier: string;
}

/** KMIP Re-key Key Pair (4.5). */
export interface ReKeyKeyPairRequest {
  readonly privateKeyUniqueIdentifier: string;
  readonly offset?: number;
  readonly common: readonly AttributeInstance[];
  readonly privateKey: readonly AttributeInstance[];
  readonly publicKey: readonly AttributeInstance[];
}

/** The new pair. */
export interface ReKeyKeyPairResponse {
  readonly privateKeyUniqueIdentifier: string;
  readonly publicKeyUniqueIdentifier: string;
}

/** Makes the successor of a symmetric key: same attributes, its names, new bytes. */
export function reKey(request: ReKeyRequest, context: Context): Promise<ReKeyResponse> {
  return serially([request.uniqueIdentifier], context, async () => {
    const old = await find(request.uniqueIdentifier, context);
    if (old.objectType !== objectType.symmetricKey) {
      throw new Refusal("PermissionDenied", "Re-key makes a new Symmetric Key of an old one", "InvalidObjectType");
    }
    checkReplaceable(old, context);
    checkOffset(request, dates);
    checkMovable(old, request);
    checkSameKind(request.attributes);
    const all = [...asInstances(inherited(old, request, context)), ...request.attributes];
    const algorithm = numberIn(old, "Cryptographic Algorithm");
    const bits = numberIn(old, "Cryptographic Length");
    if (algorithm === undefined || bits === undefined) {
      throw new Refusal("PermissionDenied", "The key's algorithm and length are not known: it cannot be made anew");
    }
    refuseUnsafe(request.attributes, bits >= 256);
    const bytes = makeSymmetricKey({ algorithm, bits, ...modeOf(all) }, context.cryptography.policy.legacyCiphers);
    const id = context.newId();
    await storeAll(
      [
        {
          id,
          objectType: old.objectType,
          requested: withoutOrigin(request.attributes),
          given: { ...inherited(old, request, context), ...madeHere(context), Link: replacedLink(old) },
          material: { format: keyFormatType.raw, subtype: 0, algorithm, lengthBits: bits, bytes },
        },
      ],
      context,
      [replacing(old, id, context)],
    );
    return { uniqueIdentifier: id };
  });
}

/** Makes the successors of both keys of a pair. */
export async function reKeyKeyPair(request: ReKeyKeyPairRequest, context: Context): Promise<ReKeyKeyPairResponse> {
  const privateId = request.privateKeyUniqueIdentifier;
  const publicId = linkedTo(await find(privateId, context), linkType.publicKey);
  if (publicId === undefined) throw new Refusal("PermissionDenied", "The private key has no Link to its public key");
  return serially([privateId, publicId], context, async () => {
    const olds = { privateKey: await find(privateId, context), publicKey: await find(publicId, context) };
    if (olds.privateKey.objectType !== objectType.privateKey || olds.publicKey.objectType !== objectType.publicKey) {
      throw new Refusal(
        "PermissionDenied",
        "Re-key Key Pair takes the identifier of a Private Key",
        "InvalidObjectType",
      );
    }
    checkReplaceable(olds.privateKey, context);
    checkReplaceable(olds.publicKey, context);
    const asked = [...request.common, ...request.privateKey, ...request.publicKey];
    checkOffset({ attributes: asked, ...offsetOf(request) }, lifetime);
    checkMovable(olds.privateKey, request);
    checkMovable(olds.publicKey, request);
    checkSameKind(asked);
    const wanted = wantedPair(asInstances(Object.fromEntries(olds.privateKey.attributes)));
    refuseUnsafe(asked, isQuantumSafe(wanted.algorithm));
    const pair = await context.cryptography.generation(context.caller.identity, () => makeKeyPair(wanted));
    const ids = { privateKey: context.newId(), publicKey: context.newId() };
    const successor = (which: "privateKey" | "publicKey") => {
      const own = [...request.common, ...request[which]];
      const old = olds[which];
      const kept = inherited(old, { attributes: own, ...offsetOf(request) }, context);
      const requested = [...own, ...replacedLink(old).map((value) => ({ name: "Link", value }))];
      return newKey(which, {
        requested,
        given: { ...kept, ...madeHere(context) },
        pair,
        ids,
        algorithm: wanted.algorithm,
      });
    };
    await storeAll([successor("privateKey"), successor("publicKey")], context, [
      replacing(olds.privateKey, ids.privateKey, context),
      replacing(olds.publicKey, ids.publicKey, context),
    ]);
    return { privateKeyUniqueIdentifier: ids.privateKey, publicKeyUniqueIdentifier: ids.publicKey };
  });
}

function offsetOf({ offset }: { readonly offset?: number }): { offset?: number } {
  return offset === undefined ? {} : { offset };
}

/** What a successor does not take over (Table 173), and what storing a new object sets by itself. */
const ownToEach = new Set([
  "Unique Identifier",
  "Short Unique Identifier",
  "Initial Date",
  "Destroy Date",
  "Compromise Date",
  "Compromise Occurrence Date",
  "Revocation Reason",
  "Archive Date",
  "Digest",
  "Link",
  "Last Change Date",
  "Original Creation Date",
  "Random Number Generator",
  "Fresh",
  "Key Format Type",
  "Lease Time",
  "Always Sensitive",
  "Never Extractable",
]);

const dates = ["Activation Date", "Process Start Date", "Protect Stop Date", "Deactivation Date"];
/** What Offset stands in place of where it gives nothing but the new object's lifetime (Tables 332, 335). */
export const lifetime = ["Activation Date", "Deactivation Date"];

/** An offset and a date would be two answers to one question (Tables 331, 332, 335). */
export function checkOffset(
  { offset, attributes }: { readonly offset?: number; readonly attributes: readonly AttributeInstance[] },
  names: readonly string[],
): void {
  const date = attributes.find(({ name }) => names.includes(name));
  if (offset === undefined || date === undefined) return;
  throw new Refusal("InvalidMessage", `Offset sets the dates: leave "${date.name}" out, or Offset`);
}

/** The other dates move with the Activation Date: without one there is nothing to tell how far (Tables 331, 332). */
function checkMovable(old: ManagedObject, { offset }: { readonly offset?: number }): void {
  if (offset === undefined || numberIn(old, "Activation Date") !== undefined) return;
  const moved = dates.find((name) => numberIn(old, name) !== undefined);
  if (moved === undefined) return;
  throw new Refusal(
    "IllegalOperation",
    `The old key has "${moved}" and no Activation Date: give the dates themselves in place of Offset`,
    "AttributeNotFound",
  );
}

/** The attributes that a successor takes over, less those that the request gives anew; a new name comes beside the old ones (Table 173). */
export function inherited(
  old: ManagedObject,
  request: { readonly offset?: number; readonly attributes: readonly AttributeInstance[] },
  context: Context,
): Record<string, Json[]> {
  const anew = new Set(request.attributes.map(({ name }) => name));
  const kept: Record<string, Json[]> = {};
  for (const [name, instances] of old.attributes) {
    if (ownToEach.has(name) || name.startsWith(".") || anew.has(name) || dates.includes(name)) continue;
    const values = instances.filter((value) => value !== null);
    if (values.length > 0) kept[name] = values;
  }
  if (anew.has("Name")) kept.Name = allNames(old, request.attributes);
  const moved = newDates(old, request.offset, context);
  return { ...kept, ...Object.fromEntries(Object.entries(moved).filter(([name]) => !anew.has(name))) };
}

function allNames(old: ManagedObject, attributes: readonly AttributeInstance[]): Json[] {
  const kept = (old.attributes.get("Name") ?? []).filter((name) => name !== null);
  const added = attributes.filter(({ name }) => name === "Name").map(({ value }) => value);
  return [...kept, ...added.filter((name) => !kept.some((each) => sameValue(each, name)))];
}

/**
 * Table 172: without an offset the dates are those of the old key, with one they move with the Activation Date. An end that has
 * come already is not taken over: the successor of an expired key would be born expired.
 */
function newDates(old: ManagedObject, offset: number | undefined, context: Context): Record<string, Json[]> {
  const now = context.now();
  const start = numberIn(old, "Activation Date");
  const activation = offset === undefined ? start : seconds(now) + offset;
  const shift = offset === undefined || start === undefined || activation === undefined ? 0 : activation - start;
  const moved: Record<string, Json[]> = activation === undefined ? {} : { "Activation Date": [activation] };
  for (const name of dates.slice(1)) {
    const date = numberIn(old, name);
    const ended = name !== "Process Start Date" && shift === 0 && reached(old, name, now);
    if (date !== undefined && !ended) moved[name] = [date + shift];
  }
  return moved;
}

/** A key that was replaced has given its names away: doing it again would fork the line (4.4). */
export function checkReplaceable(old: ManagedObject, context: Context): void {
  const current = stateOf(old, context.now());
  if (current === state.destroyed || current === state.destroyedCompromised) {
    throw new Refusal("PermissionDenied", "The object has been destroyed: create a new one", "ObjectDestroyed");
  }
  if (links(old).some((link) => link.linkType === linkType.replacement)) {
    throw new Refusal(
      "PermissionDenied",
      "The object has a replacement already: follow its Link, and replace that one",
    );
  }
}

const fixed = ["Cryptographic Algorithm", "Cryptographic Length", "Cryptographic Domain Parameters"];

/** A successor is of the same kind (4.4): another kind of key is a new key. */
function checkSameKind(attributes: readonly AttributeInstance[]): void {
  const found = attributes.find(({ name }) => fixed.includes(name));
  if (found !== undefined) {
    throw new Refusal(
      "InvalidField",
      `"${found.name}" stays that of the replaced key: leave it out, or create a new key`,
    );
  }
}

/** The successor's link back. */
export function replacedLink(old: ManagedObject): Json[] {
  return [{ linkType: linkType.replaced, linkedObjectIdentifier: old.id }];
}

function asInstances(attributes: Readonly<Record<string, readonly Json[]>>): AttributeInstance[] {
  return Object.entries(attributes).flatMap(([name, values]) => values.map((value) => ({ name, value })));
}

function numberIn(object: ManagedObject, name: string): number | undefined {
  const value = object.attributes.get(name)?.[0];
  return typeof value === "number" ? value : undefined;
}
