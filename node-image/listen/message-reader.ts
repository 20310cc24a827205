import { type Framing, frame } from "../ttlv/frame.ts";

/** Collects the bytes of one message at a time; memory grows with what has come, not with what was announced. */
export interface MessageReader {
  /** Takes bytes; gives whole messages in turn, then undefined, or an error after which nothing more can be read. */
  push(bytes: Buffer): void;
  next(): Buffer | Error | undefined;
  /** Whether a message has begun and is not whole. */
  partial(): boolean;
  /** Zeroes what is left. */
  clear(): void;
}

const firstBytes = 4096;

/** Messages longer than the limit are an error as soon as their header is here. */
export function messageReader(messageBytesMax: number): MessageReader {
  // Made when the first bytes come: a connection that says nothing costs none.
  let buffer = Buffer.alloc(0);
  let used = 0;
  return {
    push: (bytes) => {
      buffer = withRoom(buffer, used, used + bytes.length);
      used += bytes.copy(buffer, used);
      bytes.fill(0);
    },
    next: () => {
      const framing: Framing =
        used === 0 ? { kind: "need", bytes: 8 } : frame(buffer.subarray(0, used), messageBytesMax);
      if (framing.kind === "error") return framing.error;
      if (framing.kind === "need") return undefined;
      const message = Buffer.alloc(framing.bytes);
      buffer.copy(message, 0, 0, framing.bytes);
      buffer.copyWithin(0, framing.bytes, used);
      buffer.fill(0, used - framing.bytes, used);
      used -= framing.bytes;
      return message;
    },
    partial: () => used > 0,
    clear: () => {
      buffer.fill(0);
      used = 0;
    },
  };
}

/** Outgrown buffers are zeroed: they may hold key bytes. */
function withRoom(buffer: Buffer<ArrayBuffer>, used: number, wanted: number): Buffer<ArrayBuffer> {
  if (wanted <= buffer.length) return buffer;
  const larger = Buffer.alloc(Math.max(wanted, buffer.length * 2, firstBytes));
  buffer.copy(larger, 0, 0, used);
  buffer.fill(0);
  return larger;
}
