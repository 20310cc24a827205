import { attributeRule } from "../objects/attribute-rules.ts";
import type { AttributeInstance } from "../objects/attributes.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json } from "../objects/types.ts";
import {
  addAttribute,
  type ChangeAttributeRequest,
  type ChangeAttributeResponse,
  modifyAttribute,
} from "./change-attributes.ts";
import type { Context } from "./context.ts";
import { find } from "./find.ts";

/** KMIP Adjust Attribute (2.1, 6.1.3). */
export interface AdjustAttributeRequest {
  readonly uniqueIdentifier: string;
  readonly name: string;
  /** KMIP Adjustment Type. */
  readonly adjustment: number;
  /** By how much; 1 unless said. */
  readonly by?: number;
}

const adjustmentType = { increment: 1, decrement: 2, negate: 3 } as const;

/** Gives an attribute its one value, whether it had one or not (2.1, 6.1.54). */
export async function setAttribute(
  request: ChangeAttributeRequest,
  context: Context,
): Promise<ChangeAttributeResponse> {
  const { name } = request.attribute;
  const object = await find(request.uniqueIdentifier, context);
  if (attributeRule(name, context.version)?.multiple === true)
    throw new Refusal(
      "InvalidField",
      `"${name}" may have several instances: use Add and Modify Attribute`,
      "InvalidAttribute",
    );
  const present = (object.attributes.get(name) ?? []).some((value) => value !== null);
  return present ? modifyAttribute(request, context) : addAttribute(request, context);
}

/** Changes a number or a truth value by what it is now. */
export async function adjustAttribute(
  request: AdjustAttributeRequest,
  context: Context,
): Promise<ChangeAttributeResponse> {
  const { uniqueIdentifier, name } = request;
  const object = await find(uniqueIdentifier, context);
  const values = (object.attributes.get(name) ?? []).filter((value) => value !== null);
  const [value, ...more] = values;
  if (value === undefined)
    throw new Refusal("ItemNotFound", `The object has no attribute "${name}"`, "AttributeNotFound");
  if (more.length > 0)
    throw new Refusal("InvalidField", `"${name}" has several instances: use Modify Attribute`, "InvalidAttribute");
  const attribute: AttributeInstance = { name, value: adjusted(name, value, request) };
  return modifyAttribute({ uniqueIdentifier, attribute }, context);
}

function adjusted(name: string, value: Json, { adjustment, by = 1 }: AdjustAttributeRequest): Json {
  if (typeof value === "boolean" && adjustment === adjustmentType.negate) return !value;
  if (typeof value !== "number" || typeof value === "boolean")
    throw new Refusal("InvalidField", `"${name}" is neither a number nor a truth value`, "InvalidDataType");
  const sign = { [adjustmentType.increment]: 1, [adjustmentType.decrement]: -1 }[adjustment];
  const result = sign === undefined ? -value : value + sign * by;
  const max = name.endsWith(" Date") ? 8.64e12 : 0x7fff_ffff;
  // Of numbers only dates and masks have a sign; of the others none below 0 could be told.
  const min = / (Date|Mask)$/.test(name) ? -max : 0;
  if (!Number.isSafeInteger(result) || result < min || result > max)
    throw new Refusal("InvalidField", `"${name}" would leave its range`, "NumericRange");
  return result;
}
