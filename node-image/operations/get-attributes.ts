import { type AttributeInstance, type Instances, visibleAttributes } from "../objects/attributes.ts";
import { state } from "../objects/enumerations.ts";
import { stateOf } from "../objects/lifecycle.ts";
import { Refusal } from "../objects/refusal.ts";
import type { ManagedObject } from "../objects/types.ts";
import { recordAttributes, visibleGrants } from "./access-attributes.ts";
import type { Context } from "./context.ts";
import { digestOf } from "./digest.ts";
import { find } from "./find.ts";
import { effectiveNames } from "./names.ts";
import { openMaterial } from "./open-material.ts";
import { recordNamed } from "./records.ts";

/** KMIP Get Attributes (4.12); no names means all. */
export interface GetAttributesRequest {
  readonly uniqueIdentifier: string;
  readonly names: readonly string[];
}

/** Attributes that exist, in the order asked for; unknown names are left out (4.12). */
export interface GetAttributesResponse {
  readonly uniqueIdentifier: string;
  readonly attributes: readonly AttributeInstance[];
}

/** Names only (4.13). */
export interface GetAttributeListResponse {
  readonly uniqueIdentifier: string;
  readonly names: readonly string[];
}

/** The object's attributes, those that follow from its state included. */
export async function getAttributes(request: GetAttributesRequest, context: Context): Promise<GetAttributesResponse> {
  if (new Set(request.names).size !== request.names.length) {
    throw new Refusal("InvalidMessage", "An Attribute Name is given twice");
  }
  const record = recordNamed(request.uniqueIdentifier);
  if (record !== undefined) return answer(request, await recordAttributes(record, context));
  const object = await find(request.uniqueIdentifier, context);
  return { uniqueIdentifier: object.id, attributes: await attributesOf(object, request.names, context) };
}

/** Those of an object that was found. */
export async function attributesOf(
  object: ManagedObject,
  asked: readonly string[],
  context: Context,
): Promise<AttributeInstance[]> {
  const visible = await allVisible(object, asked, context);
  const names = asked.length > 0 ? asked : [...visible.keys(), ...computed(object, context)];
  return names.flatMap((name) => instancesOf(name, visible.get(name) ?? compute(name, object, context)));
}

/** The names of the attributes that the object has. */
export async function getAttributeList(
  request: { readonly uniqueIdentifier: string },
  context: Context,
): Promise<GetAttributeListResponse> {
  const record = recordNamed(request.uniqueIdentifier);
  if (record !== undefined) {
    return { uniqueIdentifier: request.uniqueIdentifier, names: [...(await recordAttributes(record, context)).keys()] };
  }
  const object = await find(request.uniqueIdentifier, context);
  const visible = await allVisible(object, ["State"], context);
  return { uniqueIdentifier: object.id, names: [...visible.keys(), ...computed(object, context)] };
}

/** What the caller may see; names that are not asked for are not looked into. */
async function allVisible(
  object: ManagedObject,
  asked: readonly string[],
  context: Context,
): Promise<ReadonlyMap<string, Instances>> {
  const visible = new Map([
    ...visibleAttributes(object, context.now(), context.version),
    ...(await visibleGrants(object, context)),
  ]);
  const named = visible.has("Name") && (asked.length === 0 || asked.includes("Name"));
  return named
    ? visible.set("Name", await effectiveNames({ ...object, names: object.attributes.get("Name") ?? [] }, context))
    : visible;
}

function answer(
  { uniqueIdentifier, names }: GetAttributesRequest,
  all: ReadonlyMap<string, Instances>,
): GetAttributesResponse {
  const wanted = names.length > 0 ? names : [...all.keys()];
  return { uniqueIdentifier, attributes: wanted.flatMap((name) => instancesOf(name, all.get(name) ?? [])) };
}

/** Index 0 is left unsaid (2.1.1: "if omitted, the index is 0"). */
function instancesOf(name: string, instances: Instances): AttributeInstance[] {
  return instances.flatMap((value, index) =>
    value === null ? [] : [index === 0 ? { name, value } : { name, index, value }],
  );
}

/** Attributes that are made when asked for, from the object itself. */
function computed(object: ManagedObject, context: Context): string[] {
  const current = stateOf(object, context.now());
  const gone = object.sealed === undefined || current === state.destroyed || current === state.destroyedCompromised;
  // It is not stored because what may be guessed could be found by it: then it is nobody's but the owner's, by no ticket.
  const foreign = object.owner !== context.caller.identity || context.delegation !== undefined;
  return gone || foreign || object.attributes.has("Digest") ? [] : ["Digest"];
}

function compute(name: string, object: ManagedObject, context: Context): Instances {
  if (name !== "Digest" || !computed(object, context).includes(name)) return [];
  const material = openMaterial(object, context);
  try {
    return [digestOf(material, context)];
  } finally {
    material.bytes.fill(0);
  }
}
