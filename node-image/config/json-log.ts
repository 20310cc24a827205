import type { Log } from "./source.ts";

const levels = ["debug", "info", "warn", "error"] as const;
const maxLineBytes = 8 * 1024;

/**
 * A log whose lines are JSON objects on stdout; `level()` is asked at each line, so that settings apply at once. What would make
 * a line longer than 8 KiB is cut, and the line says so (`cut`).
 */
export function jsonLog(
  level: () => (typeof levels)[number],
  write: (line: string) => void = (line) => void process.stdout.write(line),
): Log {
  return (severity, message, fields = {}) => {
    if (levels.indexOf(severity) < levels.indexOf(level())) return;
    write(`${lineOf({ time: new Date().toISOString(), level: severity, message, ...fields })}\n`);
  };
}

/** How long texts and lists may be, tried in turn until the line fits. */
const cuts = [
  { characters: 2_048, elements: 64 },
  { characters: 256, elements: 16 },
  { characters: 64, elements: 4 },
] as const;

function lineOf(fields: Readonly<Record<string, unknown>>): string {
  const whole = JSON.stringify(fields);
  if (Buffer.byteLength(whole) <= maxLineBytes) return whole;
  for (const cut of cuts) {
    const line = JSON.stringify({ ...fields, cut: true }, (_, value) => shortened(value, cut));
    if (Buffer.byteLength(line) <= maxLineBytes) return line;
  }
  const { time, level, message } = fields;
  return JSON.stringify({ time, level, message: String(message).slice(0, 256), cut: true });
}

function shortened(value: unknown, { characters, elements }: (typeof cuts)[number]): unknown {
  if (typeof value === "string" && value.length > characters) return `${value.slice(0, characters)}…`;
  if (Array.isArray(value) && value.length > elements) return value.slice(0, elements);
  return value;
}
