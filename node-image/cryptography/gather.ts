import { Refusal } from "../objects/refusal.ts";
import { ownCopy } from "./bytes.ts";

/** Bytes that one operation may keep until its last part has come. */
export const gatheredMaxBytes = 1_048_576;

/** Data that a computation keeps between its parts. */
export interface KeptData {
  /** How many are kept now. */
  bytes(): number;
  /** Zeroes what is kept: no further part comes. */
  forget(): void;
}

/** Parts kept in order for algorithms that need all data at once. */
export interface Gathered extends KeptData {
  add(part: Buffer): void;
  /** All parts in one buffer of its own, the caller's to zero. */
  take(): Buffer;
}

/** A computation in parts, with what it keeps of its data; absent where each part is done with when it has come. */
export interface Gathering {
  readonly gathered?: KeptData;
}

/** An empty gathering, bounded. One buffer for all parts: each by itself would take hundreds of bytes, also where it has one. */
export function gather(): Gathered {
  let bytes = Buffer.alloc(0);
  let size = 0;
  const forget = () => {
    bytes.fill(0);
    bytes = Buffer.alloc(0);
    size = 0;
  };
  return {
    bytes: () => size,
    forget,
    add: (part) => {
      const wanted = size + part.length;
      if (wanted > gatheredMaxBytes) {
        forget();
        throw new Refusal(
          "InvalidField",
          `This algorithm takes at most ${gatheredMaxBytes} bytes in all parts together`,
        );
      }
      if (wanted > bytes.length) bytes = grown(bytes, wanted);
      size += part.copy(bytes, size);
    },
    take: () => {
      const all = ownCopy(bytes.subarray(0, size));
      forget();
      return all;
    },
  };
}

/** At least twice as large, so that many small parts are not copied each time; what was outgrown is zeroed. */
function grown(bytes: Buffer, wanted: number): Buffer<ArrayBuffer> {
  const larger = Buffer.alloc(Math.max(wanted, Math.min(2 * bytes.length, gatheredMaxBytes)));
  larger.set(bytes);
  bytes.fill(0);
  return larger;
}
