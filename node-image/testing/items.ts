import { attribute } from "../kmip/attributes.ts";
import { tag } from "../kmip/tags.ts";
import type { Json } from "../objects/types.ts";
import { type Item, itemType } from "../ttlv/types.ts";

/** Short builders of TTLV items for tests. */
export const item = {
  structure: (number: number, ...value: Item[]): Item => ({ tag: number, type: itemType.structure, value }),
  integer: (number: number, value: number): Item => ({ tag: number, type: itemType.integer, value }),
  longInteger: (number: number, value: bigint): Item => ({ tag: number, type: itemType.longInteger, value }),
  enumeration: (number: number, value: number): Item => ({ tag: number, type: itemType.enumeration, value }),
  text: (number: number, value: string): Item => ({ tag: number, type: itemType.textString, value }),
  bytes: (number: number, value: Buffer): Item => ({ tag: number, type: itemType.byteString, value }),
  boolean: (number: number, value: boolean): Item => ({ tag: number, type: itemType.boolean, value }),
  dateTime: (number: number, seconds: number): Item => ({
    tag: number,
    type: itemType.dateTime,
    value: BigInt(seconds),
  }),
};

/** An Attribute structure; the value is JSON as the server stores it. */
export function attributeItem(name: string, value: Json, index?: number): Item {
  return attribute.write(tag.Attribute, { name, value, ...(index === undefined ? {} : { index }) }, 14);
}

/** A request payload. */
export function payload(...children: (Item | undefined)[]): Item {
  return item.structure(tag.RequestPayload, ...children.filter((child) => child !== undefined));
}

/** A Template-Attribute with these attributes. */
export function template(attributes: Readonly<Record<string, Json>>): Item {
  const items = Object.entries(attributes).map(([name, value]) => attributeItem(name, value));
  return item.structure(tag.TemplateAttribute, ...items);
}

/** The first child with the tag, at any depth; undefined when there is none. */
export function findItem(root: Item | undefined, number: number): Item | undefined {
  if (root === undefined || root.tag === number) return root;
  if (root.type !== itemType.structure) return undefined;
  for (const child of root.value) {
    const found = findItem(child, number);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The direct children with the tag. */
export function childrenOf(root: Item | undefined, number: number): readonly Item[] {
  return root?.type === itemType.structure ? root.value.filter((child) => child.tag === number) : [];
}
