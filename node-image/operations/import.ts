import { type AttributeRule, attributeRule } from "../objects/attribute-rules.ts";
import { type AttributeInstance, attributeLimits } from "../objects/attributes.ts";
import { state } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { fact, type Json } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { notWrapped } from "./get.ts";
import { storeNew } from "./new-object.ts";
import { brought, type RegisterRequest, type RegisterResponse } from "./register.ts";
import { unwrapMaterial } from "./wrapping.ts";

/** KMIP Import (1.4, 4.42): an object with the past that it had elsewhere. */
export interface ImportRequest extends RegisterRequest {
  readonly uniqueIdentifier: string;
  readonly replaceExisting?: boolean;
  /** KMIP Key Wrap Type: Not Wrapped asks for the key to be unwrapped here. */
  readonly keyWrapType?: number;
}

/**
 * Stores the object under an identifier of the server's: two nodes that cannot hear each other must never make two objects
 * of one identifier. Attributes are taken as given, those that else the server sets included.
 */
export async function importObject(request: ImportRequest, context: Context): Promise<RegisterResponse> {
  await checkNew(request, context);
  const { requested, past } = divided(request, context.version);
  const material =
    request.keyWrapType === notWrapped ? await unwrapMaterial(request.material, context) : request.material;
  const created = brought({ ...request, attributes: requested, material }, context);
  const facts = factsOf(request.attributes);
  return { uniqueIdentifier: await storeNew({ ...created, past: { attributes: past, facts } }, context) };
}

async function checkNew({ uniqueIdentifier, replaceExisting }: ImportRequest, context: Context): Promise<void> {
  const [existing] = await context.store.objects([uniqueIdentifier]);
  // Another's object is none for this caller.
  if (existing === undefined || existing.owner !== context.caller.identity) return;
  if (replaceExisting === true)
    throw new Refusal("InvalidField", "Key material is never replaced here: Destroy that object, and import anew");
  throw new Refusal("ObjectAlreadyExists", "You have an object with this Unique Identifier");
}

/** What follows from the object itself, or is told by the facts of its life. */
const computed = new Set([
  "Unique Identifier",
  "Short Unique Identifier",
  "Object Type",
  "State",
  "Digest",
  "Key Format Type",
  "Protection Storage Mask",
  "Archive Date",
]);

/** Parts what a client may set from what the object brings of its past. */
function divided({ attributes, objectType }: ImportRequest, version: number) {
  const past: Record<string, Json[]> = {};
  const requested: AttributeInstance[] = [];
  for (const attribute of attributes) {
    const { name } = attribute;
    if (name.startsWith("x-keyfleet-")) {
      throw new Refusal("InvalidField", "Rights do not come with an object: grant them afterwards");
    }
    const rule = attributeRule(name, version);
    if (rule?.initially !== "server" && name !== "Fresh") requested.push(attribute);
    else if (!computed.has(name) && rule?.appliesTo.includes(objectType) === true)
      past[name] = oneMore(past[name] ?? [], attribute, rule);
  }
  return { requested, past };
}

function oneMore(instances: readonly Json[], { name, value }: AttributeInstance, { multiple }: AttributeRule): Json[] {
  if (instances.length >= (multiple ? attributeLimits.instances : 1))
    throw new Refusal("InvalidField", `Attribute "${name}" is given too often`);
  return [...instances, value];
}

const factsOfState: Readonly<Record<number, number>> = {
  [state.preActive]: 0,
  [state.active]: fact.activated,
  [state.deactivated]: fact.activated | fact.deactivated,
  [state.compromised]: fact.compromised,
};

function factsOf(attributes: readonly AttributeInstance[]): number {
  const value = attributes.find(({ name }) => name === "State")?.value ?? state.preActive;
  const facts = factsOfState[value as number];
  if (facts === undefined)
    throw new Refusal("InvalidField", "An object that was destroyed cannot be imported", "InvalidAttributeValue");
  return facts;
}
