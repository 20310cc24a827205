import { Refusal } from "../objects/refusal.ts";
import { keptBytes } from "../operations/kept-bytes.ts";
import type { Item } from "../ttlv/types.ts";
import { memoryOf } from "./memory-of.ts";

/** What requests take of the heap while they are in work; messages themselves are counted by the bytes that came. */
export interface RequestsInWork {
  /** Counts one, of a message of so many bytes; what was counted. Throws Refusal where there is too much in work. */
  add(request: Item, messageBytes: number, caller: string): number;
  remove(counted: number, caller: string): void;
}

/**
 * Bounds: a message of many tiny items takes ten times its bytes once it is read. Those of short messages, and small ones, are
 * bounded by how many are in work.
 */
const limits = { ofCallerBytes: 16_777_216, allBytes: 25_165_824, smallBytes: 65_536, messageBytes: 4_096 } as const;

/** None yet. */
export function requestsInWork(): RequestsInWork {
  const kept = keptBytes(limits);
  return {
    add: (request, messageBytes, caller) => {
      if (messageBytes <= limits.messageBytes) return 0;
      const bytes = memoryOf(request);
      if (!kept.resize(caller, 0, bytes)) throw tooMany();
      return bytes;
    },
    remove: (counted, caller) => {
      if (counted > 0) kept.resize(caller, counted, 0);
    },
  };
}

function tooMany(): Refusal {
  return new Refusal(
    "GeneralFailure",
    "The node has too many large requests in work: try again, or on another node",
    "ServerLimitExceeded",
  );
}
