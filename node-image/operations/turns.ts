import { Refusal } from "../objects/refusal.ts";

/** Runs works a few at a time; the others wait in line. */
export type Turns = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** Key pairs that are made at once, and that wait: each takes a thread that files, DNS and other cryptography share. */
export const generationLimits = { atOnce: 2, waiting: 64 } as const;

/** A line of works; one more than may wait is refused. */
export function turns(limits: { readonly atOnce: number; readonly waiting: number }): Turns {
  let running = 0;
  const line: (() => void)[] = [];
  return async (work) => {
    if (running >= limits.atOnce) {
      if (line.length >= limits.waiting) {
        throw new Refusal(
          "PermissionDenied",
          "Too many key pairs are being made: try again in a minute, or on another node",
          "ServerLimitExceeded",
        );
      }
      // Whoever ends hands its place over, so that nobody who comes later takes it first.
      await new Promise<void>((resolve) => line.push(resolve));
    } else running += 1;
    try {
      return await work();
    } finally {
      const next = line.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
