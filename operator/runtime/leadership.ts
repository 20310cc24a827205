import { pause } from "../ports/clock.ts";
import { isApiError, type KubernetesApi } from "../ports/kubernetes-api.ts";
import type { Clock, KubernetesObject, Log } from "../ports/types.ts";

/** The Lease that the operators of one site share: its holder leads, the others stand by. */
export const leaderLease = "keyfleet-operator";
/** After so long without a renewal, by the clock of who waits, leading is anybody's. */
export const leaderLeaseMs = 10_000;
/** The leader stops so much earlier than others may begin: what it sent last has arrived or was cut off by then. */
export const leaderSafetyMs = 2_000;
/** The leader renews so often, and the others look so often. */
const everyMs = 2_000;
/** After a silence or a lost race it is tried again so soon. */
const retryMs = 500;

/** One time of leading. When it is over it never begins again: the next one is another. */
export interface Term {
  /** Milliseconds for which this process may still act; 0 when the term is over. */
  leftMs(): number;
}

export interface LeadershipOptions {
  /** The site's own API, with short deadlines: a renewal that hangs must not use up the term. */
  readonly api: KubernetesApi;
  /** Who asks; only a process that began after this one has ended may use the same name. */
  readonly identity: string;
  readonly onBegin: (term: Term) => void;
  readonly onEnd: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Which of a site's operators acts. It is fenced by time: a holder believes in its Lease for less time than others wait
 * before they take it, counted on its own monotonic clock from before the renewal was sent. Clocks are never compared.
 */
export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #stop = new AbortController();
  #lease: KubernetesObject | undefined;
  #version: string | undefined;
  /** Since when (own clock) the Lease has been as it is. */
  #sinceMs = 0;
  #untilMs = 0;
  #term: Term | undefined;
  #cancelEnd = () => {};

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#run();
  }

  get leads(): boolean {
    return this.#leftMs() > 0;
  }

  /** Who leads as far as is known: "" when nobody does, undefined before the first look. */
  get holder(): string | undefined {
    return this.#lease === undefined ? undefined : holderOf(this.#lease);
  }

  /** Stands for it no more. Whoever leads goes on to its end by `giveUp` or by time. */
  stop(): void {
    this.#stop.abort();
  }

  /** Ends the term and frees the Lease, so that another begins at once. Only when nothing of this process is under way. */
  async giveUp(): Promise<void> {
    const { api, clock, log } = this.#options;
    if (!this.leads || this.#lease === undefined) return;
    this.#end();
    try {
      await api.update(nextLease(this.#lease, "", clock.nowMs()));
      log.info("leading given up");
    } catch (error) {
      log.warn("leading lapses by itself", { problem: (error as Error).message });
    }
  }

  #leftMs(): number {
    return this.#term === undefined ? 0 : Math.max(this.#untilMs - this.#options.clock.monotonicMs(), 0);
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const startedAtMs = clock.monotonicMs();
      let waitMs = retryMs;
      try {
        if (await this.#turn()) waitMs = Math.min(everyMs - (clock.monotonicMs() - startedAtMs), this.#untilFreeMs());
      } catch (error) {
        this.#failed(error);
      }
      await pause(clock, Math.max(waitMs, 50), signal);
    }
    log.debug("stands for leading no more");
  }

  /** Looks, or renews, or takes. False: at once again. */
  async #turn(): Promise<boolean> {
    this.#lapse();
    if (!this.leads) await this.#read();
    if (this.#lease === undefined) return false;
    const holder = holderOf(this.#lease);
    const free = holder === "" || holder === this.#options.identity || this.#untilFreeMs() <= 0;
    if (!free) return true;
    return await this.#write(this.#lease);
  }

  async #read(): Promise<void> {
    const { api, clock } = this.#options;
    const lease = (await api.get("Lease", leaderLease)) ?? (await create(api, this.#version === undefined));
    this.#lease = lease;
    if (lease === undefined || this.#version === lease.metadata.resourceVersion) return;
    this.#version = lease.metadata.resourceVersion ?? "";
    this.#sinceMs = clock.monotonicMs();
  }

  /** Milliseconds until the Lease of another has lapsed. */
  #untilFreeMs(): number {
    const holder = this.holder;
    if (holder === undefined || holder === "" || holder === this.#options.identity) return everyMs;
    return this.#sinceMs + leaderLeaseMs - this.#options.clock.monotonicMs();
  }

  /** Compare-and-swap; false when somebody was faster, or an answer of an earlier one was lost: then it is looked again. */
  async #write(lease: KubernetesObject): Promise<boolean> {
    const { api, clock, identity } = this.#options;
    const startedAtMs = clock.monotonicMs();
    try {
      this.#lease = await api.update(nextLease(lease, identity, clock.nowMs()));
    } catch (error) {
      if (!isApiError(error, "conflict", "notFound")) throw error;
      await this.#read();
      if (this.holder !== identity) this.#end();
      return false;
    }
    if (this.#stop.signal.aborted) return true;
    this.#untilMs = startedAtMs + leaderLeaseMs - leaderSafetyMs;
    this.#begin();
    return true;
  }

  #begin(): void {
    const { clock, log, onBegin, identity } = this.#options;
    // The answer came too late to be believed in.
    if (this.#untilMs <= clock.monotonicMs()) return;
    this.#cancelEnd();
    this.#cancelEnd = clock.after(this.#untilMs - clock.monotonicMs(), () => this.#lapse());
    if (this.#term !== undefined) return;
    const term: Term = { leftMs: () => (this.#term === term ? this.#leftMs() : 0) };
    this.#term = term;
    log.info("begins to lead", { identity });
    onBegin(term);
  }

  #lapse(): void {
    if (this.#term === undefined || this.leads) return;
    this.#options.log.warn("leading lost: not renewed in time");
    this.#end();
  }

  #end(): void {
    this.#cancelEnd();
    if (this.#term === undefined) return;
    this.#term = undefined;
    this.#options.onEnd();
  }

  #failed(error: unknown): void {
    if (!isApiError(error)) throw error;
    // An old connection may hang although a new one would do.
    if (error.code === "unreachable") this.#options.api.reconnect();
    this.#options.log.debug("Lease of the leader not reached", { problem: error.message });
    this.#lapse();
  }
}

function holderOf(lease: KubernetesObject): string {
  return (lease.spec as { holderIdentity?: string } | undefined)?.holderIdentity ?? "";
}

/** A Lease that was there before was deleted by somebody, and its holder may not know yet: the new one has to lapse first. */
async function create(api: KubernetesApi, first: boolean): Promise<KubernetesObject | undefined> {
  const metadata = { name: leaderLease, namespace: api.namespace };
  const spec = first ? {} : { holderIdentity: "unknown" };
  try {
    return await api.create({ apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec });
  } catch (error) {
    if (isApiError(error, "alreadyExists")) return undefined;
    throw error;
  }
}

/** The Lease as we want it, with the resourceVersion that we have seen: the API server refuses it when it has changed. */
function nextLease(lease: KubernetesObject, holder: string, nowMs: number): KubernetesObject {
  const spec = (lease.spec ?? {}) as { acquireTime?: string; leaseTransitions?: number };
  const now = new Date(nowMs).toISOString().replace("Z", "000Z");
  const same = holderOf(lease) === holder;
  const leaseTransitions = (spec.leaseTransitions ?? 0) + (same || holder === "" ? 0 : 1);
  if (holder === "") return { ...lease, spec: { leaseTransitions } };
  return {
    ...lease,
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: leaderLeaseMs / 1000,
      acquireTime: same && spec.acquireTime ? spec.acquireTime : now,
      renewTime: now,
      leaseTransitions,
    },
  };
}
