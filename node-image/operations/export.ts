import type { AttributeInstance } from "../objects/attributes.ts";
import type { Context } from "./context.ts";
import { find } from "./find.ts";
import { type GetRequest, type GetResponse, materialFor, servedOnce } from "./get.ts";
import { attributesOf } from "./get-attributes.ts";
import { isFresh } from "./served-objects.ts";

/** An object with all of its attributes; the door zeroes `material.bytes` once it is written. */
export interface ExportResponse extends GetResponse {
  readonly attributes: readonly AttributeInstance[];
}

/** KMIP Export (1.4, 4.43): what Import takes elsewhere. The object is read once: who waited for another reading would hold the first. */
export async function exportObject(request: GetRequest, context: Context): Promise<ExportResponse> {
  const object = await find(request.uniqueIdentifier, context);
  const attributes = await attributesOf(object, [], context);
  const material = await materialFor(object, request, context);
  if (isFresh(object)) await servedOnce(object, context);
  return { objectType: object.objectType, uniqueIdentifier: object.id, material, attributes };
}
