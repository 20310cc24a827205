import { Refusal } from "../objects/refusal.ts";
import { encodedBytes } from "../ttlv/encode.ts";
import type { ItemResult } from "./item-result.ts";
import { memoryOf } from "./memory-of.ts";

/** Bounds of what answers to batches take of memory, in bytes of TTLV: a request of 10 KB can ask for a large object a hundred times. */
export interface AnswerLimits {
  /**
   * No further item is begun once the answers before it have so many: a message in, and the largest object, have as much,
   * so that an answer has at most twice that.
   */
  readonly beforeBytes: number;
  /** The same for the answers of all batches that are being made, as they lie in memory. */
  readonly allBytes: number;
  /** So much each batch may always have, whatever the others do. */
  readonly smallBytes: number;
}

/** Bounds that suit a node with 2 GiB. */
export const answerLimits: AnswerLimits = { beforeBytes: 1_048_576, allBytes: 25_165_824, smallBytes: 65_536 };

/** What the answers of one batch take, until it is written. */
export interface AnswerAccount {
  add(result: ItemResult): void;
  /** Why no further item may be begun; undefined: it may. */
  refusal(): Refusal | undefined;
  /** The answer is written. */
  close(): void;
}

/** Of one item, which is always done. */
const uncounted: AnswerAccount = { add: () => undefined, refusal: () => undefined, close: () => undefined };

/** Makes the accounts of all batches of a handler, each by its number of items. */
export function answerAccounts(given: Partial<AnswerLimits> = {}): (items: number) => AnswerAccount {
  const limits = { ...answerLimits, ...given };
  let all = 0;
  return (items) => {
    if (items === 1) return uncounted;
    let own = 0;
    let inMemory = 0;
    return {
      add: (result) => {
        own += answerBytes(result);
        const bytes = answerMemory(result);
        inMemory += bytes;
        all += bytes;
      },
      refusal: () => {
        if (own >= limits.beforeBytes) return tooLarge(own);
        return inMemory >= limits.smallBytes && all >= limits.allBytes ? tooMany() : undefined;
      },
      close: () => {
        all -= inMemory;
        own = 0;
        inMemory = 0;
      },
    };
  };
}

/** What an item of an answer has besides its payload, at most. */
const headBytes = 128;

/** What the answer to an item takes as it is written. */
function answerBytes({ response: { payload, message = "" } }: ItemResult): number {
  return headBytes + message.length + (payload === undefined ? 0 : encodedBytes(payload));
}

/** What it takes until then: values that are bytes, and items. */
export function answerMemory(result: ItemResult): number {
  const { payload } = result.response;
  return answerBytes(result) + (payload === undefined ? 0 : memoryOf(payload));
}

function tooLarge(bytes: number): Refusal {
  return new Refusal(
    "ResponseTooLarge",
    `The answer has ${bytes} bytes before this item, which was not begun: send the rest in another message`,
  );
}

function tooMany(): Refusal {
  return new Refusal(
    "ResponseTooLarge",
    "The node has too many large answers in work, this item was not begun: send the rest in another message",
  );
}
