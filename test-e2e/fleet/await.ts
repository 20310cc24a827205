import { setTimeout as pause } from "node:timers/promises";

/** How long to wait, how often to look, and what to tell meanwhile. */
export interface Patience {
  readonly what: string;
  readonly deadlineMs: number;
  readonly everyMs?: number;
  /** Called with what was seen whenever it changed. */
  readonly tell?: (seen: string) => void;
}

/**
 * Looks until `done` says so; answers with what was seen then. A look that throws counts as not yet.
 * Throws with the last thing seen when the deadline is over.
 */
export async function until<T>(look: () => Promise<T>, done: (seen: T) => boolean, patience: Patience): Promise<T> {
  const end = performance.now() + patience.deadlineMs;
  let last = "nothing yet";
  for (;;) {
    const seen = await look().then(
      (value) => ({ value, text: JSON.stringify(value) }),
      (error: Error) => ({ value: undefined, text: error.message.slice(-600) }),
    );
    if (seen.text !== last) patience.tell?.(seen.text);
    last = seen.text;
    if (seen.value !== undefined && done(seen.value)) return seen.value;
    if (performance.now() > end)
      throw new Error(
        `${patience.what}: not within ${patience.deadlineMs / 1000} s; last seen: ${last.slice(0, 1500)}`,
      );
    await pause(patience.everyMs ?? 500);
  }
}
