import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";
import { Refusal } from "../objects/refusal.ts";
import { joinAndClear, ownCopy } from "./bytes.ts";
import { decrypting, notDecrypted } from "./cipher-failure.ts";
import type { CipherRequest, CipherStream } from "./cipher-request.ts";
import { gather } from "./gather.ts";
import { unwrap, type WrapKind, wrap } from "./key-wrap.ts";
import { type BlockPadding, blockPadding } from "./padding.ts";

type Direction = Pick<CipherRequest, "direction" | "key">;

/** Modes that turn a block cipher into a key stream: as many bytes come out as go in, of which there may be a most. */
export function keystream(
  { direction, key }: Direction,
  name: string,
  iv: Buffer,
  bytesMax = Number.POSITIVE_INFINITY,
): CipherStream {
  const cipher = direction === "encrypt" ? createCipheriv(name, key, iv) : createDecipheriv(name, key, iv);
  let bytes = 0;
  return {
    update: (data) => {
      bytes += data.length;
      if (bytes > bytesMax) throw counterOver();
      return cipher.update(data);
    },
    final: () => ({ data: cipher.final() }),
  };
}

function counterOver(): Refusal {
  const text = "The data has more blocks than are left of the counter: begin with a lower one";
  return new Refusal("InvalidField", text, "BadCryptographicParameters");
}

/** A mode of whole blocks, with a padding by KMIP Padding Method. */
export interface BlockRequest extends Direction {
  readonly name: string;
  readonly iv: Buffer | null;
  readonly blockBytes: number;
  readonly padding: number;
}

/** ECB and CBC. */
export function blockStream(request: BlockRequest): CipherStream {
  const padding = blockPadding(request.padding);
  return request.direction === "encrypt" ? blockEncryption(request, padding) : blockDecryption(request, padding);
}

function blockEncryption({ name, key, iv, blockBytes }: BlockRequest, padding: BlockPadding): CipherStream {
  const cipher = createCipheriv(name, key, iv).setAutoPadding(false);
  let length = 0;
  return {
    update: (data) => {
      length += data.length;
      return cipher.update(data);
    },
    final: () => {
      const filled = padding.pad(length % blockBytes, blockBytes);
      return { data: joinAndClear([cipher.update(filled), cipher.final()]) };
    },
  };
}

/** The last block is held back until it is known to be the last: it may hold padding. */
function blockDecryption({ name, key, iv, blockBytes }: BlockRequest, padding: BlockPadding): CipherStream {
  const decipher = createDecipheriv(name, key, iv).setAutoPadding(false);
  let held: Buffer = Buffer.alloc(0);
  return {
    gathered: { bytes: () => held.length, forget: () => void held.fill(0) },
    update: (data) => {
      const all = joinAndClear([held, decipher.update(data)]);
      const at = Math.max(0, all.length - blockBytes);
      held = ownCopy(all.subarray(at));
      all.fill(0, at);
      return all.subarray(0, at);
    },
    final: () =>
      decrypting(() => {
        decipher.final();
        const kept = padding.kept(held);
        if (kept === undefined) throw notDecrypted();
        return { data: held.subarray(0, kept) };
      }),
  };
}

/** XTS (IEEE 1619): the tweak belongs to the whole data unit, so all of it must be there. */
export function xts({ direction, key }: Direction, name: string, tweak: Buffer): CipherStream {
  return whole((data) => {
    if (data.length < 16) throw new Refusal("InvalidField", "XTS encrypts 16 bytes or more");
    try {
      const cipher = direction === "encrypt" ? createCipheriv(name, key, tweak) : createDecipheriv(name, key, tweak);
      return cipher.update(data);
    } catch {
      throw new Refusal("InvalidField", "The two halves of an XTS key must differ");
    }
  });
}

/** Key wrap as a block cipher mode. */
export function wrapping(key: KeyObject, kind: WrapKind): CipherStream {
  return whole((data) => wrap(key, data, kind));
}

/** The reverse. */
export function unwrapping(key: KeyObject, kind: WrapKind): CipherStream {
  return whole((data) => unwrap(key, data, kind));
}

/** A computation that needs all data at once, as a stream. */
export function whole(work: (data: Buffer) => Buffer): CipherStream {
  const parts = gather();
  return {
    gathered: parts,
    update: (data) => {
      parts.add(data);
      return Buffer.alloc(0);
    },
    final: () => {
      const data = parts.take();
      try {
        return { data: work(data) };
      } finally {
        data.fill(0);
      }
    },
  };
}
