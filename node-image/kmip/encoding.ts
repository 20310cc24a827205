import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import type { Item } from "../ttlv/types.ts";

/** How messages are written as bytes. */
export interface Encoding {
  readonly name: "ttlv" | "json" | "xml";
  /** Throws DecodeError. */
  decode(bytes: Buffer): Item;
  /** The bytes are the caller's to send and to zero. */
  encode(item: Item): Buffer;
}

/** The encoding that every client speaks (KMIP 1.4, 9.1). */
export const ttlv: Encoding = { name: "ttlv", decode, encode };
