import type { Log } from "../config/source.ts";

const pauseMs = { first: 500, most: 15_000 } as const;

/** The last failure of a task that has not succeeded since. */
export interface Failure {
  readonly task: string;
  readonly message: string;
}

/** Runs one long action at a time beside the loop; a failed one is tried again only after a growing pause. */
export class Tasks {
  readonly #log: Log;
  readonly #nowMs: () => number;
  readonly #ended: () => void;
  #running: string | undefined;
  #failure: Failure | undefined;
  #failures = 0;
  #notBeforeMs = 0;

  constructor(options: { readonly log: Log; readonly nowMs: () => number; readonly ended: () => void }) {
    this.#log = options.log;
    this.#nowMs = options.nowMs;
    this.#ended = options.ended;
  }

  get failure(): Failure | undefined {
    return this.#failure;
  }

  get running(): string | undefined {
    return this.#running;
  }

  /** Starts the action unless one is running or this one failed a moment ago. */
  start(task: string, action: () => Promise<void>): void {
    if (this.#running !== undefined) return;
    if (this.#failure?.task === task && this.#nowMs() < this.#notBeforeMs) return;
    this.#running = task;
    void action().then(
      () => this.#settle(undefined),
      (error: Error) => this.#settle({ task, message: error.message }),
    );
  }

  #settle(failure: Failure | undefined): void {
    this.#failures = failure === undefined ? 0 : this.#failures + 1;
    this.#notBeforeMs = this.#nowMs() + Math.min(pauseMs.first * 2 ** this.#failures, pauseMs.most);
    if (failure !== undefined) this.#log("warn", "a step failed and will be tried again", { ...failure });
    this.#failure = failure;
    this.#running = undefined;
    this.#ended();
  }
}
