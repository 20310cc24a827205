import { keyFormatType } from "../objects/enumerations.ts";
import type { Material } from "../objects/material.ts";
import { Refusal } from "../objects/refusal.ts";
import type { ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { change, find } from "./find.ts";
import { openMaterial } from "./open-material.ts";

/** KMIP Get (4.11). */
export interface GetRequest {
  readonly uniqueIdentifier: string;
  readonly keyFormatType?: number;
  readonly keyCompressionType?: number;
  /** Whether the client asked for the key wrapped. */
  readonly wrapped: boolean;
}

/** The object in clear; the door zeroes `material.bytes` once it is written. */
export interface GetResponse {
  readonly objectType: number;
  readonly uniqueIdentifier: string;
  readonly material: Material;
}

/** Opens the seal of an object and hands it out. */
export async function get(request: GetRequest, context: Context): Promise<GetResponse> {
  const object = await find(request.uniqueIdentifier, context);
  checkAllowed(object, request);
  const material = inFormat(openMaterial(object, context), request);
  await servedOnce(object, context);
  return { objectType: object.objectType, uniqueIdentifier: object.id, material };
}

function checkAllowed(object: ManagedObject, request: GetRequest): void {
  const flag = (name: string) => object.attributes.get(name)?.[0];
  if (request.wrapped)
    throw new Refusal("FeatureNotSupported", "Keys are not wrapped here: leave Key Wrapping Specification out");
  if (flag("Sensitive") === true)
    throw new Refusal("Sensitive", "The object is Sensitive: it leaves the server wrapped only");
  if (flag("Extractable") === false) throw new Refusal("NotExtractable", "The object is not Extractable");
  if (request.keyCompressionType !== undefined) {
    throw new Refusal("KeyCompressionTypeNotSupported", "Keys are given as they came: leave Key Compression Type out");
  }
}

/** Raw and transparent symmetric keys are the same bytes; every other format is given as it is kept. */
function inFormat(material: Material, { keyFormatType: wanted }: GetRequest): Material {
  if (wanted === undefined || wanted === material.format) return material;
  if (wanted === keyFormatType.transparentSymmetricKey && material.format === keyFormatType.raw) {
    return { ...material, format: wanted };
  }
  material.bytes.fill(0);
  throw new Refusal(
    "KeyFormatTypeNotSupported",
    "The object is not kept in this Key Format Type: leave it out to get it as it is",
  );
}

/** Fresh turns false with the first Get (3.34); a store that cannot write now does not stop the reading. */
async function servedOnce(object: ManagedObject, context: Context): Promise<void> {
  if (object.attributes.get("Fresh")?.[0] !== true) return;
  const { id } = object;
  try {
    await change(id, context, (latest) =>
      latest.attributes.get("Fresh")?.[0] === true
        ? context.store.write([{ kind: "change", id, facts: 0, attributes: { Fresh: [false] } }])
        : Promise.resolve(),
    );
  } catch (error) {
    context.log({ level: "warn", event: "fresh-not-recorded", object: id, error: (error as Error).name });
  }
}
