import { attributeRule } from "../objects/attribute-rules.ts";
import { objectType } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { fact } from "../objects/types.ts";
import type { Context } from "../operations/context.ts";
import { find } from "../operations/find.ts";
import { openMaterial } from "../operations/open-material.ts";
import { decode } from "../ttlv/decode.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { shapeOf } from "./attribute-shapes.ts";
import { tag } from "./tags.ts";

const templateTags: ReadonlySet<number> = new Set([
  tag.TemplateAttribute,
  tag.CommonTemplateAttribute,
  tag.PrivateKeyTemplateAttribute,
  tag.PublicKeyTemplateAttribute,
]);

/** Templates that one request may name. */
const templatesMax = 16;

/**
 * A 1.x payload with the attributes of the Templates that it names by Name written out (4): of attributes with one value those in
 * the request win, of those with several all are taken.
 */
export function withTemplates(payload: Item, context: Context): Item | Promise<Item> {
  if (payload.type !== itemType.structure) return payload;
  return payload.value.some(namesTemplate) ? allWrittenOut(payload, context) : namedTemplate(payload);
}

async function allWrittenOut(payload: Item & { type: 1 }, context: Context): Promise<Item> {
  const children: Item[] = [];
  for (const child of payload.value) children.push(namesTemplate(child) ? await writtenOut(child, context) : child);
  return { ...payload, value: children };
}

/** The test cases of 1.0 and 1.1 give a Template its name among its own attributes. */
function namedTemplate(payload: Item & { type: 1 }): Item {
  const own = payload.value.find((child) => child.tag === tag.Template);
  if (own?.type !== itemType.structure) return payload;
  const names = own.value.filter((each) => attributeName(each) === "Name");
  const given = payload.value.find((child) => child.tag === tag.TemplateAttribute);
  const attributes = given?.type === itemType.structure ? given.value : [];
  if (names.length === 0 || attributes.some((each) => attributeName(each) === "Name")) return payload;
  const named: Item = { tag: tag.TemplateAttribute, type: itemType.structure, value: [...attributes, ...names] };
  const others = payload.value.filter((child) => child !== given);
  const at = others.indexOf(own);
  return { ...payload, value: others.toSpliced(at, 0, named) };
}

function namesTemplate(item: Item): item is Item & { type: 1 } {
  if (item.type !== itemType.structure || !templateTags.has(item.tag)) return false;
  return item.value.some((child) => child.tag === tag.Name);
}

async function writtenOut(item: Item & { type: 1 }, context: Context): Promise<Item> {
  const names = item.value.filter((child) => child.tag === tag.Name);
  if (names.length > templatesMax)
    throw new Refusal("InvalidField", `A request names at most ${templatesMax} Templates`);
  let attributes: readonly Item[] = item.value.filter((child) => child.tag !== tag.Name);
  for (const name of names) attributes = union(await attributesOf(name, context), attributes, context.version);
  return { ...item, value: attributes };
}

/** Instances that come from two places are numbered anew; the name of a Template is its own. */
function union(ofTemplate: readonly Item[], own: readonly Item[], version: number): readonly Item[] {
  const given = new Set(own.map(attributeName));
  const taken = ofTemplate.filter((each) => {
    const name = String(attributeName(each));
    return name !== "Name" && (!given.has(name) || attributeRule(name, version)?.multiple === true);
  });
  const twice = new Set(taken.map(attributeName).filter((name) => given.has(name)));
  return [...taken, ...own].map((each) => (twice.has(attributeName(each)) ? withoutIndex(each) : each));
}

function withoutIndex(attribute: Item): Item {
  if (attribute.type !== itemType.structure) return attribute;
  return { ...attribute, value: attribute.value.filter((child) => child.tag !== tag.AttributeIndex) };
}

async function attributesOf(name: Item, context: Context): Promise<readonly Item[]> {
  const reading = { version: context.version, placeholders: { last: undefined } };
  const value = shapeOf("Name")?.read(name, reading) ?? null;
  const { identity: owner } = context.caller;
  // There may be many of that name that are destroyed.
  const filter = { owner, objectType: objectType.template, withoutFacts: fact.destroyed };
  const ids = await context.store.locate({ ...filter, attributes: { Name: value } });
  for (const id of ids) {
    const template = await find(id, { ...context, operation: "Get" });
    if (template.sealed === undefined) continue;
    const structure = decode(openMaterial(template, context).bytes);
    return structure.type === itemType.structure ? structure.value : [];
  }
  throw new Refusal(
    "ItemNotFound",
    "There is no Template of that Name: Register it, or give the attributes themselves",
  );
}

function attributeName(item: Item): unknown {
  const children = item.type === itemType.structure ? item.value : [];
  return children.find((child) => child.tag === tag.AttributeName)?.value;
}
