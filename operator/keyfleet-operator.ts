import { randomUUID } from "node:crypto";
import dotI from "@dot-i/k8s-operator";
import { Fleet } from "./fleet.ts";
import { connect } from "./ports/connect.ts";
import type { KubernetesApi } from "./ports/kubernetes-api.ts";
import type { Clock, Log, Reconcile } from "./ports/types.ts";
import { serveHealth } from "./runtime/health-server.ts";
import { LocalObjects } from "./runtime/local-objects.ts";
import { type Metrics, operatorMetrics } from "./runtime/metrics.ts";
import { Sites } from "./runtime/sites.ts";
import { type Handled, WorkQueue } from "./runtime/work-queue.ts";
import type { Settings } from "./settings.ts";

/** Fleets that are worked on at the same time. */
const workers = 4;
const passCeilingMs = 30_000;
/** Every fleet is looked at so often even when nothing is heard: what was missed heals. */
const resyncMs = 60_000;
const notReadyRetryMs = 250;

export interface KeyfleetOperatorOptions {
  readonly settings: Settings;
  readonly reconcile: Reconcile;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The process of one site's operator. Its base class finds the API server and gives the life cycle (constructor, init,
 * start, stop) and the logger. Not used of it, each with its reason in docs/decisions/0003-operator-base-class.md:
 * watchResource, setResourceStatus, patchResourceStatus, handleResourceFinalizer, registerCustomResourceDefinition.
 */
export class KeyfleetOperator extends dotI.default {
  readonly #options: KeyfleetOperatorOptions;
  readonly #instance = randomUUID();
  readonly #fleets = new Map<string, Fleet>();
  readonly #queue: WorkQueue;
  readonly #metrics: Metrics;
  #sites: Sites | undefined;
  #objects: LocalObjects | undefined;
  #stopHealth = async (): Promise<void> => {};

  constructor(options: KeyfleetOperatorOptions) {
    super(options.log);
    this.#options = options;
    const { clock, log } = options;
    const handle = (cluster: string, signal: AbortSignal) => this.#pass(cluster, signal);
    this.#queue = new WorkQueue({ handle, clock, log, workers, passCeilingMs });
    this.#metrics = operatorMetrics({
      queueDepth: () => this.#queue.depth,
      sites: () => this.#siteMetrics(),
      locks: () => [...this.#fleets].map(([cluster, fleet]) => ({ cluster, held: fleet.lock.isHeld() })),
    });
  }

  /** Called by start(): connects, watches, serves health. A site that is away does not hold it up. */
  protected override async init(): Promise<void> {
    const { settings, clock, log } = this.#options;
    const context = this.kubeConfig.getContextObject(this.kubeConfig.getCurrentContext());
    const namespace = settings.namespace ?? context?.namespace ?? "default";
    const localApi = this.#connect(settings.site, this.kubeConfig, namespace);
    const onChange = (cluster: string) => this.#queue.add(cluster);
    this.#objects = new LocalObjects({ api: localApi, onChange, clock, log });
    this.#sites = new Sites({
      site: settings.site,
      localApi,
      connect: (name, peer) => this.#connect(name, peer.kubeConfig, peer.namespace ?? namespace),
      onChange,
      onReachability: (site) => this.#reachabilityChanged(site),
      clock,
      log,
    });
    const health = await serveHealth(settings.healthPort, {
      live: () => this.#notLive(),
      ready: () => (this.#ready() ? undefined : "this site's objects are not listed yet"),
      registry: this.#metrics.registry,
    });
    this.#stopHealth = health.stop;
    this.#objects.start();
    this.#sites.start();
    log.info("operator started", { namespace, healthPort: health.port, instance: this.#instance });
  }

  /** Stops watching and working; locks lapse by themselves, so that nobody works on behind a half-done step. */
  override stop(): void {
    super.stop();
    this.#queue.stop();
    for (const fleet of this.#fleets.values()) fleet.stop();
    this.#sites?.stop();
    this.#objects?.stop();
    void this.#stopHealth();
    this.#options.log.info("operator stopped");
  }

  #connect(site: string, kubeConfig: typeof this.kubeConfig, namespace: string): KubernetesApi {
    const observeCall = ({ verb, code }: { verb: string; code: string }) =>
      this.#metrics.apiCalls.inc({ site, verb, code });
    return connect({ kubeConfig, namespace, observeCall });
  }

  #ready(): boolean {
    return this.#sites?.ready === true && this.#objects?.ready === true;
  }

  #notLive(): string | undefined {
    const longestMs = this.#queue.longestRunningMs();
    return longestMs > 2 * passCeilingMs ? `a pass has been stuck for ${Math.round(longestMs / 1000)} s` : undefined;
  }

  #reachabilityChanged(site: string): void {
    if (site === this.#options.settings.site && this.#sites?.local.reachable === true) this.#objects?.restart();
    for (const cluster of this.#knownFleets()) this.#queue.add(cluster);
  }

  #knownFleets(): ReadonlySet<string> {
    return new Set([...(this.#sites?.clusterNames() ?? []), ...this.#fleets.keys()]);
  }

  async #pass(cluster: string, signal: AbortSignal): Promise<Handled> {
    if (!this.#ready()) return { requeueAfterMs: notReadyRetryMs };
    const endTimer = this.#metrics.passSeconds.startTimer({ cluster });
    let outcome = "failed";
    try {
      const result = await this.#fleet(cluster).pass(signal);
      outcome = result.outcome;
      if (outcome === "gone" && !this.#sites?.clusterNames().has(cluster)) return this.#forget(cluster);
      return { requeueAfterMs: Math.min(result.requeueAfterMs ?? resyncMs, resyncMs) };
    } finally {
      endTimer();
      this.#metrics.passes.inc({ cluster, outcome });
    }
  }

  #fleet(cluster: string): Fleet {
    const known = this.#fleets.get(cluster);
    if (known !== undefined) return known;
    const { settings, reconcile, clock, log } = this.#options;
    const fleet = new Fleet({
      cluster,
      self: { site: settings.site, instance: this.#instance },
      sites: this.#sites as Sites,
      objects: this.#objects as LocalObjects,
      nodeImage: settings.nodeImage,
      reconcile,
      requeue: () => this.#queue.add(cluster),
      countEvent: (reason) => this.#metrics.events.inc({ reason }),
      clock,
      log,
    });
    this.#fleets.set(cluster, fleet);
    return fleet;
  }

  #forget(cluster: string): Handled {
    this.#fleets.get(cluster)?.stop();
    this.#fleets.delete(cluster);
    this.#queue.forget(cluster);
    return {};
  }

  #siteMetrics() {
    const sites = this.#sites;
    return (sites?.names() ?? []).map((site) => ({
      site,
      reachable: sites?.get(site)?.reachable ?? false,
      ageMs: sites?.get(site)?.ageMs(),
      expiresAtMs: sites?.expiresAtMs(site),
    }));
  }
}
