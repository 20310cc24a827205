import { protectionStorage } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";
import { type Item, itemType } from "../ttlv/types.ts";
import { list, structure } from "./fields.ts";
import { integer, type Reading } from "./shape.ts";
import { tag } from "./tags.ts";

const masksTags: ReadonlySet<number> = new Set([
  tag.ProtectionStorageMasks,
  tag.CommonProtectionStorageMasks,
  tag.PrivateProtectionStorageMasks,
  tag.PublicProtectionStorageMasks,
]);

const masks = structure({ masks: list(tag.ProtectionStorageMask, integer) });

/** A 2.x payload without its Protection Storage Masks, if one of them is what is offered here (KMIP 2.1, 6.1.8, 12.2). */
export function withoutStorageMasks(payload: Item, reading: Reading): Item {
  if (payload.type !== itemType.structure || !payload.value.some(isMasks)) return payload;
  for (const child of payload.value) {
    if (!isMasks(child)) continue;
    const offered = masks.read(child, reading).masks.some((mask) => mask === protectionStorage.software);
    if (!offered)
      throw new Refusal(
        "InvalidField",
        "Keys are kept with Protection Storage Mask Software only",
        "ProtectionStorageUnavailable",
      );
  }
  return { ...payload, value: payload.value.filter((child) => !isMasks(child)) };
}

function isMasks({ tag: number }: Item): boolean {
  return masksTags.has(number);
}
