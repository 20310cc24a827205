import { setImmediate } from "node:timers/promises";
import { attributeRule, isCustom } from "../objects/attribute-rules.ts";
import { type AttributeInstance, attributeLimits, type Instances, visibleAttributes } from "../objects/attributes.ts";
import { objectGroupMember, storageStatus } from "../objects/enumerations.ts";
import { holds } from "../objects/merge.ts";
import { type Claim, claimOf, firstOf, unsuffixed } from "../objects/names.ts";
import { Refusal } from "../objects/refusal.ts";
import { type Description, fact, type Json, locateMax, type ObjectFilter } from "../objects/types.ts";
import type { Context } from "./context.ts";
import { type Claimed, goesBy, type Named, namedBy } from "./names.ts";
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

/** Identifiers of the caller's objects, newest first; `locatedItems` counts all that match, unless there may be more than were looked at. */
export interface LocateResponse {
  readonly locatedItems?: number;
  readonly uniqueIdentifiers: readonly string[];
}

/** Identifiers of one answer, well below the message limit: the caller pages on with Offset Items. */
const itemsMax = 10_000;
const pageSize = 500;
/** Objects that a search looks at without taking its turn. */
const fewMax = 500;
/** Comparisons of values of one search, and of them before others have their turn: an object and a request may have many of each. */
const comparisons = { most: 5_000_000, ofOneTurn: 20_000 } as const;

/** Attributes that follow from others, or that are compared by size or bits: that is done here, not in the store. */
const comparedHere = new Set([
  "Unique Identifier",
  "Short Unique Identifier",
  "Object Type",
  "State",
  "Digest",
  "Usage Limits",
  "Cryptographic Usage Mask",
]);

/** Searches the caller's objects. */
export async function locate(request: LocateRequest, context: Context): Promise<LocateResponse> {
  checkKnown(request, context);
  const kind = request.attributes.find(({ name }) => name === recordKind);
  if (kind !== undefined) return locateRecords(kind.value, itemsOf(request), context);
  // Most searches are small; those that are not would hold so much that they take turns.
  const few = await searched(request, context, fewMax);
  if (few !== undefined) return few;
  const all = await context.searches(context.caller.identity, () => searched(request, context, locateMax));
  if (all === undefined) throw tooMany();
  return all;
}

/** Undefined when there may be more than `most` objects to look at; of more than `locateMax` only what is asked for may be among the newest. */
async function searched(request: LocateRequest, context: Context, most: number): Promise<LocateResponse | undefined> {
  const { from, end } = itemsOf(request);
  const scope = await searchScope(context, most);
  if (scope === undefined) return undefined;
  const search = split(request, scope, context.version);
  if (search.filter.attributes !== undefined && Object.hasOwn(search.filter.attributes, "Fresh"))
    await context.served.recorded();
  const candidates = await candidatesOf(search, context, most);
  if (candidates.length <= most) {
    const found = await matching(candidates, search, context, search.most);
    return { locatedItems: found.length, uniqueIdentifiers: found.slice(from, end) };
  }
  if (most < locateMax) return undefined;
  const wanted = search.most ?? end;
  const found = await matching(candidates, search, context, wanted);
  return found.length < wanted ? undefined : { uniqueIdentifiers: found.slice(from, end) };
}

/** Which of those that match are told. */
function itemsOf({ offsetItems: from = 0, maximumItems = itemsMax }: LocateRequest) {
  return { from, end: from + Math.min(maximumItems, itemsMax) };
}

function tooMany(): Refusal {
  return new Refusal(
    "ResponseTooLarge",
    `More than ${locateMax} objects may match: search by more attributes, for example by Name or Object Group`,
    "ServerLimitExceeded",
  );
}

/** What the store offers; a name may be one that an object goes by because another holds what it claims. */
async function candidatesOf({ filter, names }: Search, context: Context, most: number): Promise<readonly string[]> {
  const found = await context.store.locate(filter, most);
  const [name] = names;
  const claimed = name === undefined ? undefined : unsuffixed(name);
  if (claimed === undefined) return found;
  const asClaimed = { ...filter, attributes: { ...filter.attributes, Name: claimed.name } };
  const others = await context.store.locate(asClaimed, most);
  if (others.length > most && most < locateMax) return others;
  return [...found, ...others.filter((id) => claimed.isOf(id) && !found.includes(id))];
}

function checkKnown(request: LocateRequest, context: Context): void {
  // Each is looked for in each object.
  if (request.attributes.length > attributeLimits.names)
    throw new Refusal("InvalidField", `A search has at most ${attributeLimits.names} attributes`);
  for (const { name } of request.attributes) {
    if (attributeRule(name, context.version) === undefined) {
      throw new Refusal("InvalidField", `Attribute "${name}" does not exist in this protocol version`);
    }
  }
}

/** What the store compares, and what is compared here. */
interface Search {
  /** Names that are asked for; a type alone is that of the name an object claims, too. */
  readonly names: readonly Json[];
  /** How many objects are wanted, where not all that match are. */
  readonly most?: number;
  readonly storageStatusMask: number;
  readonly scope: Scope;
  readonly filter: ObjectFilter;
  readonly rest: readonly AttributeInstance[];
}

/** Parts what the store can compare by itself from the rest. */
function split(request: LocateRequest, scope: Scope, version: number): Search {
  const simple: Record<string, Json> = Object.create(null);
  const rest: AttributeInstance[] = [];
  let type: number | undefined;
  for (const attribute of request.attributes) {
    const { name, value } = attribute;
    if (name === "Object Type" && typeof value === "number" && type === undefined) type = value;
    else if (isComparedHere(attribute) || Object.hasOwn(simple, name)) rest.push(attribute);
    else simple[name] = value;
  }
  if (request.objectGroupMember === objectGroupMember.fresh) simple.Fresh = true;
  const attributes = Object.keys(simple).length === 0 ? {} : { attributes: simple };
  const objectType = type === undefined ? {} : { objectType: type };
  const storageStatusMask = storageSearched(request, version);
  // What was destroyed is history: it is found only by those who ask for it.
  const history = asks(request, "State") || asks(request, "Destroy Date");
  const withDestroyed = history || (storageStatusMask & storageStatus.destroyed) !== 0;
  const withoutFacts = withDestroyed ? {} : { withoutFacts: fact.destroyed };
  return {
    scope,
    names: request.attributes.flatMap(({ name, value }) => (name === "Name" && !isTypeAlone(value) ? [value] : [])),
    ...(asksForDefault(request) ? { most: 1 } : {}),
    storageStatusMask,
    filter: { ...scope.filter, ...objectType, ...withoutFacts, ...attributes },
    rest,
  };
}

/** A type of name alone is found by no index: it would be looked for among the names of all owners. */
function isComparedHere({ name, value }: AttributeInstance): boolean {
  return comparedHere.has(name) || isDate(name) || (name === "Name" && isTypeAlone(value));
}

function isTypeAlone(name: Json): boolean {
  return !Object.hasOwn(name as object, "nameValue");
}

/** 1.x has no word for destroyed storage: its bit is some other server's extension. */
function storageSearched({ storageStatusMask: asked = storageStatus.onLine }: LocateRequest, version: number): number {
  return version < 20 ? asked & (storageStatus.onLine | storageStatus.archival) : asked;
}

/** The server's policy: the default of a group is its newest member. */
function asksForDefault(request: LocateRequest): boolean {
  return request.objectGroupMember === objectGroupMember.default && asks(request, "Object Group");
}

function asks(request: LocateRequest, wanted: string): boolean {
  return request.attributes.some(({ name }) => name === wanted);
}

/** The candidates for which all of the search holds; no more than `enough`. */
async function matching(
  candidates: readonly string[],
  search: Search,
  context: Context,
  enough = Number.POSITIVE_INFINITY,
): Promise<string[]> {
  const { rest } = search;
  const found: string[] = [];
  const comparing = { search, wanted: Map.groupBy(rest, ({ name }) => name), giveWay: givingWay() };
  for (let at = 0; at < Math.min(candidates.length, locateMax) && found.length < enough; at += pageSize) {
    const { passed, claims } = await look(candidates.slice(at, at + pageSize), comparing, context);
    const claimed = candidates.length <= pageSize ? claimedBy(claims, search) : undefined;
    for (const object of passed) if (await goesBy(object, search.names, context, claimed)) found.push(object.id);
  }
  return found.slice(0, enough);
}

interface Comparing {
  readonly search: Search;
  readonly wanted: ReadonlyMap<string, readonly AttributeInstance[]>;
  readonly giveWay: (comparisons: number) => Promise<void> | undefined;
}

/** Which of the candidates all but the names hold for, and who claims the first of the names. What it reads it does not keep. */
async function look(
  candidates: readonly string[],
  comparing: Comparing,
  context: Context,
): Promise<{ readonly passed: readonly Named[]; readonly claims: readonly Claim[] }> {
  const { search } = comparing;
  const passed: Named[] = [];
  const claims: Claim[] = [];
  for await (const page of context.store.descriptions(candidates)) {
    for (const object of page) {
      claims.push(...claimsOf(object, search));
      if (!isSearched(object, search)) continue;
      if (await isFound(object, comparing, context)) passed.push(namedBy(object, search.names));
    }
  }
  return { passed, claims };
}

function claimsOf(object: Description, { names: [name], filter: { owner } }: Search): readonly Claim[] {
  const claim = name === undefined || object.owner !== owner ? undefined : claimOf(object, name);
  return claim === undefined ? [] : [claim];
}

async function isFound(object: Description, { wanted, giveWay }: Comparing, context: Context): Promise<boolean> {
  const visible = visibleAttributes(object, context.now(), context.version);
  const turn = giveWay(comparisonsOf(wanted, visible));
  if (turn !== undefined) await turn;
  return [...wanted].every(([name, values]) => matches(name, values, visible.get(name) ?? []));
}

/** What comparing the object by all that is wanted of it takes at most. */
function comparisonsOf(
  wanted: ReadonlyMap<string, readonly AttributeInstance[]>,
  visible: ReadonlyMap<string, Instances>,
): number {
  let sum = 1;
  for (const [name, values] of wanted) sum += values.length * (visible.get(name)?.length ?? 0);
  return sum;
}

/** Counts comparisons, and lets others have their turn after some. Rejects with Refusal when they are too many. */
function givingWay(): (more: number) => Promise<void> | undefined {
  let [all, ofTurn] = [0, 0];
  return (more) => {
    all += more;
    ofTurn += more;
    if (all > comparisons.most) throw tooLong();
    if (ofTurn < comparisons.ofOneTurn) return undefined;
    ofTurn = more;
    return setImmediate();
  };
}

function tooLong(): Refusal {
  return new Refusal(
    "ResponseTooLarge",
    "The search compares too many values: search by fewer, or by a Name or an Object Group besides",
    "ServerLimitExceeded",
  );
}

/** Where a name alone was searched for among one owner's objects, whoever claims it has been found. */
function claimedBy(claims: readonly Claim[], { filter, names }: Search): Claimed | undefined {
  const [name, ...others] = names;
  const { owner, objectType, attributes = {} } = filter;
  const alone = others.length === 0 && objectType === undefined && Object.keys(attributes).length === 1;
  if (owner === undefined || name === undefined || !alone) return undefined;
  return { name, owner, holder: firstOf(claims) };
}

/** Whether the object is where the caller may and does search. */
function isSearched(object: Description, { scope, filter, storageStatusMask }: Search): boolean {
  const where = object.attributes.has("Archive Date") ? storageStatus.archival : storageStatus.onLine;
  const asDestroyed = (object.facts & fact.destroyed) !== 0 ? storageStatus.destroyed : 0;
  const excluded = (object.facts & (filter.withoutFacts ?? 0)) !== 0;
  return scope.includes(object) && ((where | asDestroyed) & storageStatusMask) !== 0 && !excluded;
}

/** One date must be equal, two dates are a range, of limits as much must be left; any other value must be among the instances (4.9). */
function matches(name: string, wanted: readonly AttributeInstance[], instances: Instances): boolean {
  const values = wanted.map(({ value }) => value);
  if (isDate(name)) return inRange(instances[0], values);
  if (name === "Cryptographic Usage Mask") return values.every((value) => hasBits(instances[0], value));
  if (name === "Usage Limits") return values.every((value) => allows(instances[0], value));
  return values.every((value) => instances.some((instance) => holds(instance, value)));
}

/** A client's own attribute may be called so, too, and is compared like its others. */
function isDate(name: string): boolean {
  return name.endsWith(" Date") && !isCustom(name);
}

function inRange(date: Json | undefined, wanted: readonly Json[]): boolean {
  const numbers = wanted.filter((value) => typeof value === "number");
  if (numbers.length > 2) throw new Refusal("InvalidField", "A date is searched by one value, or by two as a range");
  // A date that an object does not have is the largest one.
  const own = typeof date === "number" ? date : Number.POSITIVE_INFINITY;
  return own >= Math.min(...numbers) && own <= Math.max(...numbers);
}

type Limits = Readonly<Record<"usageLimitsTotal" | "usageLimitsCount" | "usageLimitsUnit", number>>;

function allows(limits: Json | undefined, wanted: Json): boolean {
  if (limits === undefined) return false;
  const own = limits as Limits;
  const {
    usageLimitsTotal = 0,
    usageLimitsCount = 0,
    usageLimitsUnit = own.usageLimitsUnit,
  } = wanted as Partial<Limits>;
  const enough = own.usageLimitsTotal >= usageLimitsTotal && own.usageLimitsCount >= usageLimitsCount;
  return enough && own.usageLimitsUnit === usageLimitsUnit;
}

function hasBits(mask: Json | undefined, wanted: Json): boolean {
  return typeof mask === "number" && typeof wanted === "number" && (mask & wanted) === wanted;
}
