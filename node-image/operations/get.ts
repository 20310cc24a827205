import { keyBytes } from "../cryptography/key-format.ts";
import { keyFormatType, objectType } from "../objects/enumerations.ts";
import type { Material } from "../objects/material.ts";
import { Refusal } from "../objects/refusal.ts";
import type { ManagedObject } from "../objects/types.ts";
import { parsed } from "./checked-key.ts";
import type { Context } from "./context.ts";
import { change, find } from "./find.ts";
import { mustBeServed, recalledMaterial } from "./open-material.ts";
import { isFresh } from "./served-objects.ts";
import { unwrapMaterial, type WrappingSpecification, wrapMaterial } from "./wrapping.ts";

/** KMIP Get (4.11). */
export interface GetRequest {
  readonly uniqueIdentifier: string;
  readonly keyFormatType?: number;
  readonly keyCompressionType?: number;
  /** KMIP Key Wrap Type: whether a key that was registered wrapped is given in clear, or as it came. */
  readonly keyWrapType?: number;
  readonly wrapping?: WrappingSpecification;
}

/** The object in clear or wrapped; the door zeroes `material.bytes` once it is written. */
export interface GetResponse {
  readonly objectType: number;
  readonly uniqueIdentifier: string;
  readonly material: Material;
}

/** Opens the seal of an object and hands it out. */
export async function get(request: GetRequest, context: Context): Promise<GetResponse> {
  const object = await find(request.uniqueIdentifier, context);
  const material = await materialFor(object, request, context);
  if (isFresh(object)) await servedOnce(object, context);
  return { objectType: object.objectType, uniqueIdentifier: object.id, material };
}

/** KMIP Key Wrap Type (1.4, 9.1.3.2.48). */
export const notWrapped = 1;
const asRegistered = 2;

/** The object as it was asked for, the caller's to zero. Rejects with Refusal. */
export async function materialFor(
  object: ManagedObject,
  request: Omit<GetRequest, "uniqueIdentifier">,
  context: Context,
): Promise<Material> {
  checkWrapType(request);
  mustBeServed(object, context);
  const kept = recalledMaterial(object, context);
  try {
    const wrapped =
      request.wrapping !== undefined || (kept.wrapping !== undefined && request.keyWrapType !== notWrapped);
    checkHandedOut(object, wrapped);
    if (request.wrapping !== undefined && !isKey(object)) {
      throw new Refusal("InvalidField", "Objects without a Key Block are not wrapped", "IllegalObjectType");
    }
    const opened = request.keyWrapType === notWrapped ? await unwrapMaterial(kept, context) : kept;
    const material = inFormat(object, opened, request);
    return request.wrapping === undefined ? material : wrapMaterial({ object, material }, request.wrapping, context);
  } catch (error) {
    kept.bytes.fill(0);
    throw error;
  }
}

/** A way of wrapping that is not known here must not be answered by another (Table 338). */
function checkWrapType({ keyWrapType = notWrapped }: Omit<GetRequest, "uniqueIdentifier">): void {
  if (keyWrapType === notWrapped || keyWrapType === asRegistered) return;
  throw new Refusal(
    "FeatureNotSupported",
    "This Key Wrap Type is not offered: ask for Not Wrapped or As Registered",
    "KeyWrapTypeNotSupported",
  );
}

const withoutKeyBlock: ReadonlySet<number> = new Set([
  objectType.certificate,
  objectType.certificateRequest,
  objectType.opaqueObject,
  objectType.template,
]);

function isKey({ objectType: type }: ManagedObject): boolean {
  return !withoutKeyBlock.has(type);
}

/** Refuses what must not leave the server, in clear or at all (KMIP 1.4, 3.48, 3.50). Throws Refusal. */
export function checkHandedOut(object: ManagedObject, wrapped: boolean): void {
  const flag = (name: string) => object.attributes.get(name)?.[0];
  if (flag("Sensitive") === true && !wrapped)
    throw new Refusal("Sensitive", "The object is Sensitive: it leaves the server wrapped only");
  if (flag("Extractable") === false) throw new Refusal("NotExtractable", "The object is not Extractable");
}

/** Another format of the same key, where it has one; wrapped keys are given as they came. */
function inFormat(object: ManagedObject, material: Material, request: Omit<GetRequest, "uniqueIdentifier">): Material {
  const { keyFormatType: wanted = material.format, keyCompressionType } = request;
  if (wanted === material.format && keyCompressionType === undefined) return material;
  if (material.wrapping === undefined && isRawOrTransparent(wanted) && isRawOrTransparent(material.format)) {
    return { ...material, format: wanted };
  }
  const pair = object.objectType === objectType.publicKey || object.objectType === objectType.privateKey;
  if (!pair || material.wrapping !== undefined) {
    throw new Refusal("KeyFormatTypeNotSupported", "The object has no form in this Key Format Type: leave it out");
  }
  const bytes = keyBytes(parsed(object, material), wanted, keyCompressionType);
  return { ...material, format: wanted, bytes };
}

/** Raw and transparent symmetric keys are the same bytes. */
function isRawOrTransparent(format: number): boolean {
  return format === keyFormatType.raw || format === keyFormatType.transparentSymmetricKey;
}

/**
 * Fresh turns false with the first Get (3.34), after the answer: see docs/decisions/0015. In a batch that may be undone it is
 * one of its changes. A store that cannot write now does not stop the reading.
 */
export async function servedOnce({ id }: ManagedObject, context: Context): Promise<void> {
  if (context.served.isFor(context.store)) return context.served.note(id);
  try {
    await change(id, context, (latest) =>
      isFresh(latest)
        ? context.store.write([{ kind: "change", id, facts: 0, attributes: { Fresh: [false] } }])
        : Promise.resolve(),
    );
  } catch (error) {
    context.log({ level: "warn", event: "fresh-not-recorded", object: id, error: (error as Error).name });
  }
}
