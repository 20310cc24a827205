/** Process trees that are found by their cgroup, so that nothing depends on a pid file that a crash leaves behind. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { here } from "./places.ts";

const cgroups = "/sys/fs/cgroup";
const tracking = existsSync(join(cgroups, "systemd")) ? join(cgroups, "systemd") : cgroups;
const killDeadlineMs = 10_000;

/** Starts a command that outlives this process, in a cgroup of its own; its output goes to the file `log`. */
export function launch(
  cgroup: string,
  command: readonly string[],
  log: string,
  env: Readonly<Record<string, string>> = {},
): void {
  mkdirSync(dirname(log), { recursive: true });
  const output = openSync(log, "a");
  const child = spawn("bash", [join(here, "launch.sh"), cgroup, ...command], {
    detached: true,
    stdio: ["ignore", output, output],
    // Nothing else of the caller's environment: a proxy setting, say, would reach every program of a site.
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin`, HOME: "/root", ...env },
  });
  child.on("error", (error) => console.error(`${command[0]}: ${error.message}`));
  child.unref();
  closeSync(output);
}

/** Every process in a cgroup and below. */
export function processesIn(cgroup: string): number[] {
  return folders(join(tracking, cgroup)).flatMap((folder) => {
    try {
      return readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
    } catch {
      return []; // removed meanwhile
    }
  });
}

/** Process 1 of the pid namespace that lies `depth` below ours, among the processes of a cgroup. */
export function initProcess(cgroup: string, depth = 1): number | undefined {
  return processesIn(cgroup).find((pid) => {
    const ids = statusLine(pid, "NSpid").split(/\s+/);
    return ids.length === depth + 1 && ids.at(-1) === "1";
  });
}

/** Kills a process at once and waits until it is gone. */
export async function killProcess(pid: number): Promise<void> {
  signal(pid);
  await until(
    () => statusLine(pid, "State") === "" || statusLine(pid, "State").startsWith("Z"),
    `process ${pid} to end`,
  );
}

/** Kills every process in a cgroup and below, then removes the cgroup from every hierarchy. */
export async function removeTree(cgroup: string): Promise<void> {
  await until(() => {
    const left = processesIn(cgroup);
    for (const pid of left) signal(pid);
    return left.length === 0;
  }, `the processes of ${cgroup} to end`);
  await until(() => removeFolders(cgroup), `the folders of cgroup ${cgroup} to go`);
}

/** Waits until `done` answers true; throws after 10 s. */
export async function until(
  done: () => boolean | Promise<boolean>,
  what: string,
  { deadlineMs = killDeadlineMs, everyMs = 50 } = {},
): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!(await done())) {
    if (Date.now() > end) throw new Error(`waited ${deadlineMs / 1000} s for ${what}`);
    await sleep(everyMs);
  }
}

function removeFolders(cgroup: string): boolean {
  const hierarchies = tracking === cgroups ? [cgroups] : readdirSync(cgroups).map((name) => join(cgroups, name));
  for (const folder of hierarchies.flatMap((hierarchy) => folders(join(hierarchy, cgroup)).reverse())) {
    try {
      rmdirSync(folder);
    } catch {
      return false; // the kernel is still taking the last process out
    }
  }
  return true;
}

/** The folder and all below, parents first. */
function folders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [folder, ...below.flatMap((entry) => folders(join(folder, entry.name)))];
}

function statusLine(pid: number, name: string): string {
  try {
    return new RegExp(`^${name}:\\s+(.*)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
  } catch {
    return "";
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone already
  }
}
