import { isApiError, type KubernetesApi } from "../ports/kubernetes-api.ts";
import type { Clock, FleetLock, KubernetesObject, LockView, Log } from "../ports/types.ts";
import {
  decideTake,
  holderOf,
  inheritedWork,
  leaseMs,
  lockAnnotations,
  majorityOf,
  type SeenShare,
  type Self,
  type Share,
  safetyMs,
  shareOf,
  standingOf,
} from "./lock-decision.ts";

export interface FleetLockOptions {
  readonly cluster: string;
  readonly self: Self;
  /** The sites that count now: all of spec less recovery.lostSites. */
  readonly counting: () => readonly string[];
  /** A site's API while the site answers. */
  readonly api: (site: string) => KubernetesApi | undefined;
  /** Told when a held lock was lost. */
  readonly onLost: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

const renewEveryMs = 4_000;
/** A view needs this much left, so that the next action still happens under the lock. */
const spareMs = 3_000;
/**
 * What is sent under the lock needs this much left: it has arrived, or was cut off, after 5 s (ports/connect.ts), and others
 * may take the lock `safetyMs` after the holder stops believing in it.
 */
const sendingMs = 5_000 - safetyMs;

interface Work {
  readonly operation: string;
  readonly node: string;
}

/** A Lease as it was last seen, and since when (own clock) it has been like that. */
interface Seen {
  readonly lease: KubernetesObject;
  readonly sinceMs: number;
}

/**
 * The fleet lock of one KmsCluster: its Lease in a majority of the sites that count, each taken by compare-and-swap.
 * A share is believed in for less time than others wait before they take it, measured from before the write was sent.
 */
export class LeaseFleetLock implements FleetLock {
  readonly #options: FleetLockOptions;
  readonly #seen = new Map<string, Seen>();
  /** Until when (own clock) this process may believe in its share of a site. */
  readonly #mineUntilMs = new Map<string, number>();
  #work: Work | undefined;
  #cancelRenewal = () => {};
  #stopped = false;

  constructor(options: FleetLockOptions) {
    this.#options = options;
  }

  /** Makes this site's Lease when it is not there, so that peers need no right to create one. */
  async prepare(): Promise<void> {
    const { self } = this.#options;
    const api = this.#options.api(self.site);
    if (api === undefined || this.#seen.has(self.site)) return;
    const lease = (await api.get("Lease", this.#name)) ?? (await create(api, this.#name));
    if (lease !== undefined) this.#note(self.site, lease);
  }

  /** Reads all shares that can be read. What this site's earlier leader held for its work is held on. */
  async refresh(): Promise<LockView> {
    const { self, counting } = this.#options;
    await Promise.all(counting().map((site) => this.#read(site)));
    const work = this.#work === undefined ? inheritedWork(self, counting(), this.#shares()) : undefined;
    if (work !== undefined) await this.take(work);
    return this.view();
  }

  /** What is known without asking anybody. */
  view(): LockView {
    const heldByMe = this.#left() > spareMs;
    const own = this.#work && { holder: this.#options.self.site, ...this.#work };
    const share: Partial<Share> | undefined = heldByMe ? own : holderOf(this.#shares());
    return { heldByMe, holder: share?.holder, operation: share?.operation, node: share?.node };
  }

  isHeld(): boolean {
    return this.#left() > sendingMs;
  }

  async take(work: Work): Promise<boolean> {
    const { self, counting, log, cluster } = this.#options;
    await Promise.all(counting().map((site) => this.#read(site)));
    const decision = decideTake(self, counting(), this.#shares());
    if (decision.kind === "refuse") {
      log.debug("fleet lock not to be had", { cluster, because: decision.because });
      return false;
    }
    const sites = decision.kind === "held" ? this.#mine() : decision.sites;
    const before = new Set(this.#mine());
    for (const site of sites) if (!(await this.#write(site, work)) && !before.has(site)) break;
    if (this.#left() > 0) return this.#began(work);
    await Promise.all(this.#mine().map((site) => this.#write(site, undefined)));
    this.#ended();
    return false;
  }

  async release(): Promise<void> {
    const mine = this.#mine();
    this.#ended();
    const freed = await Promise.all(mine.map((site) => this.#write(site, undefined)));
    if (mine.length > 0)
      this.#options.log.info("fleet lock released", { cluster: this.#options.cluster, shares: freed.length });
  }

  /** Stops renewing; what is held lapses by itself. */
  stop(): void {
    this.#stopped = true;
    this.#cancelRenewal();
  }

  get #name(): string {
    return `keyfleet-${this.#options.cluster}`;
  }

  /** Milliseconds for which a majority is still mine. */
  #left(): number {
    if (this.#work === undefined && this.#mineUntilMs.size === 0) return 0;
    const counting = this.#options.counting();
    const now = this.#options.clock.monotonicMs();
    const left = counting.map((site) => (this.#mineUntilMs.get(site) ?? 0) - now).sort((a, b) => b - a);
    return Math.max(left[majorityOf(counting.length) - 1] ?? 0, 0);
  }

  #mine(): string[] {
    const { self } = this.#options;
    return this.#shares()
      .filter((share) => standingOf(self, share) === "mine")
      .map(({ site }) => site)
      .sort();
  }

  #shares(): SeenShare[] {
    const now = this.#options.clock.monotonicMs();
    // Shares in sites that no longer count are still ours to give back.
    return [...this.#seen].map(([site, { lease, sinceMs }]) => ({
      site,
      share: shareOf(lease),
      unchangedMs: now - sinceMs,
    }));
  }

  async #read(site: string): Promise<void> {
    const api = this.#options.api(site);
    try {
      const lease = await api?.get("Lease", this.#name);
      if (lease !== undefined) return this.#note(site, lease);
      if (api !== undefined) this.#mineUntilMs.delete(site); // somebody deleted it
    } catch (error) {
      if (!isApiError(error)) throw error;
    }
    // What cannot be read is nobody's and cannot be taken; a share of ours stays ours until its time is over.
    if (!this.#mineUntilMs.has(site)) this.#seen.delete(site);
  }

  #note(site: string, lease: KubernetesObject): void {
    const known = this.#seen.get(site);
    if (known?.lease.metadata.resourceVersion === lease.metadata.resourceVersion) return;
    this.#seen.set(site, { lease, sinceMs: this.#options.clock.monotonicMs() });
    if (standingOf(this.#options.self, { site, share: shareOf(lease), unchangedMs: 0 }) !== "mine")
      this.#mineUntilMs.delete(site);
  }

  /** Compare-and-swap of one share; without work it is given back. False when somebody was faster or nobody answered. */
  async #write(site: string, work: Work | undefined): Promise<boolean> {
    const { api, clock, self } = this.#options;
    const seen = this.#seen.get(site);
    const target = api(site);
    if (seen === undefined || target === undefined) return false;
    const startedAtMs = clock.monotonicMs();
    if (work === undefined) this.#mineUntilMs.delete(site);
    try {
      const lease = await target.update(nextLease(seen.lease, self, { work, nowMs: clock.nowMs() }));
      this.#note(site, lease);
      if (work !== undefined) this.#mineUntilMs.set(site, startedAtMs + leaseMs - safetyMs);
      return true;
    } catch (error) {
      if (!isApiError(error)) throw error;
      await this.#read(site);
      return false;
    }
  }

  #began(work: Work): true {
    const { log, cluster } = this.#options;
    if (this.#work === undefined) log.info("fleet lock taken", { cluster, ...work, shares: this.#mine() });
    this.#work = work;
    this.#renewLater();
    return true;
  }

  #ended(): void {
    this.#cancelRenewal();
    this.#work = undefined;
  }

  #renewLater(): void {
    this.#cancelRenewal();
    if (this.#stopped) return;
    this.#cancelRenewal = this.#options.clock.after(renewEveryMs, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const { self, counting, log, cluster } = this.#options;
    const work = this.#work;
    if (work === undefined) return;
    // A share that became free (a site came back) is taken too: the majority should not hang on one site.
    await Promise.all(
      counting()
        .filter((site) => !this.#seen.has(site))
        .map((site) => this.#read(site)),
    );
    const wanted = this.#shares().filter((share) => ["mine", "free"].includes(standingOf(self, share)));
    await Promise.all(wanted.map(({ site }) => this.#write(site, work)));
    if (this.#work !== work) return;
    if (this.#left() > 0) return this.#renewLater();
    log.warn("fleet lock lost", { cluster, ...work });
    this.#ended();
    this.#options.onLost();
  }
}

async function create(api: KubernetesApi, name: string): Promise<KubernetesObject | undefined> {
  try {
    return await api.create({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name, namespace: api.namespace },
      spec: {},
    });
  } catch (error) {
    if (isApiError(error, "alreadyExists")) return undefined;
    throw error;
  }
}

/** The Lease as we want it, with the resourceVersion that we have seen: the API server refuses it when it has changed. */
function nextLease(
  lease: KubernetesObject,
  self: Self,
  { work, nowMs }: { readonly work: Work | undefined; readonly nowMs: number },
): KubernetesObject {
  const spec = (lease.spec ?? {}) as { holderIdentity?: string; acquireTime?: string; leaseTransitions?: number };
  const { operation, node, instance } = lockAnnotations;
  const { [operation]: _o, [node]: _n, [instance]: _i, ...others } = lease.metadata.annotations ?? {};
  const now = new Date(nowMs).toISOString().replace("Z", "000Z");
  if (work === undefined) {
    return {
      ...lease,
      metadata: { ...lease.metadata, annotations: others },
      spec: { leaseTransitions: spec.leaseTransitions ?? 0 },
    };
  }
  const same = spec.holderIdentity === self.site;
  return {
    ...lease,
    metadata: {
      ...lease.metadata,
      annotations: { ...others, [operation]: work.operation, [node]: work.node, [instance]: self.instance },
    },
    spec: {
      holderIdentity: self.site,
      leaseDurationSeconds: leaseMs / 1000,
      acquireTime: same && spec.acquireTime ? spec.acquireTime : now,
      renewTime: now,
      leaseTransitions: (spec.leaseTransitions ?? 0) + (same ? 0 : 1),
    },
  };
}
