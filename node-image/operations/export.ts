import type { AttributeInstance } from "../objects/attributes.ts";
import type { Context } from "./context.ts";
import { type GetRequest, type GetResponse, get } from "./get.ts";
import { getAttributes } from "./get-attributes.ts";

/** An object with all of its attributes; the door zeroes `material.bytes` once it is written. */
export interface ExportResponse extends GetResponse {
  readonly attributes: readonly AttributeInstance[];
}

/** KMIP Export (1.4, 4.43): what Import takes elsewhere. */
export async function exportObject(request: GetRequest, context: Context): Promise<ExportResponse> {
  const { uniqueIdentifier } = request;
  const { attributes } = await getAttributes({ uniqueIdentifier, names: [] }, context);
  return { ...(await get(request, context)), attributes };
}
