import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Clock } from "./types.ts";

/** Linux: another one after each start of the machine, the same in all its containers (random(4)). */
const bootIdFile = "/proc/sys/kernel/random/boot_id";
const boot = bootId();

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sinceBoot: () => ({ boot, ms: Number(process.hrtime.bigint()) / 1e6 }),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Where no machine says which start it is of, no process knows more than its own time. */
function bootId(): string {
  try {
    return readFileSync(bootIdFile, "utf8").trim() || randomUUID();
  } catch {
    return randomUUID();
  }
}

/** Resolves after a while, or at once when the signal is aborted. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const cancel = clock.after(delayMs, end);
    signal.addEventListener("abort", end);
  });
}
