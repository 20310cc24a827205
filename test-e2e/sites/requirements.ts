import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { cache, here, imageLayout, siteCgroup, siteFolder, siteNames, siteNumber } from "./places.ts";

const programs = ["unshare", "nsenter", "ip", "nft", "containerd", "runc", "ctr", "chronyd", "setsid", "tar"] as const;
const maxSocketPath = 107;

/** Path of a program that build-tools.sh made. */
export function tools(name: "kubernetes" | "etcd" | "helm", program: string): string {
  const folder = join(cache, "tools");
  const version = (existsSync(folder) ? readdirSync(folder) : []).filter(
    (entry) => /^[a-z]+-v[\d.]+$/.test(entry) && entry.startsWith(`${name}-v`),
  );
  const newest = version.sort((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1);
  if (!newest) throw new Error(`${name} is not built; run: make tools`);
  return join(folder, newest, program);
}

/** Throws with what to do when something that local sites need is missing. */
export function checkRequirements(folder: string): void {
  if (process.getuid?.() !== 0) throw new Error("local sites make namespaces and cgroups: run as root");
  const missing = programs.filter((program) => !found(program));
  if (missing.length > 0) throw new Error(`these programs are missing: ${missing.join(", ")}; run: make setup`);
  for (const name of ["kubernetes", "etcd"] as const) tools(name, "");
  if (!existsSync(join(imageLayout, "index.json"))) throw new Error("the images are not built; run: make images");
  const socket = join(folder, "w1", "run", "containerd.sock.ttrpc");
  if (socket.length > maxSocketPath)
    throw new Error(`the path ${socket} is too long for a socket; set KEYFLEET_SITES_STATE to a shorter one`);
}

/** What site-init.sh reads from its environment. */
export function siteEnvironment(site: string, workers: number): Record<string, string> {
  const kubernetes = tools("kubernetes", "");
  return {
    KF_SITE: site,
    KF_NUMBER: `${siteNumber(site)}`,
    KF_NUMBERS: siteNames.map((name) => siteNumber(name)).join(" "),
    KF_WORKERS: `${workers}`,
    KF_DIR: siteFolder(site),
    KF_CGROUP: siteCgroup(site),
    KF_HERE: here,
    KF_KUBERNETES: kubernetes.replace(/\/$/, ""),
    KF_VERSION: basename(kubernetes).replace("kubernetes-", ""),
    KF_ETCD: tools("etcd", "").replace(/\/$/, ""),
    KF_NODE: process.execPath,
    KF_PAUSE: join(imageLayout, "pause"),
    KF_SEED: join(cache, "seed", "current", "containerd"),
  };
}

function found(program: string): boolean {
  try {
    execFileSync("bash", ["-c", `command -v ${program}`], {
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
    });
    return true;
  } catch {
    return false;
  }
}
