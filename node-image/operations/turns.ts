import { Refusal } from "../objects/refusal.ts";

/** Runs works a few at a time; the others wait in line, of one caller no more than its part of it. */
export type Turns = <Result>(caller: string, work: () => Promise<Result>) => Promise<Result>;

/** Key pairs, slow signatures and derivations that are made at once, and that wait: each takes a thread that files, DNS and other cryptography share. */
export const generationLimits = { atOnce: 2, waiting: 64, waitingOfCaller: 16 } as const;

/** Searches among many objects that are made at once, and that wait: each holds identifiers of up to `locateMax` objects, some 10 MB. */
export const searchLimits = { atOnce: 2, waiting: 64, waitingOfCaller: 16 } as const;

/** A line of works; one more than may wait is refused, with what there are too many of. */
export function turns(limits: TurnsLimits, works = "keys and signatures are being made"): Turns {
  let running = 0;
  const line: { readonly caller: string; begin(): void }[] = [];
  return async (caller, work) => {
    if (running >= limits.atOnce) {
      const own = line.filter((each) => each.caller === caller).length;
      if (line.length >= limits.waiting || own >= limits.waitingOfCaller) throw tooMany(works);
      // Whoever ends hands its place over, so that nobody who comes later takes it first.
      await new Promise<void>((resolve) => line.push({ caller, begin: resolve }));
    } else running += 1;
    try {
      return await work();
    } finally {
      const next = line.shift();
      if (next === undefined) running -= 1;
      else next.begin();
    }
  };
}

interface TurnsLimits {
  readonly atOnce: number;
  readonly waiting: number;
  readonly waitingOfCaller: number;
}

function tooMany(works: string): Refusal {
  return new Refusal(
    "PermissionDenied",
    `Too many ${works} that take long: try again in a minute, or on another node`,
    "ServerLimitExceeded",
  );
}
