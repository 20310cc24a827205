import { type Enumeration, knows } from "../kmip/enumeration.ts";
import { enumerations } from "../kmip/enumerations.ts";
import { tag, tagName } from "../kmip/tags.ts";
import { attributeRule } from "../objects/attribute-rules.ts";
import { type Item, itemType } from "../ttlv/types.ts";

/** The last tag that each version knows (KMIP 1.0 to 2.1, the tables of tags). */
const lastTag: Readonly<Record<number, number>> = {
  10: 0x4200a1,
  11: 0x4200b7,
  12: 0x4200d3,
  13: 0x4200f7,
  14: 0x420124,
  20: 0x420165,
  21: 0x420176,
};

/** Everything in an answer that the version does not have. */
export function newer(each: Item, version: number): string[] {
  const found: string[] = [];
  if (each.tag > (lastTag[version] ?? 0)) found.push(`${tagName(each.tag)} is newer`);
  // The operation of a batch item is the client's own word, given back.
  const echo = (child: Item) => each.tag === tag.BatchItem && child.tag === tag.Operation;
  const children = each.type === itemType.structure ? each.value.filter((child) => !echo(child)) : [];
  found.push(...children.flatMap((child) => newer(child, version)));
  if (each.tag === tag.AttributeName && version < 20 && attributeRule(String(each.value), version) === undefined)
    found.push(`attribute ${each.value} is newer`);
  if (each.type === itemType.dateTimeExtended && version < 20) found.push(`${tagName(each.tag)} is of a newer type`);
  if (each.tag === tag.AttributeReference && each.type === itemType.enumeration && each.value > (lastTag[version] ?? 0))
    found.push(`${tagName(each.value)} is newer`);
  const table = tables[tagName(each.tag).toLowerCase()];
  if (
    each.type === itemType.enumeration &&
    table !== undefined &&
    each.value < vendors &&
    !knows(table, each.value, version)
  )
    found.push(`${tagName(each.tag)} ${each.value} is not of this version`);
  return found;
}

/** Extensions are the client's own, given back (9.1.3.2). */
const vendors = 0x80000000;

const tables: Readonly<Record<string, Enumeration>> = Object.fromEntries(
  Object.entries(enumerations).map(([name, table]) => [name.toLowerCase(), table]),
);
