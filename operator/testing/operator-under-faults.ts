import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { LeaderWork } from "../leader-work.ts";
import { type ConnectOptions, connect } from "../ports/connect.ts";
import type { KubernetesObject, Observed, PassPorts, PassResult } from "../ports/types.ts";
import { Leadership, type Term } from "../runtime/leadership.ts";
import { operatorMetrics } from "../runtime/metrics.ts";
import type { Settings } from "../settings.ts";
import { anObject } from "./fake-cluster.ts";
import type { FakeTransport } from "./fake-transport.ts";
import type { FaultySites } from "./faulty-sites.ts";
import { quietLog } from "./quiet-log.ts";

/** A pod with it is to be deleted. */
export const toGo = "to-go";
const leaderCallMs = 4_000;
const holdsForMs = 20_000;

/**
 * The runtime of one site's operator as operator/keyfleet-operator.ts puts it together, with a small reconcile that reads all
 * and does one write of each kind where it is due, so that its caches are of consequence.
 */
export class OperatorUnderFaults {
  readonly site: string;
  readonly log = quietLog();
  readonly #sites: FaultySites;
  readonly #kubeConfig: KubeConfig;
  readonly #leadership: Leadership;
  readonly #metrics = operatorMetrics({ leads: () => true, queueDepth: () => 0, sites: () => [], locks: () => [] });
  readonly #transports: FakeTransport[] = [];
  work: LeaderWork | undefined;
  /** What the last pass was given, and how many there were. */
  ports: PassPorts | undefined;
  passes = 0;
  /** It shall take the fleet lock once and give it back. */
  wantsLock = false;
  #heldSinceMs = 0;

  constructor(site: string, sites: FaultySites) {
    this.site = site;
    this.#sites = sites;
    this.#kubeConfig = sites.kubeConfig(site);
    const { clock } = sites;
    this.#leadership = new Leadership({
      api: this.#connect({ kubeConfig: this.#kubeConfig, namespace: "keyfleet", deadlineMs: leaderCallMs }),
      ...{ identity: `operator-${site}`, onBegin: (term) => this.#begin(term), onEnd: () => void this.#end() },
      ...{ clock, log: this.log },
    });
  }

  start(): void {
    this.#leadership.start();
  }

  /** As KeyfleetOperator.stop. */
  async stop(): Promise<void> {
    this.#leadership.stop();
    await this.work?.stop();
  }

  /** Calls and streams that have not ended. */
  get open(): number {
    return this.#transports.reduce((sum, { open }) => sum + open, 0);
  }

  get transports(): readonly FakeTransport[] {
    return this.#transports;
  }

  #begin(term: Term): void {
    const { clock } = this.#sites;
    const settings = { site: this.site, nodeImage: { repository: "x", pullPolicy: "Never" } } as unknown as Settings;
    this.work = new LeaderWork({
      ...{ term, settings, kubeConfig: this.#kubeConfig, namespace: "keyfleet", metrics: this.#metrics, clock },
      ...{ log: this.log, connect: (options) => this.#connect(options), reconcile: (_, ports) => this.#pass(ports) },
    });
    this.work.start();
  }

  async #end(): Promise<void> {
    const { work } = this;
    this.work = undefined;
    this.ports = undefined;
    await work?.stop();
  }

  #connect(options: ConnectOptions) {
    const transport = this.#sites.transport(this.site, options.kubeConfig);
    this.#transports.push(transport);
    return connect({ ...options, transport });
  }

  async #pass(ports: PassPorts): Promise<PassResult> {
    const observed = await ports.observe();
    if (observed === undefined) return { outcome: "gone" };
    this.ports = ports;
    await write(observed, ports);
    const waits = await this.#lock(observed, ports);
    this.passes++;
    return waits ? { outcome: "waiting", requeueAfterMs: 1_000 } : { outcome: "settled" };
  }

  /** Holds it for longer than it lasts unless it is renewed. */
  async #lock({ lock: seen }: Observed, { lock, clock }: PassPorts): Promise<boolean> {
    const now = clock.monotonicMs();
    if (!seen.heldByMe) {
      this.#heldSinceMs = now;
      if (this.wantsLock) await lock.take({ operation: "Join", node: `${this.site}-a` });
    } else if (now - this.#heldSinceMs >= holdsForMs) {
      this.wantsLock = false;
      await lock.release();
    }
    return this.wantsLock;
  }
}

async function write({ site, cluster, objects }: Observed, { api }: PassPorts): Promise<void> {
  const service = wantedService(site, cluster.spec.version);
  const found = objects.find(({ kind, metadata }) => kind === "Service" && metadata.name === service.metadata.name);
  if ((found?.spec as { version?: string } | undefined)?.version !== cluster.spec.version) await api.apply(service);
  for (const pod of objects)
    if (pod.metadata.labels?.[toGo] && pod.metadata.deletionTimestamp === undefined) await api.remove(pod);
  const status = { ...cluster.status, message: `at ${cluster.spec.version}` };
  await api.writeStatus({ ...(cluster as unknown as KubernetesObject), status });
}

/** What the operator makes for a version. */
export function wantedService(site: string, version: string): KubernetesObject {
  return anObject("Service", `bank-${site}`, {
    metadata: { labels: { "keyfleet.io/cluster": "bank" } },
    spec: { version },
  });
}
