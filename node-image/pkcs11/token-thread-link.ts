import { Worker } from "node:worker_threads";
import { HsmError } from "../hsm/hsm-error.ts";
import { limits } from "./limits.ts";
import type { ThreadAnswer, ThreadOrder } from "./thread-messages.ts";

/** How to start a thread. */
export interface ThreadSource {
  readonly script: URL;
  readonly data: unknown;
}

/** One thread of the sidecar, seen from outside: one order at a time, and given up when it does not answer. */
export class ThreadLink {
  readonly #worker: Worker;
  #settle: ((answer: ThreadAnswer | undefined) => void) | undefined;
  #lost: "stuck" | "ended" | undefined;

  constructor(source: ThreadSource) {
    this.#worker = new Worker(source.script, { workerData: source.data, resourceLimits: limits.threadMemory });
    this.#worker.on("message", (answer: ThreadAnswer) => this.#finish(answer));
    this.#worker.on("error", () => this.#end("ended"));
    this.#worker.on("exit", () => this.#end("ended"));
  }

  /** Undefined while it can take orders; "stuck" when it never came back from the library, "ended" when it is gone. */
  get lost(): "stuck" | "ended" | undefined {
    return this.#lost;
  }

  /** Rejects with HsmError "timeout" after the deadline (the thread is lost then) or "unavailable" when it ended. */
  ask(order: ThreadOrder, deadlineMs: number): Promise<ThreadAnswer> {
    if (this.#lost !== undefined || this.#settle !== undefined) {
      return Promise.reject(new HsmError("unavailable", "a thread of the HSM sidecar is not free"));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#end("stuck"), deadlineMs);
      this.#settle = (answer) => {
        clearTimeout(timer);
        if (answer !== undefined) resolve(answer);
        else reject(this.#why(deadlineMs));
      };
      this.#worker.postMessage(order, [order.payload.buffer]);
    });
  }

  /** Ends the thread; one that is inside the library ends only when the library returns. */
  end(): Promise<unknown> {
    this.#lost ??= "ended";
    return this.#worker.terminate();
  }

  #end(how: "stuck" | "ended"): void {
    this.#lost ??= how;
    if (how === "stuck") void this.#worker.terminate();
    this.#finish(undefined);
  }

  #finish(answer: ThreadAnswer | undefined): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(answer);
  }

  #why(deadlineMs: number): HsmError {
    if (this.#lost === "stuck")
      return new HsmError(
        "timeout",
        `the HSM did not answer within ${deadlineMs} ms; check the device and its network`,
      );
    return new HsmError("unavailable", "a thread of the HSM sidecar ended");
  }
}
