import { tag } from "../kmip/tags.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import type { Random } from "./random.ts";

const tags = Object.values(tag);
const numbers = [
  0,
  1,
  2,
  3,
  4,
  5,
  7,
  8,
  12,
  13,
  14,
  16,
  20,
  21,
  64,
  128,
  192,
  255,
  256,
  2048,
  4096,
  65_536,
  2 ** 31 - 1,
];
const texts = [
  "",
  "x",
  "x-own",
  "y-own",
  "Name",
  "State",
  "Digest",
  "Link",
  "Unique Identifier",
  "\u{10ffff}",
  "a".repeat(300),
];
const depthMax = 40;
const itemsMax = 3000;

/** A changed tree: one place of it is altered, repeated, left out, replaced or added. The argument stays as it is. */
export function mutateItem(root: Item, random: Random, other: Item): Item {
  const places = countOf(root);
  return places > itemsMax ? other : at({ left: random.below(places) }, root, (item) => change(item, random, other));
}

function countOf(item: Item): number {
  return item.type === itemType.structure ? item.value.reduce((sum, child) => sum + countOf(child), 1) : 1;
}

/** Goes to one place of the tree, counted in depth-first order. */
function at(cursor: { left: number }, item: Item, work: (item: Item) => readonly Item[]): Item {
  const changed = visit(cursor, item, work);
  return changed[0] ?? item;
}

function visit(cursor: { left: number }, item: Item, work: (item: Item) => readonly Item[]): readonly Item[] {
  if (cursor.left-- === 0) return work(item);
  if (item.type !== itemType.structure || cursor.left < 0) return [item];
  return [{ ...item, value: item.value.flatMap((child) => visit(cursor, child, work)) }];
}

function change(item: Item, random: Random, other: Item): readonly Item[] {
  switch (random.below(9)) {
    case 0:
      return [];
    case 1:
      return [item, item];
    case 2:
      return [anyPart(other, random)];
    case 3:
      return [item, anyPart(other, random)];
    case 4:
      return [{ ...item, tag: random.pick(tags) }];
    case 5:
      return [invented(random)];
    case 6:
      return item.type === itemType.structure
        ? [{ ...item, value: reordered(item.value, random) }]
        : [withValue(item, random)];
    default:
      return item.type === itemType.structure
        ? [{ ...item, value: [...item.value, invented(random)] }]
        : [withValue(item, random)];
  }
}

function anyPart(root: Item, random: Random): Item {
  let part = root;
  for (let depth = 0; depth < depthMax && part.type === itemType.structure && part.value.length > 0; depth += 1) {
    if (random.oneIn(4)) break;
    part = random.pick(part.value);
  }
  return part;
}

function reordered(children: readonly Item[], random: Random): readonly Item[] {
  return children
    .map((child) => ({ child, rank: random.fraction() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ child }) => child);
}

/** The same type, another value: often a near one, at times an extreme one. */
function withValue(item: Item, random: Random): Item {
  const number = random.oneIn(3) ? random.below(64) : random.pick(numbers);
  switch (item.type) {
    case itemType.structure:
      return item;
    case itemType.integer:
      return { ...item, value: random.oneIn(4) ? -number : number };
    case itemType.enumeration:
    case itemType.interval:
      return { ...item, value: number };
    case itemType.longInteger:
    case itemType.dateTime:
    case itemType.dateTimeExtended:
      return { ...item, value: random.oneIn(4) ? BigInt(number) * 2n ** 31n : BigInt(number) - 32n };
    case itemType.bigInteger:
      return { ...item, value: random.oneIn(2) ? BigInt(number) ** 9n : -BigInt(number) };
    case itemType.boolean:
      return { ...item, value: !item.value };
    case itemType.textString:
      return { ...item, value: random.oneIn(3) ? item.value.slice(random.below(4)) : random.pick(texts) };
    case itemType.byteString:
      return {
        ...item,
        value: Buffer.alloc(random.pick([0, 1, 8, 12, 15, 16, 17, 24, 31, 32, 33, 48, 256]), random.below(256)),
      };
  }
}

function invented(random: Random): Item {
  const type = 1 + random.below(10);
  const number = random.pick(tags);
  const empty: Readonly<Record<number, Item["value"]>> = {
    [itemType.structure]: [],
    [itemType.longInteger]: 0n,
    [itemType.bigInteger]: 0n,
    [itemType.dateTime]: 0n,
    [itemType.boolean]: false,
    [itemType.textString]: "",
    [itemType.byteString]: Buffer.alloc(0),
  };
  return withValue({ tag: number, type, value: empty[type] ?? 0 } as Item, random);
}
