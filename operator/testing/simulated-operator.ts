import { observe } from "../observe/observe.ts";
import { decideSpec, specAnnotations } from "../observe/spec-agreement.ts";
import type {
  Clock,
  KmsCluster,
  KmsNode,
  KubernetesObject,
  Log,
  PassPorts,
  PassResult,
  SiteApi,
  SiteView,
} from "../ports/types.ts";
import { reconcile } from "../reconcile.ts";
import { LeaseFleetLock } from "../runtime/fleet-lock.ts";
import { inCache } from "./in-cache.ts";
import { pick } from "./random.ts";
import { nodeImage } from "./simulated-node.ts";
import { Crash, type SimulatedSite } from "./simulated-site.ts";
import { SimulatedWatch } from "./simulated-watch.ts";

/** What an informer may lag behind; far below the lease, as in reality. */
const mostStaleMs = 3_000;
/** On which machine of its site an operator runs after each restart: often on the one before. */
const machines = [0, 0, 1, 0, 2, 2] as const;
/** By so much the clock of a machine that never jumps is ahead of that of the one before it. */
const bootsApartMs = 20 * 60_000;
const quiet = () => {};
export const quietLog: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

/** What a site looked like at some moment. */
interface Snapshot {
  readonly atMs: number;
  readonly revision: number;
  readonly nodes: readonly KmsNode[];
  readonly cluster: KmsCluster;
}

/** What an operator of the simulation needs of the world. */
export interface OperatorWorld {
  readonly sites: readonly SimulatedSite[];
  readonly random: () => number;
  readonly clock: Clock;
  readonly linked: (a: SimulatedSite, b: SimulatedSite) => boolean;
}

/** The operator process of one site: the real observation, plan, action, status and lock over simulated API servers. */
export class SimulatedOperator {
  readonly site: SimulatedSite;
  readonly #world: OperatorWorld;
  readonly #seen = new Map<string, Snapshot[]>();
  readonly watch = new SimulatedWatch();
  /** The clock of the process. */
  #clock: Clock;
  #lock: LeaseFleetLock;
  #instance = 0;

  constructor(site: SimulatedSite, world: OperatorWorld) {
    this.site = site;
    this.#world = world;
    this.#clock = this.#newClock();
    this.#lock = this.#newLock();
  }

  /** Name of the process, as the Leases have it. */
  get instance(): string {
    return `process-${this.#instance}`;
  }

  /** A new process: what the old one held lapses, what it had seen of sites that are away is forgotten. */
  restart(): void {
    this.#lock.stop();
    this.#instance += 1;
    this.#seen.clear();
    this.watch.relist();
    this.#clock = this.#newClock();
    this.#lock = this.#newLock();
    this.site.crashAfterWrites = Number.POSITIVE_INFINITY;
  }

  /** Looks at the other sites, as its watches do. */
  look(): void {
    const now = this.#world.clock.monotonicMs();
    for (const other of this.#world.sites) {
      if (!this.#world.linked(this.site, other)) continue;
      const known = this.#seen.get(other.name) ?? [];
      if (known.at(-1)?.revision === other.revision) continue;
      const snapshot = {
        atMs: now,
        revision: other.revision,
        nodes: [...other.nodes.values()],
        cluster: other.cluster,
      };
      const current = known.filter(({ atMs }, at) => at === known.length - 1 || atMs >= now - mostStaleMs);
      this.#seen.set(other.name, [...current, snapshot]);
    }
  }

  /** One pass, which may crash in the middle; undefined then. `meanwhile` happens after it has looked and before it acts. */
  async pass(meanwhile = async () => {}): Promise<PassResult | undefined> {
    try {
      this.#distributeSpec();
      await this.#lock.prepare();
      return await reconcile("bank", this.#ports(meanwhile));
    } catch (error) {
      if (!(error instanceof Crash) && !String(error).includes("was killed")) throw error;
      this.restart();
      return undefined;
    }
  }

  #distributeSpec(): void {
    const { site } = this;
    const peers = this.#world.sites.filter((other) => other !== site).map((other) => this.#viewOf(other));
    const decision = decideSpec({ site: site.name, local: site.cluster, sites: peers });
    if (decision.kind === "keep") return;
    const { metadata, spec } = site.cluster;
    const next = decision.kind === "adopt" ? decision.spec : spec;
    const changes = JSON.stringify(next) !== JSON.stringify(spec);
    const generation = (metadata.generation ?? 0) + (changes ? 1 : 0);
    const marks = { [specAnnotations.version]: decision.version, [specAnnotations.generation]: String(generation) };
    const annotations = { ...metadata.annotations, ...marks };
    site.writeCluster({ ...site.cluster, metadata: { ...metadata, generation, annotations }, spec: next });
  }

  #ports(meanwhile: () => Promise<void>): PassPorts {
    const { sites } = this.#world;
    const clock = this.#clock;
    return {
      observe: async () => {
        const observed = await observe({
          site: this.site.name,
          clock,
          views: (wanted) =>
            sites
              .filter((other) => other === this.site || wanted.includes(other.name))
              .map((other) => this.#viewOf(other)),
          objects: () => this.watch.objects(this.site, [...this.site.objects.values()]).map(inCache),
          references: async () => references,
          lock: () => this.#lock.refresh(),
        });
        await meanwhile();
        return observed;
      },
      api: this.#api(),
      lock: this.#lock,
      log: quietLog,
      clock,
      nodeImage,
      signal: new AbortController().signal,
    };
  }

  #api(): SiteApi {
    const api = this.site.api();
    const known = ({ kind, metadata }: KubernetesObject) => this.watch.wrote(this.site, kind, metadata.name);
    return {
      ...api,
      apply: async (object) => {
        known(object);
        return await api.apply(object);
      },
      remove: async (object) => {
        known(object);
        await api.remove(object);
      },
      removeAsSeen: async (object, others) => {
        const removed = await api.removeAsSeen(object, others);
        for (const one of [object, ...others]) known(one);
        return removed;
      },
    };
  }

  /** Another site is seen as it was at some moment of the last seconds; one that is away as it was last. */
  #viewOf(other: SimulatedSite): SiteView {
    const { name } = other;
    if (other === this.site)
      return {
        ...{ name, local: true, reachable: true, ageMs: 0, problem: undefined },
        ...{ cluster: other.cluster, nodes: this.watch.nodes(other, [...other.nodes.values()]) },
      };
    const known = this.#seen.get(name) ?? [];
    const reachable = this.#world.linked(this.site, other) && known.length > 0;
    const recent = known.filter(
      ({ atMs }, at) => at === known.length - 1 || atMs >= this.#world.clock.monotonicMs() - mostStaleMs,
    );
    const view = reachable ? pick(this.#world.random, recent) : known.at(-1);
    return {
      ...{ name, local: false, reachable },
      ageMs: reachable ? 0 : view === undefined ? undefined : 5_000,
      problem: reachable ? undefined : "cut",
      cluster: view?.cluster,
      nodes: this.watch.nodes(other, view?.nodes ?? []),
    };
  }

  /** Tells the time of day of its machine, whose other clock began anywhere, as that of the process did. */
  #newClock(): Clock {
    const { clock } = this.#world;
    const machine = machines[this.#instance % machines.length] ?? 0;
    return {
      nowMs: () => clock.nowMs() + this.site.clockOffsetMs,
      monotonicMs: () => clock.monotonicMs() + this.#instance * 1_000,
      sinceBoot: () => ({ boot: `boot-${machine}`, ms: clock.monotonicMs() + machine * bootsApartMs }),
      after: (delayMs, run) => clock.after(delayMs, run),
    };
  }

  #newLock(): LeaseFleetLock {
    return new LeaseFleetLock({
      cluster: "bank",
      self: { site: this.site.name, instance: this.instance },
      counting: () => {
        const { sites, recovery } = this.site.cluster.spec;
        return sites.map(({ name }) => name).filter((name) => !recovery?.lostSites?.includes(name));
      },
      api: (name) => {
        const other = this.#world.sites.find((site) => site.name === name);
        const connected = () => other !== undefined && this.#world.linked(this.site, other);
        return connected() ? other?.leases.api(connected) : undefined;
      },
      onLost: quiet,
      clock: this.#clock,
      log: quietLog,
    });
  }
}

const pem = "-----BEGIN CERTIFICATE-----\nQ0xJRU5UUw==\n-----END CERTIFICATE-----\n";
const references = new Map([
  ["Secret/hsm-pin", { present: true, keys: ["pin"] }],
  ["ConfigMap/bank-clients", { present: true, keys: ["ca.crt"], data: { "ca.crt": pem } }],
]);
