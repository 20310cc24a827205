import type { Log } from "./source.ts";

const levels = ["debug", "info", "warn", "error"] as const;
const maxLineLength = 8 * 1024;

/** A log whose lines are JSON objects on stdout; `level()` is asked at each line, so that settings apply at once. */
export function jsonLog(
  level: () => (typeof levels)[number],
  write: (line: string) => void = (line) => void process.stdout.write(line),
): Log {
  return (severity, message, fields = {}) => {
    if (levels.indexOf(severity) < levels.indexOf(level())) return;
    const line = JSON.stringify({ time: new Date().toISOString(), level: severity, message, ...fields });
    write(`${line.length > maxLineLength ? line.slice(0, maxLineLength) : line}\n`);
  };
}
