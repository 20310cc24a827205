import { HsmError } from "../hsm/hsm-error.ts";
import { limits } from "./limits.ts";
import type { ThreadAnswer, ThreadOrder } from "./thread-messages.ts";
import { ThreadLink, type ThreadSource } from "./token-thread-link.ts";

interface Job {
  readonly order: ThreadOrder;
  readonly deadlineAt: number;
  readonly resolve: (answer: ThreadAnswer) => void;
  readonly reject: (error: unknown) => void;
  timer: NodeJS.Timeout | undefined;
}

/** A queue in front of the threads that work: one at first, more (each costs memory) when requests wait; lost ones are replaced. */
export class Crew {
  readonly #source: ThreadSource;
  readonly #size: number;
  readonly #threads: ThreadLink[];
  readonly #free = new Set<ThreadLink>();
  readonly #running = new Map<ThreadLink, Promise<unknown>>();
  readonly #queue: Job[] = [];
  #keyCheckValue: string | undefined;
  #stuck = 0;

  constructor(source: ThreadSource, size: number) {
    this.#source = source;
    this.#size = size;
    this.#threads = [new ThreadLink(source)];
  }

  /** Threads that never came back from the library since the process began. */
  get stuck(): number {
    return this.#stuck + this.#threads.filter((thread) => thread.lost === "stuck").length;
  }

  /** Gives every thread its session. Rejects with HsmError when one of them cannot have one. */
  async attach(keyCheckValue: string): Promise<void> {
    this.#keyCheckValue = keyCheckValue;
    await Promise.all(
      this.#threads.map((thread, index) =>
        thread.lost === undefined ? this.#attachThread(index) : this.#renew(index),
      ),
    );
  }

  /** Lets work in progress end and begins none until attach. Resolves when all threads are idle or lost. */
  async rest(): Promise<void> {
    this.#keyCheckValue = undefined;
    this.#free.clear();
    await Promise.all(this.#running.values());
  }

  /** Rejects with HsmError "timeout" when deadlineMs pass, waiting included, and "unavailable" when the queue is full. */
  run(order: ThreadOrder, deadlineMs: number): Promise<ThreadAnswer> {
    return new Promise((resolve, reject) => {
      const job: Job = { order, deadlineAt: performance.now() + deadlineMs, resolve, reject, timer: undefined };
      const thread = [...this.#free].find((free) => free.lost === undefined);
      if (thread !== undefined) this.#begin(thread, job);
      else this.#wait(job, deadlineMs);
    });
  }

  /** Answers everybody who still waits for a thread. */
  turnAway(error: HsmError): void {
    for (const job of this.#queue.splice(0)) {
      clearTimeout(job.timer);
      job.reject(error);
    }
  }

  /** Ends all threads that are not inside the library; what is put into the place of one that worked goes into it no more. */
  async end(): Promise<void> {
    this.#keyCheckValue = undefined;
    await Promise.all(this.#threads.filter((thread) => thread.lost === undefined).map((thread) => thread.end()));
  }

  #begin(thread: ThreadLink, job: Job): void {
    clearTimeout(job.timer);
    this.#free.delete(thread);
    const answer = thread.ask(job.order, Math.max(1, job.deadlineAt - performance.now()));
    answer.then(job.resolve, job.reject);
    this.#follow(thread, answer);
  }

  /** Remembers that the thread is busy until the answer is there, then gives it the next job. */
  #follow(thread: ThreadLink, answer: Promise<unknown>): void {
    const release = () => {
      this.#running.delete(thread);
      const index = this.#threads.indexOf(thread);
      if (thread.lost === undefined) this.#offer(thread);
      else if (index !== -1) this.#renew(index);
    };
    this.#running.set(thread, answer.then(release, release));
  }

  #wait(job: Job, deadlineMs: number): void {
    if (this.#queue.length >= limits.queue) {
      job.reject(new HsmError("unavailable", "too many requests wait for the HSM"));
      return;
    }
    job.timer = setTimeout(() => {
      this.#queue.splice(this.#queue.indexOf(job), 1);
      job.reject(new HsmError("timeout", `no thread of the HSM sidecar was free within ${Math.round(deadlineMs)} ms`));
    }, deadlineMs);
    this.#queue.push(job);
    this.#grow();
  }

  /** Another thread for those who wait: in the place of a lost one, or one more up to the size. */
  #grow(): void {
    const lost = this.#threads.findIndex((thread) => thread.lost !== undefined);
    const index = lost === -1 ? this.#threads.length : lost;
    if (index < this.#size) this.#renew(index);
  }

  #offer(thread: ThreadLink): void {
    if (this.#keyCheckValue === undefined) return;
    const next = this.#queue.shift();
    if (next === undefined) this.#free.add(thread);
    else this.#begin(thread, next);
  }

  #renew(index: number): void {
    const former = this.#threads[index];
    if (former !== undefined) this.#free.delete(former);
    if (former?.lost === "stuck") this.#stuck += 1;
    this.#threads[index] = new ThreadLink(this.#source);
    // One that cannot attach stays idle until somebody waits or the token is opened again.
    if (this.#keyCheckValue !== undefined) this.#attachThread(index).catch(() => undefined);
  }

  async #attachThread(index: number): Promise<void> {
    const thread = this.#threads[index];
    const keyCheckValue = this.#keyCheckValue;
    if (thread === undefined || keyCheckValue === undefined) return;
    const order = { command: "attach", payload: new Uint8Array(0), keyCheckValue } as const;
    const attaching = thread.ask(order, limits.openDeadlineMs).then(mustHaveSession);
    attaching.then(
      () => this.#follow(thread, Promise.resolve()),
      () => this.#running.delete(thread),
    );
    this.#running.set(
      thread,
      attaching.catch(() => undefined),
    );
    await attaching;
  }
}

function mustHaveSession(answer: ThreadAnswer): void {
  if (answer.kind !== "done") throw new HsmError("unavailable", "a session could not be opened on the token");
}
