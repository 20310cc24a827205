import { execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { makeSiteCa } from "../../operator/act/site-ca.ts";
import type { KmsCluster, KmsNode, KubernetesObject } from "../../operator/ports/types.ts";
import { aCluster } from "../../operator/testing/builders.ts";
import { requestsFor } from "../../operator/testing/certificate-requests.ts";
import { anObject, FakeCluster } from "../../operator/testing/fake-cluster.ts";
import type { Simulation } from "../../operator/testing/simulation.ts";
import { serveApi } from "./api-server.ts";

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
    for (let at = 0; at < fleets; at++) await addFleet(sites, fleet, String(at));
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
  flags: ["--max-semi-space-size=1", "--optimize-for-size"],
  env: { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "131072", MALLOC_TRIM_THRESHOLD_: "131072" },
} as const;

const program = join(import.meta.dirname, "../../operator/main.ts");
const report = ["--import", join(import.meta.dirname, "memory-report.ts")];

/** As operator/compile.sh fills it while the image is built: nothing is compiled or stripped of types while it runs. */
function compiled(folder: string): string {
  const cache = join(folder, "compiled");
  const env = { ...process.env, NODE_COMPILE_CACHE: cache };
  execFileSync(process.execPath, ["--optimize-for-size", ...report, program, "--help"], { env, stdio: "ignore" });
  return cache;
}

/** The program itself, with a collection and a report on demand. */
async function measured(folder: string, api: FakeCluster): Promise<Memory> {
  const flags = ["--site", own, "--namespace", own, "--health-port", "0", "--log-level", "error"];
  const image = ["--node-image", "localhost/keyfleet-node", "--node-image-pull-policy", "Never"];
  const child = fork(program, [...flags, ...image], {
    env: {
      ...process.env,
      KUBECONFIG: join(folder, "kubeconfig"),
      NODE_COMPILE_CACHE: compiled(folder),
      ...asInChart.env,
    },
    execArgv: [...asInChart.flags, ...report],
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

async function look(api: FakeCluster): Promise<void> {
  for (const set of (await api.list("StatefulSet")).items) {
    const { observedGeneration } = (set.status ?? {}) as { observedGeneration?: number };
    const { generation } = set.metadata;
    if (observedGeneration !== generation) api.put({ ...set, status: { ...newest, observedGeneration: generation } });
  }
}
const newest = { updateRevision: "newest" };

function addPeer(api: FakeCluster | undefined, site: string, kubeconfig: string): void {
  const metadata = { labels: { "keyfleet.io/site": site } };
  const data = { kubeconfig: Buffer.from(kubeconfig).toString("base64") };
  api?.put(anObject("Secret", `peer-${site}`, { metadata, data }));
}

/** The same fleet once more under names of its own: what its site has of it, and what others show of it. */
async function addFleet(sites: ReadonlyMap<string, FakeCluster>, fleet: Simulation, at: string): Promise<void> {
  const name = `bank-${at}`;
  const renamed = <T>(value: T): T =>
    JSON.parse(
      JSON.stringify(value)
        .replace(/\bdc(\d)-([a-h])\b/g, `dc$1-$2-${at}`)
        .replace(/\bbank\b/g, name),
    );
  const cas = new Map<string, Awaited<ReturnType<typeof makeSiteCa>>>();
  for (const { name: site } of fleet.sites) cas.set(site, await makeSiteCa({ cluster: name, site }, Date.now()));
  for (const site of fleet.sites) {
    const api = sites.get(site.name) as FakeCluster;
    const nodes = [...site.nodes.values()].map(renamed);
    api.put(withCa(renamed(site.cluster), site.name, cas.get(site.name)?.certificate ?? ""));
    for (const node of site.name === own ? withRequests(name, nodes) : nodes) api.put(node as never);
    if (site.name === own)
      for (const object of [...site.objects.values()].map(renamed)) api.put(labelled(object, name));
  }
  const ca = cas.get(own);
  const data = { "tls.crt": encoded(ca?.certificate), "ca.key": encoded(ca?.key) };
  const api = sites.get(own) as FakeCluster;
  const labels = { "keyfleet.io/cluster": name };
  api.put(anObject("Secret", `keyfleet-${name}-ca`, { metadata: { labels }, type: "Opaque", data }));
  api.put(anObject("Secret", "hsm-pin", { data: { pin: encoded("0000") } }));
  api.put(anObject("ConfigMap", `${name}-clients`, { data: { "ca.crt": ca?.certificate } }));
}

function withCa(cluster: KmsCluster, site: string, caCertificate: string): KubernetesObject {
  const { finalizers: _none, ...metadata } = cluster.metadata as KubernetesObject["metadata"];
  const siteStatus = [{ name: site, reachable: true, caCertificate }];
  return { ...cluster, metadata, status: { ...cluster.status, siteStatus } } as unknown as KubernetesObject;
}

/** Nodes that ask for a certificate in their own names. */
function withRequests(cluster: string, nodes: readonly KmsNode[]): KmsNode[] {
  const asking = aCluster((one) => {
    one.metadata.name = cluster;
    one.spec.sites = [
      { name: own, environment: "OnPremises", nodes: nodes.map(({ metadata }) => ({ name: metadata.name })) },
    ];
  });
  const requests = requestsFor(asking);
  return nodes.map((node) => {
    const certificateRequest = requests.get(node.metadata.name) ?? "";
    return { ...node, status: { ...node.status, certificateRequest } } as KmsNode;
  });
}

/** Revisions are digests in a real one, and pods have the labels of their StatefulSet. */
function labelled(object: KubernetesObject, cluster: string): KubernetesObject {
  const labels = { ...object.metadata.labels, "keyfleet.io/cluster": cluster };
  const isPod = object.kind === "Pod";
  const metadata = { ...object.metadata, labels: isPod ? { ...labels, "controller-revision-hash": "newest" } : labels };
  return { ...object, metadata, ...(object.kind === "StatefulSet" && { status: newest }) };
}

function encoded(value: string | Buffer | undefined): string {
  return Buffer.from(value ?? "").toString("base64");
}
