import { bigIntegerBytes } from "../ttlv/encode.ts";
import { type Item, itemType } from "../ttlv/types.ts";

/** What an item costs besides its value: measured, and rounded up. A byte string is a view, which costs most. */
const bytesOfOne = { view: 192, other: 80 } as const;

/** Bytes of the heap that an item takes with all in it, about: those with short values take ten times as much as their TTLV. */
export function memoryOf(item: Item): number {
  switch (item.type) {
    case itemType.structure: {
      let sum: number = bytesOfOne.other;
      for (const child of item.value) sum += memoryOf(child);
      return sum;
    }
    case itemType.byteString:
      return bytesOfOne.view;
    case itemType.textString:
      return bytesOfOne.other + 2 * item.value.length;
    case itemType.bigInteger:
      return bytesOfOne.other + bigIntegerBytes(item.value);
    default:
      return bytesOfOne.other;
  }
}
