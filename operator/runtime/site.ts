import { pause } from "../ports/clock.ts";
import { type ApiError, isApiError, type KubernetesApi } from "../ports/kubernetes-api.ts";
import type { Clock, KmsCluster, KmsNode, Log, Refusal, SiteView } from "../ports/types.ts";
import { Informer } from "./informer.ts";
import { wrongIn } from "./peer-objects.ts";

/**
 * Loss is to be in status within 4 s: a site that falls silent right after an answer is asked again after the period,
 * and given up after the probe's deadline of 2 s, which leaves a second for the pass and a slow machine.
 */
const probePeriodMs = 1_000;

export interface SiteOptions {
  readonly name: string;
  readonly local: boolean;
  readonly api: KubernetesApi;
  /** Says in people's words why the site refuses or is silent, and what to do. */
  readonly explain: (error: ApiError) => string;
  /** A KmsCluster of that name, or one of its nodes, changed there. */
  readonly onChange: (cluster: string) => void;
  /** The site was lost or came back, or its problem is another one. */
  readonly onReachability: (site: string) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** What is seen of one site: a probe loop of its own, and the two public kinds. A silent site slows only itself. */
export class Site {
  readonly #options: SiteOptions;
  readonly #clusters: Informer;
  readonly #nodes: Informer;
  readonly #stop = new AbortController();
  #wake = new AbortController();
  #answers = false;
  #reachable = false;
  #problem: string | undefined = "not asked yet";
  /** The version of all that is there, as it said last. */
  #version: string | undefined;
  #lastAnswerMs: number | undefined;

  constructor(options: SiteOptions) {
    this.#options = options;
    const { api, clock, log, onChange, local } = options;
    const fields = {
      api,
      ...(local ? {} : { wrongIn }),
      clock,
      log,
      onListed: () => this.#settle(),
      onError: (error: unknown) => this.#unread(error),
    };
    this.#clusters = new Informer({
      ...fields,
      kind: "KmsCluster",
      onChange: ({ metadata }) => onChange(metadata.name),
    });
    this.#nodes = new Informer({
      ...fields,
      kind: "KmsNode",
      onChange: (node) => onChange((node as unknown as KmsNode).spec.cluster),
    });
  }

  start(): void {
    this.#clusters.start();
    this.#nodes.start();
    void this.#probe();
  }

  stop(): void {
    this.#stop.abort();
    this.#wake.abort();
    this.#clusters.stop();
    this.#nodes.stop();
    this.#options.api.reconnect();
  }

  get api(): KubernetesApi {
    return this.#options.api;
  }

  get reachable(): boolean {
    return this.#reachable;
  }

  /** Milliseconds since it last answered. */
  ageMs(): number | undefined {
    return this.#lastAnswerMs === undefined ? undefined : this.#options.clock.monotonicMs() - this.#lastAnswerMs;
  }

  /** Whether both kinds were listed, so that what is missing is really not there. */
  get listed(): boolean {
    return this.#clusters.fresh && this.#nodes.fresh;
  }

  /** Of the two kinds, those that it does not let us look at, and why. */
  refusals(): readonly Refusal[] {
    const all = { KmsCluster: this.#clusters, KmsNode: this.#nodes };
    return Object.entries(all).flatMap(([kind, { refusal }]) => (refusal === undefined ? [] : [{ kind, refusal }]));
  }

  /** Names of all KmsClusters there. */
  clusterNames(): readonly string[] {
    return this.#clusters.items().map(({ metadata }) => metadata.name);
  }

  /** What tells the KmsClusters there from all others. */
  clusterUids(): readonly string[] {
    return this.#clusters.items().flatMap(({ metadata }) => metadata.uid ?? []);
  }

  /** Whether it has a node of the site of its own name. */
  hasOwnNode(): boolean {
    return this.#nodes.items().some((node) => (node as unknown as KmsNode).spec.site === this.#options.name);
  }

  /** The cache of one of the two kinds, for writes of this process to be seen at once; only of the local site. */
  informer(kind: string): Informer | undefined {
    return { KmsCluster: this.#clusters, KmsNode: this.#nodes }[kind];
  }

  /** The last good view of one KmsCluster and its nodes. What is there of another site (a backup put back) is none of its own. */
  view(cluster: string): SiteView {
    const nodes = this.#nodes.items() as unknown as readonly KmsNode[];
    const { name } = this.#options;
    return {
      name,
      local: this.#options.local,
      reachable: this.#reachable,
      ageMs: this.ageMs(),
      problem: this.#problem,
      cluster: this.#clusters.get(cluster) as unknown as KmsCluster | undefined,
      nodes: nodes.filter(({ spec }) => spec.cluster === cluster && spec.site === name),
    };
  }

  async #probe(): Promise<void> {
    const { api, clock } = this.#options;
    while (!this.#stop.signal.aborted) {
      const startedAtMs = clock.monotonicMs();
      try {
        this.#answered(await api.probe());
      } catch (error) {
        this.#silent(error);
      }
      this.#wake = new AbortController();
      await pause(clock, Math.max(probePeriodMs - (clock.monotonicMs() - startedAtMs), 50), this.#wake.signal);
    }
  }

  #answered(version: string): void {
    this.#lastAnswerMs = this.#options.clock.monotonicMs();
    if (Number(version) < Number(this.#version)) this.#wentBack(version);
    this.#version = version;
    if (this.#answers) return;
    this.#answers = true;
    // Old streams may hang for minutes after the network is back; what they missed is listed anew.
    this.#clusters.restart();
    this.#nodes.restart();
    this.#settle();
  }

  /**
   * Its etcd was restored from a backup: what was seen is not there any more, and a watch that goes on from a later version
   * tells nothing until that one is reached again.
   */
  #wentBack(version: string): void {
    const { name, log } = this.#options;
    log.warn("site went back, read anew", { site: name, from: this.#version, to: version });
    this.#answers = false;
    this.#tell(false, `${name} has older data than before, as after a backup was put back there: it is read anew`);
  }

  #silent(error: unknown): void {
    if (this.#stop.signal.aborted) return;
    const problem = isApiError(error) ? this.#options.explain(error) : `probe failed: ${(error as Error).message}`;
    this.#answers = false;
    this.#options.api.reconnect();
    this.#tell(false, problem);
  }

  /** It answers, yet does not let us read: say that instead of nothing. */
  #unread(error: unknown): void {
    if (this.#answers && !this.listed && isApiError(error)) this.#tell(false, this.#options.explain(error));
  }

  /** Reachable means: it answers, and what we have of it is newer than its return. */
  #settle(): void {
    if (this.#answers && this.listed) this.#tell(true, undefined);
  }

  #tell(reachable: boolean, problem: string | undefined): void {
    if (this.#reachable === reachable && this.#problem === problem) return;
    if (this.#reachable !== reachable) {
      const fields = { site: this.#options.name, ...(problem !== undefined && { problem }) };
      if (reachable) this.#options.log.info("site reached", fields);
      else this.#options.log.warn("site lost", fields);
    }
    this.#reachable = reachable;
    this.#problem = problem;
    this.#options.onReachability(this.#options.name);
  }
}
