import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../operator/ports/clock.ts";
import type { Clock } from "../../operator/ports/types.ts";
import { reconcile } from "../../operator/reconcile.ts";
import { FakeCluster } from "../../operator/testing/fake-cluster.ts";
import { quietLog } from "../../operator/testing/simulated-operator.ts";
import type { Simulation } from "../../operator/testing/simulation.ts";
import { type ServedApi, serveApi } from "./api-server.ts";
import { addFleet, addPeer } from "./fleets.ts";
import { type Relay, relayTo } from "./relay.ts";

/** Whole operators, as they are but for their process, over HTTPS with API servers in memory that hold one fleet. */
export interface Running {
  /** Name of the KmsCluster. */
  readonly cluster: string;
  readonly apis: ReadonlyMap<string, FakeCluster>;
  readonly served: ServedApi;
  /** The way of all operators to the API server of a site that is not theirs. */
  readonly relays: ReadonlyMap<string, Relay>;
  api(site: string): FakeCluster;
  stop(): Promise<void>;
}

export interface RunningOptions {
  readonly fleet: Simulation;
  /** Sites whose operators run. */
  readonly own: readonly string[];
  readonly clock?: Clock;
}

/** Starts them; their first pass is under way when it resolves. */
export async function runOperators({ fleet, own, clock = systemClock }: RunningOptions): Promise<Running> {
  // Loaded when it is asked for: the library is what the memory of this process is then.
  const { KeyfleetOperator } = await import("../../operator/keyfleet-operator.ts");
  const folder = await mkdtemp(join(tmpdir(), "keyfleet-bench-"));
  const apis = new Map(fleet.sites.map(({ name }) => [name, new FakeCluster(name)]));
  const api = (site: string) => apis.get(site) as FakeCluster;
  const served = await serveApi(apis, folder, clock);
  const relays = new Map<string, Relay>();
  for (const site of apis.keys()) relays.set(site, await relayTo(served.port));
  const cluster = await addFleet(apis, fleet, { at: "0", own });
  const operators: InstanceType<typeof KeyfleetOperator>[] = [];
  for (const site of own) {
    for (const [peer, { port }] of relays) if (peer !== site) addPeer(api(site), peer, served.kubeconfig(peer, port));
    process.env.KUBECONFIG = join(folder, `kubeconfig-${site}`);
    await writeFile(process.env.KUBECONFIG, served.kubeconfig(site));
    const nodeImage = { repository: "localhost/keyfleet-node", pullPolicy: "Never" } as const;
    const settings = { site, namespace: site, identity: site, healthPort: 0, logLevel: "error", nodeImage } as const;
    const operator = new KeyfleetOperator({ settings, reconcile, clock, log: quietLog });
    operators.push(operator);
    await operator.start();
  }
  const stop = async () => {
    for (const operator of operators) operator.stop();
    for (const relay of relays.values()) relay.stop();
    served.stop();
    await rm(folder, { recursive: true, force: true });
  };
  return { cluster, apis, served, relays, api, stop };
}

/** Writes so far, Leases aside. */
export function writesOf(api: FakeCluster): number {
  return api.writes.filter((what) => !what.includes("Lease")).length;
}
