import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { FakeCluster } from "../../operator/testing/fake-cluster.ts";
import type { Simulation } from "../../operator/testing/simulation.ts";
import { serveApi } from "./api-server.ts";
import { addFleet, addPeer, newest } from "./fleets.ts";

const own = "dc1";
/** Looks, half a second apart, in which nothing was written: all is settled. Time says nothing on a machine that halts. */
const calmLooks = 30;
const patienceMs = 15 * 60_000;

/** In bytes, after a collection. */
export interface Memory {
  readonly heapUsed: number;
  /** Of the process alone: without the pages of files, which the kernel takes back when it needs them (smaps_rollup). */
  readonly own: number;
  readonly resident: number;
}

/** What one operator holds, alone in its process, once it has settled that many fleets. */
export async function memoryOf(fleet: Simulation, fleets: number): Promise<Memory> {
  const folder = await mkdtemp(join(tmpdir(), "keyfleet-bench-"));
  const sites = new Map(fleet.sites.map(({ name }) => [name, new FakeCluster(name)]));
  const served = await serveApi(sites, folder);
  try {
    for (let at = 0; at < fleets; at++) await addFleet(sites, fleet, { at: String(at), own: [own] });
    for (const peer of sites.keys()) if (peer !== own) addPeer(sites.get(own), peer, served.kubeconfig(peer));
    await writeFile(join(folder, "kubeconfig"), served.kubeconfig(own));
    return await measured(folder, sites.get(own) as FakeCluster);
  } finally {
    served.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** As the chart runs it (helm/templates/deployment.yaml). */
const asInChart = {
  flags: ["--max-semi-space-size=1", "--optimize-for-size", "--no-opt"],
  env: { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "8192", MALLOC_TRIM_THRESHOLD_: "131072" },
} as const;

const rooms = join(import.meta.dirname, "../../operator");
const report = `--import=${join(import.meta.dirname, "memory-report.ts")}`;

/** As the image's build fills it: nothing is compiled or stripped of types while it runs, the report included. */
function compiled(folder: string): string {
  const cache = join(folder, "compiled");
  const path = [dirname(process.execPath), process.env.PATH].join(delimiter);
  const env = { ...process.env, PATH: path, NODE_COMPILE_CACHE: cache, NODE_OPTIONS: report };
  execFileSync(join(rooms, "compile.sh"), { env, stdio: "ignore" });
  return cache;
}

/** The program itself, with a collection and a report on demand. */
async function measured(folder: string, api: FakeCluster): Promise<Memory> {
  const flags = ["--site", own, "--namespace", own, "--health-port", "0", "--log-level", "error"];
  const image = ["--node-image", "localhost/keyfleet-node", "--node-image-pull-policy", "Never"];
  const child = fork(join(rooms, "main.ts"), [...flags, ...image], {
    env: {
      ...process.env,
      KUBECONFIG: join(folder, "kubeconfig"),
      NODE_COMPILE_CACHE: compiled(folder),
      ...asInChart.env,
    },
    execArgv: [...asInChart.flags, report],
  });
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`the operator ended with ${code}`);
  });
  ended.catch(() => {});
  try {
    await Promise.race([ended, settled(api)]);
    child.send("report");
    const [{ heapUsed, rss }] = (await Promise.race([ended, once(child, "message")])) as [NodeJS.MemoryUsage];
    const [, kib] = /^Anonymous: +(\d+) kB$/m.exec(await readFile(`/proc/${child.pid}/smaps_rollup`, "utf8")) ?? [];
    return { heapUsed, own: Number(kib) * 1024, resident: rss };
  } finally {
    if (child.connected) child.disconnect();
    child.kill("SIGTERM");
    // It writes to the folder until it has ended.
    await ended.catch(() => {});
  }
}

/** Until nothing but Leases is written any more; StatefulSets are looked at meanwhile, as their controller does. */
async function settled(api: FakeCluster): Promise<void> {
  const beganMs = performance.now();
  const writes = () => api.writes.filter((what) => !what.includes("Lease")).length;
  for (let [last, calm] = [0, 0]; performance.now() - beganMs < patienceMs; await delay(500)) {
    await look(api);
    calm = writes() === last ? calm + 1 : 0;
    last = writes();
    if (last > 0 && calm >= calmLooks) return;
  }
  throw new Error("the operator does not come to rest");
}

/** What the controller of StatefulSets says once it has looked. */
export async function look(api: FakeCluster): Promise<void> {
  for (const set of (await api.list("StatefulSet")).items) {
    const { observedGeneration } = (set.status ?? {}) as { observedGeneration?: number };
    const { generation } = set.metadata;
    if (observedGeneration !== generation) api.put({ ...set, status: { ...newest, observedGeneration: generation } });
  }
}
