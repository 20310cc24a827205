import { type Framing, frame } from "../ttlv/frame.ts";

/** Collects the bytes of one message at a time; memory grows with what has come, not with what was announced. */
export interface MessageReader {
  /** Takes bytes, which are its own from then on; gives whole messages in turn, then undefined, or an error after which nothing more can be read. */
  push(bytes: Buffer): void;
  next(): Buffer | Error | undefined;
  /** Whether a message has begun and is not whole. */
  partial(): boolean;
  /** Bytes of the message that has begun, as far as they are told; 0 before. */
  announced(): number;
  /** Zeroes what is left. */
  clear(): void;
}

const firstBytes = 4096;

/** Messages longer than the limit are an error as soon as their header is here. */
export function messageReader(messageBytesMax: number): MessageReader {
  // Made when the first bytes come: a connection that says nothing costs none.
  let buffer = Buffer.alloc(0);
  let used = 0;
  /** Most often the bytes that have come are one message: it is read where it lies. */
  let whole: Buffer | undefined;
  return {
    push: (bytes) => {
      if (used === 0 && whole === undefined && isMessage(bytes, messageBytesMax)) {
        whole = bytes;
        return;
      }
      if (whole !== undefined) {
        buffer = withRoom(buffer, used, whole.length + bytes.length);
        used = whole.copy(buffer, 0);
        whole.fill(0);
        whole = undefined;
      }
      buffer = withRoom(buffer, used, used + bytes.length);
      used += bytes.copy(buffer, used);
      bytes.fill(0);
    },
    next: () => {
      if (whole !== undefined) {
        const message = whole;
        whole = undefined;
        return message;
      }
      const framing: Framing =
        used === 0 ? { kind: "need", bytes: 8 } : frame(buffer.subarray(0, used), messageBytesMax);
      if (framing.kind === "error") return framing.error;
      if (framing.kind === "need") return undefined;
      const message = Buffer.alloc(framing.bytes);
      buffer.copy(message, 0, 0, framing.bytes);
      buffer.copyWithin(0, framing.bytes, used);
      buffer.fill(0, used - framing.bytes, used);
      used -= framing.bytes;
      // Idle connections must not keep the room of the largest message that they ever sent.
      if (used === 0 && buffer.length > firstBytes) buffer = Buffer.alloc(0);
      return message;
    },
    partial: () => used > 0,
    announced: () => {
      const framing = used === 0 ? undefined : frame(buffer.subarray(0, used), messageBytesMax);
      return framing?.kind === "need" ? framing.bytes : 0;
    },
    clear: () => {
      whole?.fill(0);
      whole = undefined;
      buffer.fill(0);
      used = 0;
    },
  };
}

function isMessage(bytes: Buffer, messageBytesMax: number): boolean {
  const framing = frame(bytes, messageBytesMax);
  return framing.kind === "message" && framing.bytes === bytes.length;
}

/** The buffer, or a larger one with what is used of it. Outgrown ones are zeroed: they may hold key bytes. */
export function withRoom(buffer: Buffer<ArrayBuffer>, used: number, wanted: number): Buffer<ArrayBuffer> {
  if (wanted <= buffer.length) return buffer;
  const larger = Buffer.alloc(Math.max(wanted, buffer.length * 2, firstBytes));
  buffer.copy(larger, 0, 0, used);
  buffer.fill(0);
  return larger;
}
