import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Load, LoadResult } from "./load.ts";

/** What a load came to, and what each group of the server's processes used meanwhile. */
export interface Measured extends LoadResult {
  /** Shares of one core. */
  readonly serverCpu: Readonly<Record<string, number>>;
  /** Microseconds of user and system time a request: hardly changed by what else the machine does. */
  readonly serverMicros: Readonly<Record<string, number>>;
  /** Of the machine, over the last minute. */
  readonly loadAverage: number;
}

/** Ids of processes by what they are; asked before and after, so that the same ones are compared. */
export type Processes = () => Readonly<Record<string, readonly number[]>>;

const ticksPerSecond = 100;
/** For starting, connecting and a busy machine. */
const slackMs = 40_000;

/** Runs the generator as a process of its own; rejects when it cannot connect or takes far too long. */
export async function generate(load: Load, processes: Processes): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-load-"));
  const file = join(folder, "load.json");
  writeFileSync(file, JSON.stringify(load), { mode: 0o600 });
  const child = spawn(process.execPath, [join(import.meta.dirname, "load.ts"), file], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: load.warmupMs + load.measureMs + slackMs,
  });
  try {
    // Taken just before the generator begins to measure and when it ends: what went before is not the requests'.
    let before: Record<string, number> = {};
    let line = "";
    for await (line of createInterface({ input: child.stdout })) {
      if (line === "measuring") before = ticks(processes());
    }
    const after = ticks(processes());
    if (!line.startsWith("{")) throw new Error("the load generator has ended before its time");
    const result = JSON.parse(line) as LoadResult;
    const used = Object.entries(after).map(
      ([name, now]) => [name, Math.max(0, now - (before[name] ?? 0)) / ticksPerSecond] as const,
    );
    return {
      ...result,
      serverCpu: Object.fromEntries(used.map(([name, seconds]) => [name, seconds / result.told.seconds])),
      serverMicros: Object.fromEntries(used.map(([name, seconds]) => [name, (1e6 * seconds) / result.told.count])),
      loadAverage: loadavg()[0] ?? 0,
    };
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

function ticks(groups: ReturnType<Processes>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(groups).map(([name, pids]) => [name, pids.reduce((sum, pid) => sum + ticksOf(pid), 0)]),
  );
}

/** User and system time of a process, from /proc. */
function ticksOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return 0; // It ended.
  }
}

/** Memory of processes in MiB, shared pages counted once (proportional set size). */
export function memoryMib(pids: readonly number[]): number {
  const kib = pids.map((pid) => Number(/^Pss:\s+(\d+)/m.exec(readQuietly(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0));
  return kib.reduce((sum, each) => sum + each, 0) / 1024;
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
