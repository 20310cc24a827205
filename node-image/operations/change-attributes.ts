import {
  type AttributeInstance,
  afterAdding,
  afterDeleting,
  afterModifying,
  lastChange,
} from "../objects/attributes.ts";
import { factOf, reached, seconds } from "../objects/lifecycle.ts";
import type { Json, ManagedObject } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { change } from "./find.ts";
import { withFreeNames } from "./names.ts";

/** KMIP Add Attribute and Modify Attribute (4.14, 4.15). */
export interface ChangeAttributeRequest {
  readonly uniqueIdentifier: string;
  readonly attribute: AttributeInstance;
}

/** KMIP Delete Attribute (4.16). */
export interface DeleteAttributeRequest {
  readonly uniqueIdentifier: string;
  readonly name: string;
  readonly index?: number;
}

/** The attribute instance that was added, changed or deleted. */
export interface ChangeAttributeResponse {
  readonly uniqueIdentifier: string;
  readonly attribute: AttributeInstance;
}

/** Adds one instance. */
export function addAttribute(request: ChangeAttributeRequest, context: Context): Promise<ChangeAttributeResponse> {
  const { uniqueIdentifier: id, attribute } = request;
  return change(id, context, async (object) => {
    const instances = afterAdding(object, attribute, context.now(), context.version);
    await write(object, attribute, instances, context);
    return { uniqueIdentifier: id, attribute: at(attribute.name, instances.length - 1, attribute.value) };
  });
}

/** Replaces one instance. */
export function modifyAttribute(request: ChangeAttributeRequest, context: Context): Promise<ChangeAttributeResponse> {
  const { uniqueIdentifier: id, attribute } = request;
  return change(id, context, async (object) => {
    const instances = afterModifying(object, attribute, context.now(), context.version);
    await write(object, attribute, instances, context);
    return { uniqueIdentifier: id, attribute: at(attribute.name, attribute.index ?? 0, attribute.value) };
  });
}

/** Deletes one instance; its index is not given to another while later ones exist. */
export function deleteAttribute(request: DeleteAttributeRequest, context: Context): Promise<ChangeAttributeResponse> {
  const { uniqueIdentifier: id, name, index } = request;
  return change(id, context, async (object) => {
    const left = afterDeleting(object, name, index, context.version);
    const value = object.attributes.get(name)?.[index ?? 0] ?? null;
    await context.store.write([
      { kind: "change", id, facts: 0, attributes: { [name]: left, ...lastChange(context.now()) } },
    ]);
    return { uniqueIdentifier: id, attribute: at(name, index ?? 0, value) };
  });
}

function at(name: string, index: number, value: Json): AttributeInstance {
  return index === 0 ? { name, value } : { name, index, value };
}

async function write(
  object: ManagedObject,
  changed: AttributeInstance,
  instances: Json[],
  context: Context,
): Promise<void> {
  const { name, value } = changed;
  const now = context.now();
  const attributes = { [name]: instances, ...follows(object, name, value), ...lastChange(now) };
  const facts = factsOfDate(name, instances, now);
  const store = () => context.store.write([{ kind: "change", id: object.id, facts, attributes }]);
  const names = name === "Name" ? [value] : [];
  await withFreeNames(names, { context, code: "IllegalOperation", except: object.id }, store);
}

/** A date that is set to the past acts at once and for good (3.22), also if another node sets another date meanwhile. */
function factsOfDate(name: string, instances: Json[], now: Date): number {
  if (!reached({ attributes: new Map([[name, instances]]) }, name, now)) return 0;
  if (name === "Activation Date") return factOf.activate;
  return name === "Deactivation Date" && typeof instances[0] === "number" && instances[0] <= seconds(now)
    ? factOf.deactivate
    : 0;
}

/** Always Sensitive and Never Extractable forget their virtue with the first change (3.54, 3.56). */
function follows(object: ManagedObject, name: string, value: Json): Record<string, Json[]> {
  if (name === "Sensitive" && value === false && object.attributes.has("Always Sensitive")) {
    return { "Always Sensitive": [false] };
  }
  if (name === "Extractable" && value === true && object.attributes.has("Never Extractable")) {
    return { "Never Extractable": [false] };
  }
  return {};
}
