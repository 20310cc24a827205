import type { Log } from "../ports/types.ts";

/** Keeps what is logged, for tests that look at it. */
export function quietLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const line =
    (level: string) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push(`${level} ${event} ${JSON.stringify(fields)}`);
    };
  return { lines, debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
}
