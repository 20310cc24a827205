import { type AttributeRule, attributeRule, attributeRules, isCustom } from "./attribute-rules.ts";
import { state, objectType as types } from "./enumerations.ts";
import { reached, seconds, stateOf } from "./lifecycle.ts";
import { Refusal } from "./refusal.ts";
import { sameValue } from "./same-value.ts";
import type { Description, Json, ManagedObject } from "./types.ts";
import { usageLimitsOf, visibleUsageLimits } from "./usage-ledger.ts";

/** One instance of an attribute, as requests and answers carry it. */
export interface AttributeInstance {
  readonly name: string;
  /** Attribute Index; absent means 0 where one must be meant. */
  readonly index?: number;
  readonly value: Json;
}

/** Longest lease: after it a client asks again whether an object may still be used (3.20). */
export const leaseMaxSeconds = 3_600;

/** Instances of an attribute in index order; null keeps the place of a deleted one, since an index never moves (2.1.1). */
export type Instances = readonly Json[];

/** Bounds of what one object may carry. */
export const attributeLimits = { instances: 100, names: 200, characters: 65_536 } as const;

/** All attributes that an object has in a protocol version, those that follow from facts included. */
export function visibleAttributes(object: Description, now: Date, version: number): ReadonlyMap<string, Instances> {
  const derived: [string, Instances][] = [
    ["Unique Identifier", [object.id]],
    ["Object Type", [object.objectType]],
    ["State", [stateOf(object, now)]],
    ["Short Unique Identifier", [object.id.replaceAll("-", "")]],
    ...(object.objectType === types.opaqueObject ? [] : [["Lease Time", [leaseMaxSeconds]] as [string, Instances]]),
  ];
  const limits = usageLimitsOf(object);
  const left: [string, Instances][] =
    limits === undefined ? [] : [["Usage Limits", [visibleUsageLimits(object, limits)]]];
  return new Map(
    [...derived, ...object.attributes, ...left].filter(([name]) => attributeRule(name, version) !== undefined),
  );
}

/** The attributes of a new object from those its maker asked for. Throws Refusal. */
export function firstAttributes(
  requested: readonly AttributeInstance[],
  objectType: number,
  version: number,
): Record<string, Json[]> {
  const attributes: Record<string, Json[]> = Object.create(null);
  for (const { name, index, value } of requested) {
    const rule = knownRule(name, version, objectType, "InvalidField");
    if (rule.initially === "server") {
      throw new Refusal("InvalidField", `Attribute "${name}" is set by the server: leave it out of the request`);
    }
    const instances = attributes[name] ?? [];
    attributes[name] = instances;
    if (!rule.multiple && instances.length > 0) {
      throw new Refusal("InvalidField", `Attribute "${name}" may be given once only`);
    }
    // PyKMIP gives every instance the index 0, which 2.1.1 lets a missing index mean as well.
    if (index !== undefined && index !== 0 && index !== instances.length) {
      throw new Refusal("InvalidField", `Instances of "${name}" must be indexed from 0 on, in order`);
    }
    if (instances.some((other) => sameValue(other, value))) {
      throw new Refusal("InvalidField", `Attribute "${name}" has two equal instances: give each once`);
    }
    instances.push(value);
    checkKept(name, value);
    checkCount(name, instances);
  }
  checkCountOfNames(Object.keys(attributes).length);
  checkSize(Object.entries(attributes));
  checkDates(attributes);
  return attributes;
}

/** The instances after one was added. Throws Refusal. */
export function afterAdding(object: ManagedObject, added: AttributeInstance, now: Date, version: number): Json[] {
  const { name, index, value } = added;
  const rule = knownRule(name, version, object.objectType, "PermissionDenied");
  checkWritable(name, rule, object, now);
  if (index !== undefined && index !== 0) {
    throw new Refusal("InvalidField", "The server gives a new instance its index: leave Attribute Index out");
  }
  const instances = object.attributes.get(name) ?? [];
  if (!rule.multiple && instances.length > 0) {
    throw new Refusal(
      "IllegalOperation",
      `Attribute "${name}" exists already: use Modify Attribute`,
      "AttributeSingleValued",
    );
  }
  if (instances.some((other) => sameValue(other, value))) {
    const finer = name === "Name" ? "NonUniqueNameAttribute" : "InvalidAttributeValue";
    throw new Refusal("IllegalOperation", `Attribute "${name}" has this value already`, finer);
  }
  const result = [...instances, value];
  checkKept(name, value);
  checkCount(name, result);
  checkCountOfNames(ownNames(object).length + (object.attributes.has(name) ? 0 : 1));
  checkSize([...object.attributes, [name, result]]);
  checkChangedDate(object, name, value, now);
  return result;
}

/** The instances after one was replaced. Throws Refusal. */
export function afterModifying(object: ManagedObject, modified: AttributeInstance, now: Date, version: number): Json[] {
  const { name, index = 0, value } = modified;
  const rule = knownRule(name, version, object.objectType, "PermissionDenied");
  checkWritable(name, rule, object, now);
  const instances = object.attributes.get(name);
  if (instances === undefined) {
    throw new Refusal(
      "InvalidField",
      `The object has no attribute "${name}": use Add Attribute first`,
      "AttributeNotFound",
    );
  }
  checkInstance(name, instances, index);
  checkKept(name, value);
  checkChangedDate(object, name, value, now);
  const result = instances.map((old, at) => (at === index ? value : old));
  checkSize([...object.attributes, [name, result]]);
  return result;
}

/** The instances after one was deleted; null when none is left. Throws Refusal. */
export function afterDeleting(
  object: ManagedObject,
  name: string,
  index: number | undefined,
  version: number,
): Json[] | null {
  const rule = attributeRule(name, version);
  if (rule === undefined) throw noSuchAttribute(name);
  if (!rule.deletable)
    throw new Refusal("PermissionDenied", `Attribute "${name}" cannot be deleted`, "AttributeReadOnly");
  const instances = object.attributes.get(name);
  if (instances === undefined) throw noSuchAttribute(name);
  checkInstance(name, instances, index ?? 0);
  const left = instances.map((old, at) => (at === (index ?? 0) ? null : old));
  while (left.length > 0 && left.at(-1) === null) left.pop();
  return left.length === 0 ? null : left;
}

/** Refuses what does not apply to the object's type, or may not be changed in its state. Throws Refusal. */
export function checkChangeable(object: ManagedObject, name: string, now: Date, version: number): void {
  checkWritable(name, knownRule(name, version, object.objectType, "PermissionDenied"), object, now);
}

/** Whether the name is one that some version knows, or a client's own. */
export function isAttributeName(name: string): boolean {
  return isCustom(name) || Object.hasOwn(attributeRules, name);
}

function noSuchAttribute(name: string): Refusal {
  return new Refusal("ItemNotFound", `The object has no attribute "${name}"`, "AttributeNotFound");
}

function knownRule(
  name: string,
  version: number,
  objectType: number,
  code: "InvalidField" | "PermissionDenied",
): AttributeRule {
  const rule = attributeRule(name, version);
  if (rule === undefined) {
    throw new Refusal(
      code,
      `Attribute "${name}" does not exist in this protocol version; own names begin with "x-"`,
      "UnsupportedAttribute",
    );
  }
  if (!rule.appliesTo.includes(objectType)) {
    throw new Refusal(code, `Attribute "${name}" does not apply to this object type`, "InvalidAttribute");
  }
  return rule;
}

function checkWritable(name: string, rule: AttributeRule, object: ManagedObject, now: Date): void {
  const current = stateOf(object, now);
  const destroyed = current === state.destroyed || current === state.destroyedCompromised;
  const open = {
    never: false,
    always: true,
    preActive: current === state.preActive,
    untilDeactivated: current === state.preActive || current === state.active,
  }[rule.modifiable];
  if (rule.modifiable === "never")
    throw new Refusal("PermissionDenied", `Attribute "${name}" is read-only`, "AttributeReadOnly");
  if (!open || destroyed) {
    throw new Refusal(
      "PermissionDenied",
      `Attribute "${name}" cannot be changed in the object's present state`,
      destroyed ? "ObjectDestroyed" : "WrongKeyLifecycleState",
    );
  }
}

function checkInstance(name: string, instances: Instances, index: number): void {
  if (instances[index] === undefined || instances[index] === null) {
    throw new Refusal(
      "ItemNotFound",
      `Attribute "${name}" has no instance with index ${index}`,
      "AttributeInstanceNotFound",
    );
  }
}

/** What the server would have to do something about that it does not: kept in silence, it would be believed in. Throws Refusal. */
export function checkKept(name: string, value: Json): void {
  if (name === "Rotate Automatic" && value === true) {
    throw new Refusal(
      "FeatureNotSupported",
      "Keys are not rotated by themselves here: leave Rotate Automatic out, and Re-key when it is time",
      "InvalidAttributeValue",
    );
  }
  if (name !== "Application Specific Information") return;
  if ((value as { readonly applicationData?: string }).applicationData !== undefined) return;
  // Data that the client leaves out would be the server's to make (3.36), and this one knows no application's.
  throw new Refusal(
    "ApplicationNamespaceNotSupported",
    "Application Data is not made here for any Application Namespace: give it",
  );
}

function checkCount(name: string, instances: Instances): void {
  if (instances.length > attributeLimits.instances) {
    throw new Refusal("IndexOutOfBounds", `Attribute "${name}" has more than ${attributeLimits.instances} instances`);
  }
}

function checkCountOfNames(count: number): void {
  if (count > attributeLimits.names) {
    throw new Refusal("IndexOutOfBounds", `An object has at most ${attributeLimits.names} attributes`);
  }
}

/** Rows of the server's own (rights, usage, claims of names) have bounds of their own. */
function ownNames({ attributes }: ManagedObject): string[] {
  return [...attributes.keys()].filter(isClients);
}

function isClients(name: string): boolean {
  return !name.startsWith(".");
}

/** All attributes of an object must fit an answer, which has the name with each instance, and nobody may fill the disk with them. Throws Refusal. */
export function checkSize(attributes: readonly (readonly [string, Instances])[]): void {
  const own = [...new Map(attributes)].filter(([name]) => isClients(name));
  const again = own.reduce((sum, [name, instances]) => sum + name.length * Math.max(0, instances.length - 1), 0);
  if (JSON.stringify(own).length + again > attributeLimits.characters) {
    throw new Refusal(
      "InvalidField",
      `An object's attributes have at most ${attributeLimits.characters} characters in all, names once with each instance`,
    );
  }
}

/** A changed date must not be one that was reached, and the order of the dates must hold. */
function checkChangedDate(object: ManagedObject, name: string, value: Json, now: Date): void {
  if (!name.endsWith(" Date")) return;
  const started = name === "Process Start Date" || name === "Protect Stop Date";
  if (started && reached(object, name, now)) {
    throw new Refusal(
      "PermissionDenied",
      `"${name}" has been reached and can no longer be changed`,
      "WrongKeyLifecycleState",
    );
  }
  checkDates({ ...Object.fromEntries(object.attributes), [name]: [value] });
}

/**
 * Orders that must hold: all within activation and deactivation. Process start and protect stop have no order between them:
 * a key may end to protect before it begins to be read with (3.25, 3.26).
 */
const ordersOfDates = [
  ["Activation Date", "Process Start Date", "Deactivation Date"],
  ["Activation Date", "Protect Stop Date", "Deactivation Date"],
];

/** Dates that are set must stand in order (3.24–3.27). */
function checkDates(attributes: Readonly<Record<string, readonly Json[]>>): void {
  for (const order of ordersOfDates) {
    const set = order.flatMap((name) => {
      const date = attributes[name]?.[0];
      return typeof date === "number" ? [{ name, date }] : [];
    });
    for (const [at, { name, date }] of set.entries()) {
      const before = set[at - 1];
      if (before !== undefined && before.date > date) {
        throw new Refusal("InvalidField", `"${name}" is before "${before.name}": give dates in order`);
      }
    }
  }
}

/** The stamp that every change leaves (3.38). */
export function lastChange(now: Date): Record<string, Json[]> {
  return { "Last Change Date": [seconds(now)] };
}
