import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { namespace, type Place } from "./places.ts";

/** A secret that must be nowhere, under a name that may be said. */
export interface Secret {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Kinds that are no Secrets and that people, operators and backups see. */
const publicKinds = "kmscluster,kmsnode,pod,event,configmap,lease,service,statefulset,deployment,persistentvolumeclaim";

/** Where a secret was found, in any writing: as it is, hexadecimal, or base64. */
export function foundIn(name: string, text: Buffer, secrets: readonly Secret[]): string[] {
  const lower = Buffer.from(text.toString("latin1").toLowerCase(), "latin1");
  return secrets.flatMap(({ name: secret, bytes }) => {
    const writings = [bytes, bytes.toString("base64").replace(/=+$/, ""), bytes.toString("base64url")];
    const seen = writings.some((writing) => text.includes(writing)) || lower.includes(bytes.toString("hex"));
    return seen ? [`${secret} in ${name}`] : [];
  });
}

/** All public objects of a site as its API gives them. */
export async function publicObjects(place: Place, site: string): Promise<Buffer> {
  const words = ["-n", namespace, "get", publicKinds, "-o", "json"];
  return Buffer.from((await place.sites.kubectl(site, words)).stdout);
}

/** Logs of every container of a local site, also of those that ended, by path. */
export function containerLogs(place: Place, site: string): Map<string, Buffer> {
  const folder = siteFolder(place, site);
  const workers = readdirSync(folder).filter((name) => /^w\d$/.test(name));
  return new Map(workers.flatMap((worker) => filesBelow(join(folder, worker, "pod-logs/pods"))));
}

/** Everything that a local site has on its disks: databases, write-ahead logs, volumes, etcd; by path. */
export function* disksOf(place: Place, site: string): Generator<readonly [string, Buffer]> {
  for (const path of pathsBelow(siteFolder(place, site))) yield [path, contentOf(path)] as const;
}

function siteFolder(place: Place, site: string): string {
  return dirname(place.sites.kubeconfig(site));
}

function filesBelow(folder: string): (readonly [string, Buffer])[] {
  return [...pathsBelow(folder)].map((path) => [path, contentOf(path)] as const);
}

function* pathsBelow(folder: string): Generator<string> {
  for (const entry of entriesOf(folder)) {
    // Images are the same everywhere and hold nothing of this run.
    if (entry.isDirectory() && entry.name !== "containerd") yield* pathsBelow(join(folder, entry.name));
    if (entry.isFile()) yield join(folder, entry.name);
  }
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return []; // a process took it away
  }
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
