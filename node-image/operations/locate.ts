import { isDeepStrictEqual } from "node:util";
import { attributeRule } from "../objects/attribute-rules.ts";
import { type AttributeInstance, type Instances, visibleAttributes } from "../objects/attributes.ts";
import { objectGroupMember, storageStatus } from "../objects/enumerations.ts";
import { unsuffixed } from "../objects/names.ts";
import { Refusal } from "../objects/refusal.ts";
import { fact, type Json, type ManagedObject, type ObjectFilter } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { type Claimed, goesBy } from "./names.ts";
import { locateRecords, recordKind } from "./records.ts";
import { type Scope, searchScope } from "./scope.ts";

/** KMIP Locate (4.9). */
export interface LocateRequest {
  readonly maximumItems?: number;
  readonly offsetItems?: number;
  readonly storageStatusMask?: number;
  readonly objectGroupMember?: number;
  readonly attributes: readonly AttributeInstance[];
}

/** Identifiers of the caller's objects, newest first; `locatedItems` counts all that match. */
export interface LocateResponse {
  readonly locatedItems: number;
  readonly uniqueIdentifiers: readonly string[];
}

/** Identifiers of one answer, well below the message limit: the caller pages on with Offset Items. */
const itemsMax = 10_000;
/** Objects that one request may look through one by one. */
const candidatesMax = 100_000;
const pageSize = 500;

/** Attributes that follow from others, or that are asked for as a range: they are compared here, not in the store. */
const comparedHere = new Set(["Unique Identifier", "Short Unique Identifier", "Object Type", "State", "Digest"]);

/** Searches the caller's objects. */
export async function locate(request: LocateRequest, context: Context): Promise<LocateResponse> {
  checkKnown(request, context);
  const kind = request.attributes.find(({ name }) => name === recordKind);
  if (kind !== undefined) return locateRecords(kind.value, context);
  const scope = await searchScope(context);
  const search = split(request, scope);
  if (search.filter.attributes !== undefined && Object.hasOwn(search.filter.attributes, "Fresh"))
    await context.served.recorded();
  const candidates = await candidatesOf(search, context);
  const found = await matching(candidates, search, context);
  const from = request.offsetItems ?? 0;
  const count = Math.min(request.maximumItems ?? itemsMax, itemsMax);
  return { locatedItems: found.length, uniqueIdentifiers: found.slice(from, from + count) };
}

/** What the store offers; a name may be one that an object goes by because another holds what it claims. */
async function candidatesOf({ filter, names }: Search, context: Context): Promise<readonly string[]> {
  const found = await context.store.locate(filter);
  const [name] = names;
  const claimed = name === undefined ? undefined : unsuffixed(name);
  if (claimed === undefined) return found;
  const others = await context.store.locate({ ...filter, attributes: { ...filter.attributes, Name: claimed.name } });
  return [...found, ...others.filter((id) => claimed.isOf(id) && !found.includes(id))];
}

function checkKnown(request: LocateRequest, context: Context): void {
  for (const { name } of request.attributes) {
    if (attributeRule(name, context.version) === undefined) {
      throw new Refusal("InvalidField", `Attribute "${name}" does not exist in this protocol version`);
    }
  }
}

/** What the store compares, and what is compared here. */
interface Search {
  /** Names that are asked for in full. */
  readonly names: readonly Json[];
  readonly storageStatusMask: number;
  readonly scope: Scope;
  readonly filter: ObjectFilter;
  readonly rest: readonly AttributeInstance[];
}

/** Parts what the store can compare by itself from the rest. */
function split(request: LocateRequest, scope: Scope): Search {
  const simple: Record<string, Json> = Object.create(null);
  const rest: AttributeInstance[] = [];
  let type: number | undefined;
  for (const attribute of request.attributes) {
    const { name, value } = attribute;
    if (name === "Object Type" && typeof value === "number" && type === undefined) type = value;
    else if (comparedHere.has(name) || name.endsWith(" Date") || Object.hasOwn(simple, name)) rest.push(attribute);
    else if (name === "Cryptographic Usage Mask") rest.push(attribute);
    else simple[name] = value;
  }
  if (request.objectGroupMember === objectGroupMember.fresh) simple.Fresh = true;
  const attributes = Object.keys(simple).length === 0 ? {} : { attributes: simple };
  const objectType = type === undefined ? {} : { objectType: type };
  // What was destroyed is history: it is found only by those who ask for it.
  const history = request.attributes.some(({ name }) => name === "State" || name === "Destroy Date");
  const withoutFacts = history ? {} : { withoutFacts: fact.destroyed };
  const storageStatusMask = request.storageStatusMask ?? storageStatus.onLine;
  const names = request.attributes.flatMap(({ name, value }) => (name === "Name" && isWhole(value) ? [value] : []));
  return {
    scope,
    names,
    storageStatusMask,
    filter: { ...scope.filter, ...objectType, ...withoutFacts, ...attributes },
    rest,
  };
}

async function matching(candidates: readonly string[], search: Search, context: Context): Promise<string[]> {
  const { rest } = search;
  const found: string[] = [];
  const wanted = Map.groupBy(rest, ({ name }) => name);
  for (let at = 0; at < Math.min(candidates.length, candidatesMax); at += pageSize) {
    const objects = await context.store.objects(candidates.slice(at, at + pageSize));
    const claimed = candidates.length <= pageSize ? claimedIn(objects, search) : undefined;
    const byId = new Map(objects.map((object) => [object.id, object]));
    for (const id of candidates.slice(at, at + pageSize)) {
      const object = byId.get(id);
      if (object === undefined || !isSearched(object, search)) continue;
      const visible = visibleAttributes(object, context.now(), context.version);
      const all = [...wanted].every(([name, values]) => matches(name, values, visible.get(name) ?? []));
      if (all && (await goesBy(object, search.names, context, claimed))) found.push(id);
    }
  }
  return found;
}

/** Where a name alone was searched for among one owner's objects, whoever claims it has been found. */
function claimedIn(objects: readonly ManagedObject[], { filter, names }: Search): Claimed | undefined {
  const [name, ...others] = names;
  const { owner, objectType, attributes = {} } = filter;
  const alone = others.length === 0 && objectType === undefined && Object.keys(attributes).length === 1;
  if (owner === undefined || name === undefined || !alone) return undefined;
  return { name, owner, objects: objects.filter((object) => object.owner === owner) };
}

function isWhole(name: Json): boolean {
  return typeof name === "object" && name !== null && "nameValue" in name && "nameType" in name;
}

/** Whether the object is where the caller may and does search. */
function isSearched(object: ManagedObject, { scope, filter, storageStatusMask }: Search): boolean {
  const where = object.attributes.has("Archive Date") ? storageStatus.archival : storageStatus.onLine;
  const excluded = (object.facts & (filter.withoutFacts ?? 0)) !== 0;
  return scope.includes(object) && (where & storageStatusMask) !== 0 && !excluded;
}

/** One date must be equal, two dates are a range; any other value must be among the instances (4.9). */
function matches(name: string, wanted: readonly AttributeInstance[], instances: Instances): boolean {
  const values = wanted.map(({ value }) => value);
  if (name.endsWith(" Date")) return inRange(instances[0], values);
  if (name === "Cryptographic Usage Mask") return values.every((value) => hasBits(instances[0], value));
  return values.every((value) => instances.some((instance) => includes(instance, value)));
}

function inRange(date: Json | undefined, wanted: readonly Json[]): boolean {
  if (typeof date !== "number") return false;
  const numbers = wanted.filter((value) => typeof value === "number");
  if (numbers.length > 2) throw new Refusal("InvalidField", "A date is searched by one value, or by two as a range");
  return date >= Math.min(...numbers) && date <= Math.max(...numbers);
}

function hasBits(mask: Json | undefined, wanted: Json): boolean {
  return typeof mask === "number" && typeof wanted === "number" && (mask & wanted) === wanted;
}

/** Whole value, or for structures the given members. */
function includes(instance: Json, wanted: Json): boolean {
  if (instance === null || typeof instance !== "object" || typeof wanted !== "object" || wanted === null) {
    return instance === wanted;
  }
  const members = instance as { readonly [key: string]: Json };
  return Object.entries(wanted).every(([key, value]) => isDeepStrictEqual(members[key], value));
}
