import { Refusal } from "../objects/refusal.ts";
import { joinAndClear, ownCopy } from "./bytes.ts";

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

/** An empty gathering, bounded. */
export function gather(): Gathered {
  let parts: Buffer[] = [];
  let size = 0;
  const forget = () => {
    for (const part of parts) part.fill(0);
    parts = [];
    size = 0;
  };
  return {
    bytes: () => size,
    forget,
    add: (part) => {
      size += part.length;
      if (size > gatheredMaxBytes) {
        forget();
        throw new Refusal(
          "InvalidField",
          `This algorithm takes at most ${gatheredMaxBytes} bytes in all parts together`,
        );
      }
      parts.push(ownCopy(part));
    },
    take: () => {
      const all = joinAndClear(parts);
      parts = [];
      size = 0;
      return all;
    },
  };
}
