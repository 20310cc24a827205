import { Refusal } from "../objects/refusal.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { expect, type Placeholders, type Reading, type Shape } from "./shape.ts";
import { tagName } from "./tags.ts";

/** A Unique Identifier in a request: text, or since 2.0 a word or a number for what the batch has named (2.1, 4.61, 11.58). */
export const identifier: Shape<string> = {
  read: (item, reading) => {
    if (item.type === itemType.textString || reading.version < 20) return expect(item, itemType.textString).value;
    const found = placed(item, reading.placeholders);
    if (found === undefined)
      throw new Refusal("ItemNotFound", `${tagName(item.tag)} refers to an earlier item of the batch that names none`);
    return found;
  },
  write: (tag, value) => ({ tag, type: itemType.textString, value }),
};

function placed(item: Item, placeholders: Placeholders): string | undefined {
  if (item.type === itemType.integer) return placeholders.all?.at(item.value);
  const { value } = expect(item, itemType.enumeration);
  if (value === idPlaceholder) return placeholders.last;
  const [operation, at] = words[value] ?? [0, 0];
  return placeholders.byOperation?.get(operation)?.[at];
}

const idPlaceholder = 1;

/** Unique Identifier Enumeration: the operation that is meant, and which of its identifiers. */
const words: Readonly<Record<number, readonly [number, number]>> = {
  2: [0x06, 0],
  3: [0x01, 0],
  4: [0x02, 0],
  5: [0x02, 0],
  6: [0x02, 1],
  7: [0x28, 0],
  8: [0x05, 0],
  9: [0x2a, 0],
  10: [0x29, 0],
  11: [0x08, 0],
  12: [0x03, 0],
  13: [0x04, 0],
  14: [0x07, 0],
  15: [0x1d, 0],
  16: [0x1d, 0],
  17: [0x1d, 1],
};

/** The Unique Identifier that stands for one that a request leaves out. */
export function fromPlaceholder({ placeholders }: Reading): string {
  if (placeholders.last === undefined)
    throw new Refusal("InvalidMessage", "Unique Identifier is missing, and no earlier batch item gives one");
  return placeholders.last;
}
