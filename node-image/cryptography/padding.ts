import { randomFillSync } from "node:crypto";
import { paddingMethod } from "../objects/enumerations.ts";
import { Refusal } from "../objects/refusal.ts";

/** How the last block of a block cipher is filled and emptied (KMIP 1.4, 9.1.3.2.15). */
export interface BlockPadding {
  /** The bytes to append to data whose length modulo the block is `rest`. */
  pad(rest: number, blockBytes: number): Buffer;
  /** How many bytes of the last block are data; undefined if its padding is wrong. Looks at every byte of the block. */
  kept(block: Buffer): number | undefined;
}

/** The padding of a method. Throws Refusal. */
export function blockPadding(method: number): BlockPadding {
  const found = paddings[method];
  if (found === undefined)
    throw new Refusal("InvalidField", "This Padding Method does not fit a block cipher", "BadCryptographicParameters");
  return found;
}

/** Data must fill its blocks. */
const none: BlockPadding = {
  pad: (rest) => {
    if (rest !== 0) throw new Refusal("InvalidField", "Data must be a multiple of the block size without padding");
    return Buffer.alloc(0);
  },
  kept: (block) => block.length,
};

/** Zeros up to the next block; zeros that end the data itself cannot be told from padding. */
const zeros: BlockPadding = {
  pad: (rest, blockBytes) => Buffer.alloc(rest === 0 ? 0 : blockBytes - rest),
  kept: (block) => {
    let kept = 0;
    for (const [at, byte] of block.entries()) kept = byte === 0 ? kept : at + 1;
    return kept;
  },
};

/** Those whose last byte counts the padding; `wrong` says which of its bytes must have what value. */
function counted(fill: (padding: Buffer) => void, wrong: (byte: number, count: number) => boolean): BlockPadding {
  return {
    pad: (rest, blockBytes) => {
      const padding = Buffer.alloc(blockBytes - rest);
      fill(padding);
      padding[padding.length - 1] = padding.length;
      return padding;
    },
    kept: (block) => {
      const count = block.at(-1) ?? 0;
      let bad = count === 0 || count > block.length ? 1 : 0;
      for (let at = 0; at < block.length - 1; at++) {
        const inside = at >= block.length - count ? 1 : 0;
        bad |= inside & (wrong(block[at] ?? 0, count) ? 1 : 0);
      }
      return bad === 0 ? block.length - count : undefined;
    },
  };
}

const paddings: Readonly<Record<number, BlockPadding>> = {
  [paddingMethod.none]: none,
  [paddingMethod.zeros]: zeros,
  [paddingMethod.pkcs5]: counted(
    (padding) => padding.fill(padding.length),
    (byte, count) => byte !== count,
  ),
  [paddingMethod.ansiX923]: counted(
    () => undefined,
    (byte) => byte !== 0,
  ),
  [paddingMethod.iso10126]: counted(
    (padding) => void randomFillSync(padding),
    () => false,
  ),
  [paddingMethod.ssl3]: ssl3(),
};

/** SSL 3.0, 5.2.3.2: the last byte counts the bytes before it. */
function ssl3(): BlockPadding {
  return {
    pad: (rest, blockBytes) => {
      const padding = Buffer.alloc(blockBytes - rest);
      randomFillSync(padding);
      padding[padding.length - 1] = padding.length - 1;
      return padding;
    },
    kept: (block) => {
      const count = (block.at(-1) ?? 0) + 1;
      return count > block.length ? undefined : block.length - count;
    },
  };
}
