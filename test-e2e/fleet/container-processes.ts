import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { namespace, type Place } from "./places.ts";

/** A process of a container, as this machine numbers it. */
export interface ContainerProcess {
  readonly pid: number;
  readonly command: string;
}

/** A container of a pod of a site. */
export interface ContainerName {
  readonly site: string;
  readonly pod: string;
  readonly container: string;
}

/** The processes of one container of a node of the local sites, its first one first. */
export function containerProcesses(place: Place, pod: string, container: string): Promise<ContainerProcess[]> {
  return processesIn(place, { site: siteOf(place, pod), pod, container });
}

/**
 * The processes of a container of a local site, its first one first. They are found by the container's identifier, which
 * is the name of its cgroup: from inside, a container's first process cannot be killed at once.
 */
export async function processesIn(place: Place, { site, pod, container }: ContainerName): Promise<ContainerProcess[]> {
  const template = `jsonpath={.status['initContainerStatuses','containerStatuses'][?(@.name=="${container}")].containerID}`;
  const { stdout } = await place.sites.kubectl(site, ["-n", namespace, "get", "pod", pod, "-o", template]);
  const id = stdout.trim().replace("containerd://", "");
  if (id === "") return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && read(name, "cgroup").includes(id))
    .map((name) => ({ pid: Number(name), command: read(name, "cmdline").replaceAll("\0", " ").trim() }))
    .sort((a, b) => a.pid - b.pid);
}

/** kill -9; a process that ended by itself meanwhile is what was wanted. */
export function killAtOnce(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function siteOf(place: Place, pod: string): string {
  const site = place.sites.names.find((name) => pod.startsWith(`${name}-`));
  if (site === undefined) throw new Error(`the pod ${pod} is in none of ${place.sites.names.join(", ")}`);
  return site;
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(join("/proc", pid, file), "utf8");
  } catch {
    return ""; // ended meanwhile
  }
}
