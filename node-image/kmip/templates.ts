import { objectType } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
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

/** A 1.x payload with the attributes of the Templates that it names by Name written out (2.1.8); attributes that stand in the request win. */
export async function withTemplates(payload: Item, context: Context): Promise<Item> {
  if (payload.type !== itemType.structure || !payload.value.some(namesTemplate)) return payload;
  const children: Item[] = [];
  for (const child of payload.value) children.push(namesTemplate(child) ? await writtenOut(child, context) : child);
  return { ...payload, value: children };
}

function namesTemplate(item: Item): item is Item & { type: 1 } {
  if (item.type !== itemType.structure || !templateTags.has(item.tag)) return false;
  return item.value.some((child) => child.tag === tag.Name);
}

async function writtenOut(item: Item & { type: 1 }, context: Context): Promise<Item> {
  const names = item.value.filter((child) => child.tag === tag.Name);
  if (names.length > templatesMax)
    throw new Refusal("InvalidField", `A request names at most ${templatesMax} Templates`);
  const attributes = item.value.filter((child) => child.tag !== tag.Name);
  for (const name of names) {
    const given = new Set(attributes.map(attributeName));
    attributes.push(...(await attributesOf(name, context)).filter((each) => !given.has(attributeName(each))));
  }
  return { ...item, value: attributes };
}

async function attributesOf(name: Item, context: Context): Promise<readonly Item[]> {
  const reading = { version: context.version, placeholders: { last: undefined } };
  const value = shapeOf("Name")?.read(name, reading) ?? null;
  const { identity: owner } = context.caller;
  const ids = await context.store.locate({ owner, objectType: objectType.template, attributes: { Name: value } });
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
