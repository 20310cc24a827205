import type { Encoding } from "../kmip/encoding.ts";
import { decode } from "../ttlv/decode.ts";
import { encode } from "../ttlv/encode.ts";
import { frame } from "../ttlv/frame.ts";
import type { Item } from "../ttlv/types.ts";

/** How the messages of an input are written: so that mutations keep to it. */
export interface Form {
  /** Those that can be read. */
  read(input: Buffer): Item[];
  write(items: readonly Item[]): Buffer;
}

export const messageBytesMax = 64 * 1024;
const messagesMax = 32;

/** A stream of messages in TTLV. */
export const stream: Form = {
  read: (input) => readable(framed(input), decode),
  write: (items) => Buffer.concat(items.map(encode)),
};

/** One message as text. */
export function textForm({ decode: read, encode: write }: Encoding): Form {
  return {
    read: (input) => readable([input], read),
    write: ([item]) => (item === undefined ? Buffer.alloc(0) : write(item)),
  };
}

/** Several messages as text, with a null byte after each, which no text has. */
export function textsForm({ decode: read, encode: write }: Encoding): Form {
  return {
    read: (input) => readable(bodies(input), read),
    write: (items) => Buffer.concat(items.flatMap((item) => [write(item), Buffer.alloc(1)])),
  };
}

/** The messages of a stream; what is left over goes to the handler as well, which must not trust whoever cuts. */
export function framed(input: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < input.length && found.length < messagesMax; ) {
    const framing = frame(input.subarray(at), messageBytesMax);
    const end = framing.kind === "message" ? at + framing.bytes : input.length;
    found.push(Buffer.from(input.subarray(at, end)));
    at = end;
  }
  return found;
}

/** The texts of an input. */
export function bodies(input: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < input.length && found.length < messagesMax; ) {
    const next = input.indexOf(0, at);
    const end = next < 0 ? input.length : next;
    found.push(Buffer.from(input.subarray(at, end)));
    at = end + 1;
  }
  return found;
}

/** Items of the messages up to the first that cannot be read. */
function readable(messages: readonly Buffer[], read: (message: Buffer) => Item): Item[] {
  const items: Item[] = [];
  for (const message of messages) {
    try {
      items.push(read(message));
    } catch {
      return items;
    }
  }
  return items;
}
