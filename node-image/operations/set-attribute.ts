import { isCustom } from "../objects/attribute-rules.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Json, ManagedObject } from "../objects/types.ts";
import { isAccessChange } from "./access-attributes.ts";
import { type ChangeAttributeRequest, type ChangeAttributeResponse, setOnly } from "./change-attributes.ts";
import type { Context } from "./context.ts";

/** KMIP Adjust Attribute (2.1, 6.1.3). */
export interface AdjustAttributeRequest {
  readonly uniqueIdentifier: string;
  readonly name: string;
  /** KMIP Adjustment Type. */
  readonly adjustment: number;
  /** By how much; 1 unless said. */
  readonly by?: bigint;
}

const adjustmentType = { increment: 1, decrement: 2, negate: 3 } as const;

/** Gives an attribute its one value, whether it had one or none; where there are more, it is not known which is meant (2.1, 6.1.54). */
export async function setAttribute(
  request: ChangeAttributeRequest,
  context: Context,
): Promise<ChangeAttributeResponse> {
  const { uniqueIdentifier, attribute } = request;
  if (isAccessChange(uniqueIdentifier, attribute.name))
    throw new Refusal("InvalidField", "Grants are changed by Add, Modify and Delete Attribute", "InvalidAttribute");
  return setOnly(uniqueIdentifier, context, (object) => {
    singleValue(object, attribute.name);
    return attribute;
  });
}

/** Changes a number or a truth value by what it is now. */
export function adjustAttribute(request: AdjustAttributeRequest, context: Context): Promise<ChangeAttributeResponse> {
  const { uniqueIdentifier, name } = request;
  return setOnly(uniqueIdentifier, context, (object) => ({
    name,
    value: adjusted(name, onlyValue(object, name), request),
  }));
}

function onlyValue(object: ManagedObject, name: string): Json {
  const value = singleValue(object, name);
  if (value === undefined)
    throw new Refusal("ItemNotFound", `The object has no attribute "${name}"`, "AttributeNotFound");
  return value;
}

function singleValue(object: ManagedObject, name: string): Json | undefined {
  const [value, ...more] = (object.attributes.get(name) ?? []).filter((each) => each !== null);
  if (more.length === 0) return value;
  throw new Refusal("InvalidField", `"${name}" has several instances: use Modify Attribute`, "MultiValuedAttribute");
}

type Range = readonly [least: bigint, most: bigint];

function signed(bits: bigint): Range {
  const end = 2n ** (bits - 1n);
  return [-end, end - 1n];
}

/** Ranges of a client's own numbers by their TTLV type: Integer, Long Integer, Big Integer, Date-Time, Interval, Date-Time Extended. */
const ownRanges: Readonly<Record<number, Range>> = {
  2: signed(32n),
  3: signed(64n),
  4: signed(65_536n),
  9: signed(64n),
  10: [0n, 2n ** 32n - 1n],
  11: signed(64n),
};

/** Words that are kept as numbers and that clients may change: counted on, they would mean nothing. */
const enumerations: ReadonlySet<string> = new Set(["Protection Level"]);

/** Of the other numbers only dates and masks have a sign; of the rest none below 0 could be told. */
function rangeOf(name: string): Range | undefined {
  if (enumerations.has(name)) return undefined;
  const most = name.endsWith(" Date") ? 8_640_000_000_000n : 0x7fff_ffffn;
  return / (Date|Mask)$/.test(name) ? [-most, most] : [0n, most];
}

function adjusted(name: string, value: Json, { adjustment, by = 1n }: AdjustAttributeRequest): Json {
  const own = isCustom(name) ? (value as { readonly type: number; readonly value: Json }) : undefined;
  const before = own === undefined ? value : own.value;
  const range = own === undefined ? rangeOf(name) : ownRanges[own.type];
  const after = changed({ name, before, range }, adjustment, by);
  return own === undefined ? after : { type: own.type, value: after };
}

interface Adjusted {
  readonly name: string;
  readonly before: Json;
  readonly range: Range | undefined;
}

/** Numbers beyond 32 bits are kept as digits. */
function changed({ name, before, range }: Adjusted, adjustment: number, by: bigint): Json {
  if (typeof before === "boolean" && adjustment === adjustmentType.negate) return !before;
  const isNumber = typeof before === "number" || (typeof before === "string" && isCustom(name));
  if (!isNumber || range === undefined)
    throw new Refusal(
      "InvalidField",
      `"${name}" cannot be adjusted so: numbers are counted or negated, truth values negated`,
      "InvalidDataType",
    );
  const sign = { [adjustmentType.increment]: 1n, [adjustmentType.decrement]: -1n }[adjustment];
  const result = sign === undefined ? -BigInt(before) : BigInt(before) + sign * by;
  const [least, most] = range;
  if (result < least || result > most)
    throw new Refusal("InvalidField", `"${name}" would leave its range`, "NumericRange");
  return typeof before === "number" ? Number(result) : String(result);
}
