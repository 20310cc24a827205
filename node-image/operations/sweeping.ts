/**
 * Sweeps what is kept for a time when that is over, though nobody asks for anything: what is secret must not stay in memory
 * because its client went away. `sweep` forgets what has ended by the clock and gives the next end in milliseconds since 1970;
 * undefined: nothing is kept, and no timer runs. The result is told each end, which is at most `longestMs` away.
 */
export function sweeping(
  nowMs: () => number,
  longestMs: number,
  sweep: () => number | undefined,
): (endMs: number) => void {
  let timer: NodeJS.Timeout | undefined;
  const wait = (endMs: number | undefined) => {
    timer = endMs === undefined ? undefined : setTimeout(() => wait(sweep()), within(endMs - nowMs())).unref();
  };
  /** What ends one after another is swept together; and a clock that was set back makes nothing wait for longer than it is kept. */
  const within = (ms: number) => Math.min(Math.max(ms, longestMs / sweepsMost), longestMs);
  return (endMs) => {
    // What is kept later ends later: its end is seen when the first is swept.
    if (timer === undefined) wait(endMs);
  };
}

/** Sweeps in the longest time that anything is kept for. */
const sweepsMost = 30;
