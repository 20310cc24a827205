/** Fields of a log line. */
export type LogFields = Readonly<Record<string, string | number | boolean>>;

const linesPerSecond = 20;

/** Lets so many lines a second through and counts the rest, so that a flood of strangers cannot fill the disk. */
export function logBudget(log: (fields: LogFields) => void, now: () => number = Date.now): (fields: LogFields) => void {
  let second = 0;
  let lines = 0;
  return (fields) => {
    const current = Math.floor(now() / 1000);
    if (current !== second) {
      const dropped = lines - linesPerSecond;
      if (dropped > 0) log({ level: "warn", event: "log-lines-dropped", count: dropped });
      [second, lines] = [current, 0];
    }
    lines += 1;
    if (lines <= linesPerSecond) log(fields);
  };
}
