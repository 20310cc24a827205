import type { KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";
import type { Log, NodeSource } from "../config/source.ts";

const retryMs = { first: 1_000, most: 30_000 } as const;

/** Writes the status when it differs from the one written last; one write at a time, failed ones again with growing pauses. */
export class Reporter {
  readonly #source: NodeSource;
  readonly #log: Log;
  #written: KmsNodeStatus | undefined;
  #writing: Promise<void> | undefined;
  #retryAtMs = 0;
  #pauseMs: number = retryMs.first;

  constructor(source: NodeSource, log: Log) {
    this.#source = source;
    this.#log = log;
  }

  /** What was written last, by this process or by the one before it. */
  get previous(): KmsNodeStatus | undefined {
    return this.#written ?? this.#source.current()?.status;
  }

  /** Offers the status of now; `nowMs` is monotonic. */
  offer(status: KmsNodeStatus, nowMs: number): void {
    if (this.#writing !== undefined || nowMs < this.#retryAtMs || same(status, this.previous)) return;
    this.#writing = this.#source.report(status).then(
      () => {
        this.#written = status;
        this.#pauseMs = retryMs.first;
      },
      (error: Error) => {
        this.#log("warn", "cannot write the status", { problem: error.message });
        this.#retryAtMs = nowMs + this.#pauseMs;
        this.#pauseMs = Math.min(this.#pauseMs * 2, retryMs.most);
      },
    );
    void this.#writing.finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    await this.#writing;
  }
}

/** Equal as JSON, whatever the order of the members. */
function same(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other);
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, member: unknown) =>
      typeof member === "object" && member !== null && !Array.isArray(member)
        ? Object.fromEntries(Object.entries(member).sort(([one], [other]) => (one < other ? -1 : 1)))
        : member,
    ) ?? ""
  );
}
