import { randomUUID } from "node:crypto";
import type { KubeConfig } from "@kubernetes/client-node";
import { Fleet } from "./fleet.ts";
import { type ConnectOptions, connect } from "./ports/connect.ts";
import type { KubernetesApi } from "./ports/kubernetes-api.ts";
import type { Clock, Log, Reconcile, Refusal } from "./ports/types.ts";
import type { Term } from "./runtime/leadership.ts";
import { LocalObjects } from "./runtime/local-objects.ts";
import { forgetFleet, type Metrics, type PassOutcome } from "./runtime/metrics.ts";
import { Sites } from "./runtime/sites.ts";
import { type Handled, WorkQueue } from "./runtime/work-queue.ts";
import type { Settings } from "./settings.ts";

/** Fleets that are worked on at the same time. */
const workers = 4;
/** A pass that takes longer is told to stop. */
export const passCeilingMs = 30_000;
/** Every fleet is looked at so often even when nothing is heard: what was missed heals. */
const resyncMs = 60_000;
const notReadyRetryMs = 250;
/** Somebody has to give a right back first. */
const refusedRetryMs = 2_000;

export interface LeaderWorkOptions {
  readonly term: Term;
  readonly settings: Settings;
  readonly kubeConfig: KubeConfig;
  readonly namespace: string;
  readonly reconcile: Reconcile;
  readonly metrics: Metrics;
  /** Makes the API of a site; the real one when absent. */
  readonly connect?: (options: ConnectOptions) => KubernetesApi;
  readonly clock: Clock;
  readonly log: Log;
}

/** All that the leading operator of a site does, from the beginning of its term to the end: it watches, and works fleets. */
export class LeaderWork {
  readonly #options: LeaderWorkOptions;
  /** Of this term: two terms of one process are two holders of a fleet lock. */
  readonly #instance = randomUUID();
  readonly #fleets = new Map<string, Fleet>();
  readonly #queue: WorkQueue;
  readonly #sites: Sites;
  readonly #objects: LocalObjects;

  constructor(options: LeaderWorkOptions) {
    this.#options = options;
    const { settings, namespace, kubeConfig, clock, log } = options;
    const handle = (cluster: string, signal: AbortSignal) => this.#pass(cluster, signal);
    this.#queue = new WorkQueue({ handle, clock, log, workers, passCeilingMs });
    const localApi = this.#connect(settings.site, kubeConfig, namespace);
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
  }

  start(): void {
    this.#objects.start();
    this.#sites.start();
  }

  /** Stops working, then watching; resolves when no pass is under way. Whoever leads next goes on with its locks. */
  async stop(): Promise<void> {
    this.#queue.stop();
    for (const fleet of this.#fleets.values()) fleet.stop();
    await this.#queue.idle();
    this.#sites.stop();
    this.#objects.stop();
  }

  /** Whether this site's objects are listed, so that it can work. */
  get ready(): boolean {
    return this.#sites.ready && this.#objects.ready;
  }

  /** Kinds of this site's objects that it may not look at. */
  refusedKinds(): readonly string[] {
    return this.#refusals().map(({ kind }) => kind);
  }

  get queueDepth(): number {
    return this.#queue.depth;
  }

  /** Milliseconds that the longest pass under way has taken. */
  longestPassMs(): number {
    return this.#queue.longestRunningMs();
  }

  /** Which fleet locks this site holds. */
  locks() {
    return [...this.#fleets].map(([cluster, fleet]) => ({ cluster, held: fleet.lock.isHeld() }));
  }

  /** What is seen of each site. */
  sites() {
    return this.#sites.names().map((site) => ({
      site,
      reachable: this.#sites.get(site)?.reachable ?? false,
      ageMs: this.#sites.get(site)?.ageMs(),
      expiresAtMs: this.#sites.expiresAtMs(site),
    }));
  }

  #refusals(): readonly Refusal[] {
    return [...this.#sites.local.refusals(), ...this.#objects.refusals()];
  }

  #connect(site: string, kubeConfig: KubeConfig, namespace: string): KubernetesApi {
    const { metrics, term } = this.#options;
    const observeCall = ({ verb, code }: { verb: string; code: string }) => metrics.apiCalls.inc({ site, verb, code });
    const toApi = this.#options.connect ?? connect;
    return toApi({ kubeConfig, namespace, observeCall, mayWriteMs: () => term.leftMs() });
  }

  #reachabilityChanged(site: string): void {
    if (site === this.#options.settings.site && this.#sites.local.reachable) this.#objects.restart();
    for (const cluster of this.#knownFleets()) this.#queue.add(cluster);
  }

  #knownFleets(): ReadonlySet<string> {
    return new Set([...this.#sites.clusterNames(), ...this.#fleets.keys()]);
  }

  async #pass(cluster: string, signal: AbortSignal): Promise<Handled> {
    if (!this.ready) {
      const refusals = this.#refusals();
      await this.#fleet(cluster).tellUnseen(refusals, signal);
      return { requeueAfterMs: refusals.length > 0 ? refusedRetryMs : notReadyRetryMs };
    }
    const { metrics } = this.#options;
    const endTimer = metrics.passSeconds.startTimer({ cluster });
    let outcome: PassOutcome = "failed";
    try {
      const result = await this.#fleet(cluster).pass(signal);
      outcome = result.outcome;
      if (outcome === "gone" && !this.#sites.clusterNames().has(cluster)) return {};
      return { requeueAfterMs: Math.min(result.requeueAfterMs ?? resyncMs, resyncMs) };
    } finally {
      endTimer();
      metrics.passes.inc({ cluster, outcome });
      if (outcome === "gone" && !this.#sites.clusterNames().has(cluster)) this.#forget(cluster);
    }
  }

  #fleet(cluster: string): Fleet {
    const known = this.#fleets.get(cluster);
    if (known !== undefined) return known;
    const { settings, reconcile, metrics, clock, log } = this.#options;
    const fleet = new Fleet({
      cluster,
      self: { site: settings.site, instance: this.#instance },
      sites: this.#sites,
      objects: this.#objects,
      nodeImage: settings.nodeImage,
      reconcile,
      requeue: () => this.#queue.add(cluster),
      countEvent: (reason) => metrics.events.inc({ reason }),
      clock,
      log,
    });
    this.#fleets.set(cluster, fleet);
    return fleet;
  }

  #forget(cluster: string): void {
    forgetFleet(this.#options.metrics, cluster);
    this.#fleets.get(cluster)?.stop();
    this.#fleets.delete(cluster);
    this.#queue.forget(cluster);
  }
}
