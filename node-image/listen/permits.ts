/** A fixed number of things at once; the rest wait in line (bounded by the number of connections, each waits once). */
export interface Permits {
  /** Undefined when there was one at once. */
  take(): Promise<void> | undefined;
  give(): void;
}

/** Makes `count` permits. */
export function permits(count: number): Permits {
  let free = count;
  const waiting: (() => void)[] = [];
  return {
    take: () => {
      if (free > 0) {
        free -= 1;
        return undefined;
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
    give: () => {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    },
  };
}
