/**
 * A key server holds the master key in its memory: no inspector by signal, no environment in a report. The heap is
 * bounded so that an idle node stays small and a leak ends the process instead of the machine. For so small a bound V8 would
 * collect all of it whenever it has grown by a third: under writes that costs more than the writes; so it may double.
 */
export const strictFlags: readonly string[] = [
  "--disable-sigusr1",
  "--report-exclude-env",
  "--max-old-space-size=192",
  "--max-semi-space-size=16",
  "--heap-growing-percent=100",
];

/** Starts this program again in the same process with strict flags and without core files; returns when it already runs so. */
export function harden(): void {
  if (process.execArgv.includes("--disable-sigusr1") || process.execve === undefined) return;
  const command = [process.execPath, ...strictFlags, ...process.execArgv, ...process.argv.slice(1)];
  // Only a shell can set the limit for itself; it becomes the key server, so the process keeps its id.
  process.execve(
    "/bin/sh",
    ["sh", "-c", 'ulimit -c 0; exec "$0" "$@"', ...command],
    process.env as Record<string, string>,
  );
}
