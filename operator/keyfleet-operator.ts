import dotI from "@dot-i/k8s-operator";
import { LeaderWork, passCeilingMs } from "./leader-work.ts";
import { pause } from "./ports/clock.ts";
import { connect } from "./ports/connect.ts";
import type { Clock, Log, Reconcile } from "./ports/types.ts";
import { serveHealth } from "./runtime/health-server.ts";
import { Leadership, type Term } from "./runtime/leadership.ts";
import { type Metrics, operatorMetrics } from "./runtime/metrics.ts";
import type { Settings } from "./settings.ts";

/** Deadline of a call about leading: long enough for a slow server, and a second one still fits into a term. */
const leaderCallMs = 4_000;
/** Passes under way get so long to end before the operator stops; what takes longer keeps others waiting for its Lease. */
const handOverMs = 3_000;

export interface KeyfleetOperatorOptions {
  readonly settings: Settings;
  readonly reconcile: Reconcile;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The process of an operator: of a site's replicas one leads and does everything, the others stand by and watch nothing
 * but one Lease. Its base class finds the API server and gives the life cycle (constructor, init, start, stop) and the
 * logger. Not used of it, each with its reason in docs/decisions/0003-operator-base-class.md: watchResource,
 * setResourceStatus, patchResourceStatus, handleResourceFinalizer, registerCustomResourceDefinition.
 */
export class KeyfleetOperator extends dotI.default {
  readonly #options: KeyfleetOperatorOptions;
  readonly #metrics: Metrics;
  #leadership: Leadership | undefined;
  #work: LeaderWork | undefined;
  #stopHealth = async (): Promise<void> => {};

  constructor(options: KeyfleetOperatorOptions) {
    super(options.log);
    this.#options = options;
    this.#metrics = operatorMetrics({
      leads: () => this.#leadership?.leads ?? false,
      queueDepth: () => this.#work?.queueDepth ?? 0,
      sites: () => this.#work?.sites() ?? [],
      locks: () => this.#work?.locks() ?? [],
    });
  }

  /** Called by start(): serves health and stands for leading. A site that is away does not hold it up. */
  protected override async init(): Promise<void> {
    const { settings, clock, log } = this.#options;
    const context = this.kubeConfig.getContextObject(this.kubeConfig.getCurrentContext());
    const namespace = settings.namespace ?? context?.namespace ?? "default";
    this.#leadership = new Leadership({
      api: connect({ kubeConfig: this.kubeConfig, namespace, deadlineMs: leaderCallMs }),
      identity: settings.identity,
      onBegin: (term) => this.#begin(term, namespace),
      onEnd: () => void this.#end(),
      clock,
      log,
    });
    const health = await serveHealth(settings.healthPort, {
      live: () => this.#notLive(),
      ready: () => this.#readiness(),
      registry: this.#metrics.registry,
    });
    this.#stopHealth = health.stop;
    this.#leadership.start();
    log.info("operator started", { namespace, healthPort: health.port, identity: settings.identity });
  }

  /** Ends what is under way, then frees the Lease, so that another replica leads at once. */
  override stop(): void {
    super.stop();
    void this.#handOver();
  }

  async #handOver(): Promise<void> {
    const { clock, log } = this.#options;
    this.#leadership?.stop();
    const done = new AbortController();
    const ended = this.#work?.stop().then(() => done.abort());
    if (ended !== undefined) await pause(clock, handOverMs, done.signal);
    if (ended === undefined || done.signal.aborted) await this.#leadership?.giveUp();
    await this.#stopHealth();
    log.info("operator stopped");
  }

  #begin(term: Term, namespace: string): void {
    const { settings, reconcile, clock, log } = this.#options;
    const { kubeConfig } = this;
    this.#work = new LeaderWork({
      ...{ term, settings, kubeConfig, namespace, reconcile },
      ...{ metrics: this.#metrics, clock, log },
    });
    this.#work.start();
  }

  async #end(): Promise<void> {
    const work = this.#work;
    this.#work = undefined;
    await work?.stop();
  }

  /** Who stands by is ready to lead. */
  #readiness(): { readonly ok: boolean; readonly text: string } {
    if (this.#work !== undefined) {
      if (this.#work.ready) return { ok: true, text: "leads" };
      const refused = this.#work.refusedKinds().join(", ");
      const why = refused === "" ? "this site's objects are not listed yet" : `it may not look at ${refused}`;
      return { ok: false, text: `leads; ${why}` };
    }
    const holder = this.#leadership?.holder;
    if (holder === undefined) return { ok: false, text: "the Lease of the leader has not been read yet" };
    return { ok: true, text: holder === "" ? "stands by; nobody leads" : `stands by; ${holder} leads` };
  }

  #notLive(): string | undefined {
    const longestMs = this.#work?.longestPassMs() ?? 0;
    return longestMs > 2 * passCeilingMs ? `a pass has been stuck for ${Math.round(longestMs / 1000)} s` : undefined;
  }
}
