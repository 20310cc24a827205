import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Load, LoadResult } from "./load.ts";

/** What a load came to, and the share of one core that each group of the server's processes used meanwhile. */
export interface Measured extends LoadResult {
  readonly serverCpu: Readonly<Record<string, number>>;
}

/** Ids of processes by what they are; asked before and after, so that the same ones are compared. */
export type Processes = () => Readonly<Record<string, readonly number[]>>;

const ticksPerSecond = 100;

/** Runs the generator as a process of its own; rejects when it cannot connect or takes far too long. */
export async function generate(load: Load, processes: Processes): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "keyfleet-load-"));
  const file = join(folder, "load.json");
  writeFileSync(file, JSON.stringify(load), { mode: 0o600 });
  const before = ticks(processes());
  const begin = performance.now();
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, "load.ts"), file], {
      timeout: load.warmupMs + load.measureMs + 60_000,
    });
    const seconds = (performance.now() - begin) / 1000;
    const serverCpu = Object.entries(ticks(processes())).map(
      ([name, now]) => [name, Math.max(0, now - (before[name] ?? 0)) / ticksPerSecond / seconds] as const,
    );
    return { ...(JSON.parse(stdout) as LoadResult), serverCpu: Object.fromEntries(serverCpu) };
  } finally {
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
