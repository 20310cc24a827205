/** Events between two turns of the real event loop. */
const turnEvery = 64;

/** Time that passes only from one event to the next; the same events in the same order for the same seed. */
export class VirtualTime {
  nowMs = 0;
  readonly #heap: Event[] = [];
  #count = 0;
  /** Events that ran. */
  ran = 0;

  /** Runs the work after so many milliseconds; what it returns calls it off. */
  after(ms: number, work: () => void): () => void {
    const event: Event = { atMs: this.nowMs + Math.max(0, ms), order: this.#count, work };
    this.#count += 1;
    this.#push(event);
    return () => {
      event.work = undefined;
    };
  }

  /** Resolves after so many milliseconds of this time. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve);
    });
  }

  /** Lets events run, each with all that follows from it at once, until that time or until the condition holds. */
  async runUntil(endMs: number, done: () => boolean = () => false): Promise<void> {
    while (!done()) {
      const event = this.#heap[0];
      if (event === undefined || event.atMs > endMs) break;
      this.#pop();
      if (event.work === undefined) continue;
      this.nowMs = event.atMs;
      this.ran += 1;
      event.work();
      await (this.ran % turnEvery === 0 ? turn() : settled());
    }
    if (!done()) this.nowMs = Math.max(this.nowMs, endMs);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child += 1;
      if (!isBefore(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
  }
}

/** Resolves when every promise that is settled by now has run its consequences: ticks come behind all of them. */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** The same by a turn of the real event loop, which costs far more, and ends the process at a rejection that nobody handles. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  work: (() => void) | undefined;
}

function isBefore(one: Event, other: Event): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
