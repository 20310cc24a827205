import {
  type AttributeInstance,
  afterAdding,
  afterDeleting,
  afterModifying,
  type Instances,
  lastChange,
} from "../objects/attributes.ts";
import { state } from "../objects/enumerations.ts";
import { factOf, reached, stateOf } from "../objects/lifecycle.ts";
import { claimRows } from "../objects/names.ts";
import { Refusal } from "../objects/refusal.ts";
import { sameValue } from "../objects/same-value.ts";
import type { Json, ManagedObject } from "../objects/types.ts";
import { changeAccess, isAccessChange } from "./access-attributes.ts";
import type { Context } from "./context.ts";
import { change, find } from "./find.ts";
import { withFreeNames } from "./names.ts";
import { changeUsageLimits } from "./usage-limits.ts";

const usageLimits = "Usage Limits";

/** KMIP Add Attribute and Modify Attribute (4.14, 4.15). */
export interface ChangeAttributeRequest {
  readonly uniqueIdentifier: string;
  /** KMIP 2.x: the instance that is meant, by its present value. */
  readonly current?: AttributeInstance;
  readonly attribute: AttributeInstance;
}

/** KMIP Delete Attribute (4.16). */
export interface DeleteAttributeRequest {
  readonly uniqueIdentifier: string;
  readonly name: string;
  readonly index?: number;
  /** KMIP 2.x: the instance by its value; without it all instances of the name are meant. */
  readonly current?: Json;
}

/** The attribute instance that was added, changed or deleted. */
export interface ChangeAttributeResponse {
  readonly uniqueIdentifier: string;
  readonly attribute: AttributeInstance;
}

/** Adds one instance. */
export function addAttribute(request: ChangeAttributeRequest, context: Context): Promise<ChangeAttributeResponse> {
  const { uniqueIdentifier: id, attribute } = request;
  if (isAccessChange(id, attribute.name)) return changeAccess({ how: "add", uniqueIdentifier: id, attribute }, context);
  return change(id, context, (object) => add(object, attribute, context));
}

async function add(
  object: ManagedObject,
  attribute: AttributeInstance,
  context: Context,
): Promise<ChangeAttributeResponse> {
  if (attribute.name === usageLimits) return changeUsageLimits("add", object, attribute, context);
  await mayMoveOn(object, attribute.name, context);
  const instances = afterAdding(object, attribute, context.now(), context.version);
  await write(object, attribute, instances, context);
  return { uniqueIdentifier: object.id, attribute: at(attribute.name, instances.length - 1, attribute.value) };
}

/** Replaces one instance. */
export function modifyAttribute(request: ChangeAttributeRequest, context: Context): Promise<ChangeAttributeResponse> {
  const { uniqueIdentifier: id, attribute } = request;
  if (isAccessChange(id, attribute.name))
    return changeAccess({ how: "modify", uniqueIdentifier: id, attribute }, context);
  return change(id, context, (object) => modify(object, request, context));
}

async function modify(
  object: ManagedObject,
  request: Omit<ChangeAttributeRequest, "uniqueIdentifier">,
  context: Context,
): Promise<ChangeAttributeResponse> {
  const { attribute } = request;
  if (attribute.name === usageLimits) return changeUsageLimits("modify", object, attribute, context);
  await mayMoveOn(object, attribute.name, context);
  refuseLifting(object, attribute, context);
  const index = instanceMeant(object, request, context.version);
  const instances = afterModifying(object, { ...attribute, index }, context.now(), context.version);
  await write(object, attribute, instances, context);
  return { uniqueIdentifier: object.id, attribute: at(attribute.name, index, attribute.value, attribute.index) };
}

const movers: ReadonlyMap<string, string> = new Map([
  ["Activation Date", "Activate"],
  ["Deactivation Date", "Revoke"],
]);

/** A date that moves an object on in its life needs the right of the operation that does: no right includes another. */
async function mayMoveOn({ id }: ManagedObject, name: string, context: Context): Promise<void> {
  const right = movers.get(name);
  if (right !== undefined) await find(id, context, right);
}

/** What keeps a key inside the server is lifted by its owner alone: else who may change attributes and Get would have it in clear. */
function refuseLifting(
  { owner, attributes }: ManagedObject,
  { name, value }: AttributeInstance,
  context: Context,
): void {
  const keeping = keepingInside.get(name);
  if (keeping === undefined || value === keeping || attributes.get(name)?.[0] !== keeping) return;
  if (owner === context.caller.identity && context.delegation === undefined) return;
  throw new Refusal("PermissionDenied", `"${name}" is lifted by the object's owner alone, and by no ticket`);
}

const keepingInside: ReadonlyMap<string, boolean> = new Map([
  ["Sensitive", true],
  ["Extractable", false],
]);

/** Gives an attribute that has one value at most the one that follows from the object as it is, alone among its changes. */
export function setOnly(
  id: string,
  context: Context,
  decide: (object: ManagedObject) => AttributeInstance,
): Promise<ChangeAttributeResponse> {
  return change(id, context, (object) => {
    const attribute = decide(object);
    const present = (object.attributes.get(attribute.name) ?? []).some((value) => value !== null);
    return present ? modify(object, { attribute }, context) : add(object, attribute, context);
  });
}

/** Deletes one instance, whose index is not given to another while later ones exist; or all (KMIP 2.x). */
export function deleteAttribute(request: DeleteAttributeRequest, context: Context): Promise<ChangeAttributeResponse> {
  const { uniqueIdentifier: id, name, current } = request;
  if (isAccessChange(id, name)) {
    return changeAccess(
      { how: "delete", uniqueIdentifier: id, attribute: { name, value: { type: 7, value: "" } } },
      context,
    );
  }
  return change(id, context, async (object) => {
    if (name === usageLimits) return changeUsageLimits("delete", object, { name, value: null }, context);
    const instances = object.attributes.get(name) ?? [];
    const index = current === undefined ? (request.index ?? 0) : instanceOf(instances, name, current);
    const left = afterDeleting(object, name, index, context.version);
    const all = context.version >= 20 && current === undefined;
    await context.store.write([
      { kind: "change", id, facts: 0, attributes: { [name]: all ? null : left, ...lastChange(context.now()) } },
    ]);
    return { uniqueIdentifier: id, attribute: at(name, index, instances[index] ?? null, request.index) };
  });
}

/** 1.x names an instance by its index, 2.x by its value, or not at all when there is one only. */
function instanceMeant(
  object: ManagedObject,
  request: Omit<ChangeAttributeRequest, "uniqueIdentifier">,
  version: number,
): number {
  const { attribute, current } = request;
  const { name, index } = attribute;
  if (version < 20) return index ?? 0;
  const instances = object.attributes.get(name) ?? [];
  if (current !== undefined) {
    if (current.name !== name) throw new Refusal("InvalidField", "Current Attribute and New Attribute differ in name");
    return instanceOf(instances, name, current.value);
  }
  const present = instances.flatMap((value, at) => (value === null ? [] : [at]));
  if (present.length > 1)
    throw new Refusal("InvalidField", `"${name}" has several instances: say which with Current Attribute`);
  return present[0] ?? 0;
}

function instanceOf(instances: Instances, name: string, value: Json): number {
  const index = instances.findIndex((instance) => sameValue(instance, value));
  if (index < 0)
    throw new Refusal(
      "ItemNotFound",
      `Attribute "${name}" has no instance with this value`,
      "AttributeInstanceNotFound",
    );
  return index;
}

/** Index 0 is said to who said it (4.15, 4.16: it may be left out). */
function at(name: string, index: number, value: Json, asked?: number): AttributeInstance {
  return index === 0 && asked === undefined ? { name, value } : { name, index, value };
}

async function write(
  object: ManagedObject,
  changed: AttributeInstance,
  instances: Json[],
  context: Context,
): Promise<void> {
  const { name, value } = changed;
  const now = context.now();
  const names = name === "Name" ? [value] : [];
  const claims = claimRows(names, now.getTime());
  const attributes = { [name]: instances, ...claims, ...follows(object, name, value), ...lastChange(now) };
  const facts = factsOfDate(object, name, instances, now);
  const store = () => context.store.write([{ kind: "change", id: object.id, facts, attributes }]);
  await withFreeNames(names, { owner: object.owner, context, code: "IllegalOperation", except: object.id }, store);
}

/**
 * A date that is set to the past acts at once and for good (3.22), also if another node sets another date meanwhile; but what
 * is not active yet is not deactivated: there is no such transition.
 */
function factsOfDate(object: ManagedObject, name: string, instances: Json[], now: Date): number {
  if (!reached({ attributes: new Map([[name, instances]]) }, name, now)) return 0;
  if (name === "Activation Date") return factOf.activate;
  return name === "Deactivation Date" && stateOf(object, now) === state.active ? factOf.deactivate : 0;
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
