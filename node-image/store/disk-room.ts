import { StoreError } from "./error.ts";
import type { Log } from "./types.ts";

/**
 * With less room on its volume a node writes nothing: PostgreSQL, which cannot go on without room for its own log, keeps
 * enough to serve reads, to come back after a crash and to tidy up.
 */
export const roomMinBytes = 64 * 1024 * 1024;
// Written again only when there is clearly more, so that it does not go to and fro.
const roomEnoughBytes = 80 * 1024 * 1024;
const lookMs = 250;

/** Watches the room on the volume of the database. */
export class DiskRoom {
  readonly #options: { readonly freeBytes: () => number; readonly nowMs: () => number; readonly log: Log };
  #lookedMs = Number.NEGATIVE_INFINITY;
  #problem: StoreError | undefined;

  /** `freeBytes`: room for this user on the volume. */
  constructor(options: { readonly freeBytes: () => number; readonly nowMs: () => number; readonly log: Log }) {
    this.#options = options;
  }

  /** Why nothing may be written now; undefined when there is room. */
  get problem(): StoreError | undefined {
    const now = this.#options.nowMs();
    // A clock that was set back looks at once.
    if (Math.abs(now - this.#lookedMs) < lookMs) return this.#problem;
    this.#lookedMs = now;
    const free = this.#options.freeBytes();
    const full = free < (this.#problem === undefined ? roomMinBytes : roomEnoughBytes);
    if (full !== (this.#problem !== undefined))
      this.#options.log({ level: full ? "error" : "info", event: full ? "diskFull" : "diskHasRoom", freeBytes: free });
    this.#problem = full ? fullDisk(free) : undefined;
    return this.#problem;
  }

  /** Throws StoreError "unavailable" unless there is room for so many bytes more. */
  mustHold(bytes: number): void {
    if (this.problem !== undefined) throw this.problem;
    const free = this.#options.freeBytes();
    if (free - bytes >= roomMinBytes) return;
    const needed = mebibytes(bytes + roomMinBytes);
    throw new StoreError(
      "unavailable",
      `a snapshot needs ${needed} MiB on this node's volume for what is set aside meanwhile, and ${mebibytes(free)} are left; give the volume more room`,
    );
  }
}

function mebibytes(bytes: number): number {
  return Math.floor(bytes / 2 ** 20);
}

function fullDisk(free: number): StoreError {
  return new StoreError(
    "unavailable",
    `this node's volume has ${mebibytes(free)} MiB left, fewer than ${mebibytes(roomMinBytes)}: it serves reads and writes nothing; give the volume more room, and write to another node meanwhile`,
  );
}
