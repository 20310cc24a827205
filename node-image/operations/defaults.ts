import { attributeRule } from "../objects/attribute-rules.ts";
import { type AttributeInstance, checkKept } from "../objects/attributes.ts";
import { Refusal } from "../objects/refusal.ts";
import type { Context } from "./context.ts";
import { type ObjectDefaults, setPolicy } from "./fleet-policy.ts";

/** KMIP Set Defaults (2.1, 6.1.53); none given takes all away. */
export interface SetDefaultsRequest {
  readonly defaults: readonly ObjectDefaults[];
}

/** Sets what new objects have unless their makers say otherwise. */
export async function setDefaults({ defaults }: SetDefaultsRequest, context: Context): Promise<object> {
  for (const { objectType, attributes } of defaults)
    for (const { name, value } of attributes) {
      checkDefault(name, objectType, context.version);
      checkKept(name, value);
    }
  await setPolicy("defaults", defaults, context);
  return {};
}

function checkDefault(name: string, objectType: number, version: number): void {
  const rule = attributeRule(name, version);
  if (rule === undefined || rule.initially === "server" || !rule.appliesTo.includes(objectType) || name === "Name")
    throw new Refusal("InvalidField", `Attribute "${name}" is none that all new objects of the type could have`);
}

/** Attributes for a new object of the type: those of the request, and the fleet's defaults for what it leaves out. */
export async function withDefaults(
  objectType: number,
  attributes: readonly AttributeInstance[],
  context: Context,
): Promise<readonly AttributeInstance[]> {
  const { defaults } = await context.policy.current(context.store);
  if (defaults.length === 0) return attributes;
  const given = new Set(attributes.map(({ name }) => name));
  const added = defaults
    .filter((each) => each.objectType === objectType)
    .flatMap((each) => each.attributes)
    // Clients of older versions make objects that have nothing which they do not know.
    .filter(({ name }) => !given.has(name) && attributeRule(name, context.version) !== undefined);
  return [...attributes, ...added];
}
