import type { Log } from "../ports/types.ts";

const levels = { debug: 10, info: 20, warn: 30, error: 40 } as const;

/** How much is logged. */
export type LogLevel = keyof typeof levels;

/** Longest value of a field; an error of a server can be long. */
const maxFieldLength = 2000;

/** One JSON object a line: time, level, event and fields. */
export function jsonLog(options: {
  readonly level: LogLevel;
  readonly write: (line: string) => void;
  readonly nowMs: () => number;
  readonly fields?: Readonly<Record<string, unknown>>;
}): Log {
  const line =
    (level: LogLevel) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}) => {
      if (levels[level] < levels[options.level]) return;
      const time = new Date(options.nowMs()).toISOString();
      options.write(`${JSON.stringify({ time, level, event, ...options.fields, ...fields }, shortened)}\n`);
    };
  return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
}

function shortened(_name: string, value: unknown): unknown {
  if (value instanceof Error) return value.message.slice(0, maxFieldLength);
  return typeof value === "string" && value.length > maxFieldLength ? `${value.slice(0, maxFieldLength)}…` : value;
}
