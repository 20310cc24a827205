import { DecodeError, itemType, limits } from "./types.ts";

/** What the bytes so far are: more are needed (in all), a whole message of that many bytes, or never a message. */
export type Framing =
  | { readonly kind: "need"; readonly bytes: number }
  | { readonly kind: "message"; readonly bytes: number }
  | { readonly kind: "error"; readonly error: DecodeError };

const headerBytes = 8;

/** Finds the end of the first message, as soon as it can be known whether there is one. */
export function frame(bytes: Buffer, messageBytesMax: number = limits.messageBytes): Framing {
  // The first bytes tell a foreign protocol (HTTP, a second TLS) from TTLV before the length is believed.
  if (bytes.length >= 1 && bytes[0] !== 0x42) return wrong("The first byte is not that of a KMIP tag", 0, bytes);
  if (bytes.length >= 4 && bytes[3] !== itemType.structure)
    return wrong("The outermost item is not a structure", 3, bytes);
  if (bytes.length < headerBytes) return { kind: "need", bytes: headerBytes };
  const total = headerBytes + bytes.readUInt32BE(4);
  if (total > messageBytesMax)
    return wrong(`A message of ${total} bytes is over the limit of ${messageBytesMax}`, 4, bytes);
  if (total % 8 !== 0) return wrong("The message's length is not a multiple of eight", 4, bytes);
  return bytes.length < total ? { kind: "need", bytes: total } : { kind: "message", bytes: total };
}

function wrong(message: string, offset: number, bytes: Buffer): Framing {
  const tag = bytes.length < 3 ? undefined : bytes.readUIntBE(0, 3);
  return { kind: "error", error: new DecodeError(message, offset, tag) };
}
