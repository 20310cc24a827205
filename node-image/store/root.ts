import { createHmac, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import type { Keyring } from "../keys/types.ts";
import { StoreError } from "./error.ts";
import type { Vector } from "./types.ts";

const keyBytes = 32;
const sumBytes = 32;

/** Sets whose members the root sums up; a member of one is none of another. */
export type Part = "row" | "kept";

/**
 * One number over all authenticated rows: the XOR of a keyed hash of each. A row that is missing, comes twice or is
 * an older one of its own changes it, which the MAC of the row alone cannot tell. Key and sum rest sealed and bound to the
 * vector: neither can be computed, nor put back to an earlier value, without the master key.
 */
export class Root {
  readonly #key: KeyObject;
  readonly #sum: Buffer;

  private constructor(key: KeyObject, sum: Buffer) {
    this.#key = key;
    this.#sum = sum;
  }

  /** Of an empty store. */
  static fresh(): Root {
    return new Root(keyOf(randomBytes(keyBytes)), Buffer.alloc(sumBytes));
  }

  /** Reads what `sealed` made for this vector; throws StoreError "damaged". */
  static open(keyring: Keyring, blob: Buffer, vector: Vector): Root {
    let plain: Buffer;
    try {
      plain = keyring.unseal(blob, contextOf(vector));
    } catch (error) {
      if ((error as { code?: unknown }).code === "closed") throw error;
      throw new StoreError("damaged", "the log in the database is not the one that this node has written", {
        cause: error,
      });
    }
    const sum = Buffer.from(plain.subarray(keyBytes));
    return new Root(keyOf(plain.subarray(0, keyBytes)), sum);
  }

  /** Another root with the same key: empty for counting anew, or as far as this one for going on. */
  copy(from: "empty" | "here"): Root {
    return new Root(this.#key, from === "here" ? Buffer.from(this.#sum) : Buffer.alloc(sumBytes));
  }

  /** What a member adds to the sum; `content` tells it from every other member of its part. */
  leaf(part: Part, content: string | Buffer): Buffer {
    return createHmac("sha256", this.#key).update(part).update(content).digest();
  }

  /** Adds a member, or takes one out: the same operation. */
  toggle(leaf: Buffer): void {
    for (let at = 0; at < sumBytes; at += 1) this.#sum[at] = (this.#sum[at] as number) ^ (leaf[at] as number);
  }

  /** Whether both sum up the same members; roots with different keys cannot be compared and are not equal. */
  equals(other: Root): boolean {
    return this.#key.equals(other.#key) && this.#sum.equals(other.#sum);
  }

  sealed(keyring: Keyring, vector: Vector): Buffer {
    const key = this.#key.export();
    const plain = Buffer.concat([key, this.#sum]);
    try {
      return keyring.seal(plain, contextOf(vector));
    } finally {
      plain.fill(0);
      key.fill(0);
    }
  }
}

function contextOf(vector: Vector): Buffer {
  return Buffer.from(`KFS1 ${[...vector].map(([origin, seq]) => `${origin}:${seq}`).sort()}`);
}

function keyOf(bytes: Buffer): KeyObject {
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}
