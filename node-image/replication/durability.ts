import { StoreError } from "../store/error.ts";
import { turnMs } from "./pace.ts";
import type { Durability, SiteStep } from "./types.ts";

/** A site that has not acknowledged a write after this is out of step. */
export const stepDeadlineMs = 1_000;
/** A site of whose members none has had a connection to here for so long is out of step. */
export const goneMaxMs = 3_000;
/**
 * So is one from whose members nothing came for so long, whether connected or not: at rest each member gives a sign of life
 * to one peer after another.
 */
export const silenceMaxMs = (members: number): number => 3_000 + turnMs * members;

interface Site {
  inStep: boolean;
  heardMs: number;
  connectedMs: number;
  /** Up to here writes were answered without it because it fell out of step: it holds them before it is back. */
  owes: number;
  identities: readonly string[];
}

interface Waiter {
  readonly head: number;
  readonly deadlineMs: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Options of `DurabilityGate`; milliseconds are monotonic. */
export interface DurabilityOptions {
  readonly mode: Durability;
  readonly nowMs: () => number;
  readonly onStep: (step: SiteStep) => void;
}

/** Holds back the answer of a write until the sites in step have acknowledged it (DESIGN section 7); never refuses one. */
export class DurabilityGate {
  mode: Durability;
  readonly #nowMs: () => number;
  readonly #onStep: (step: SiteStep) => void;
  readonly #sites = new Map<string, Site>();
  readonly #positions = new Map<string, number>();
  // Heads of about the last second, to know what a site in step must hold by now.
  #heads: { readonly atMs: number; readonly head: number }[] = [];
  #waiters: Waiter[] = [];
  #answered = { head: 0, atMs: 0 };
  #members = 0;

  constructor(options: DurabilityOptions) {
    this.mode = options.mode;
    this.#nowMs = options.nowMs;
    this.#onStep = options.onStep;
  }

  /** Whether a write waits for anybody. */
  get holds(): boolean {
    return this.mode !== "Local" && [...this.#sites.values()].some(({ inStep }) => inStep);
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /**
   * Other sites with the identities of their members, and how many members there are in all; a new one is presumed in step
   * until its first deadline.
   */
  setSites(sites: ReadonlyMap<string, readonly string[]>, members: number): void {
    const now = this.#nowMs();
    this.#members = members;
    for (const name of this.#sites.keys()) if (!sites.has(name)) this.#sites.delete(name);
    for (const [name, identities] of sites) {
      const site = this.#sites.get(name);
      if (site === undefined)
        this.#sites.set(name, { inStep: true, heardMs: now, connectedMs: now, owes: 0, identities });
      else site.identities = identities;
    }
    this.#release();
  }

  steps(): readonly SiteStep[] {
    return [...this.#sites].map(([site, { inStep }]) => ({ site, inStep }));
  }

  position(identity: string): number | undefined {
    return this.#positions.get(identity);
  }

  /** This node's log is another one from now on: what was acknowledged of the one before says nothing of it, and what waits is not known to be held. */
  forget(): void {
    for (const { reject } of this.#waiters.splice(0))
      reject(new StoreError("unavailable", "the database was exchanged; the outcome of the write is not known"));
    this.#positions.clear();
    this.#heads = [];
    this.#answered = { head: 0, atMs: 0 };
    for (const site of this.#sites.values()) site.owes = 0;
  }

  /** Resolves when this node's log up to `head` is held by all sites that must hold it. */
  wait(head: number): Promise<void> {
    this.#rememberHead(head);
    if (this.#isHeld(head)) {
      this.#answered = { head, atMs: this.#nowMs() };
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ head, deadlineMs: this.#nowMs() + stepDeadlineMs, resolve, reject });
    });
  }

  /** A member says that it holds this node's log durably up to `seq`, or gave a sign of life after it has said so. */
  acknowledged(identity: string, seq: number): void {
    this.allAcknowledged([[identity, seq]]);
  }

  /** What is read at once counts at once: no write is answered without a site that the same reading brings back. */
  allAcknowledged(positions: readonly (readonly [identity: string, seq: number])[]): void {
    for (const [identity, seq] of positions) this.#heard(identity, seq);
    this.#release();
  }

  /** Who is connected to this node, all at once, as they are at this moment. */
  connected(identities: ReadonlySet<string>): void {
    const now = this.#nowMs();
    for (const [name, site] of this.#sites) {
      if (site.identities.some((identity) => identities.has(identity))) site.connectedMs = now;
      else if (site.inStep && now - site.connectedMs > goneMaxMs) this.#step(name, site, false);
    }
    this.#release();
  }

  /** To be called each two seconds or more often, while writes wait several times a second: marks the sites that let a deadline pass. */
  tick(): void {
    const now = this.#nowMs();
    const silenceMs = silenceMaxMs(this.#members);
    const expired = this.#waiters.findLast((waiter) => waiter.deadlineMs <= now);
    for (const [name, site] of this.#sites) {
      const late = expired !== undefined && this.#sitePosition(site) < expired.head;
      if (site.inStep && (late || now - site.heardMs > silenceMs)) this.#step(name, site, false);
    }
    this.#release();
  }

  #heard(identity: string, seq: number): void {
    this.#positions.set(identity, seq);
    for (const [name, site] of this.#sites) {
      if (!site.identities.includes(identity)) continue;
      site.heardMs = this.#nowMs();
      const mustHold = Math.max(site.owes, this.#headOneSecondAgo(), this.#answeredNow());
      if (!site.inStep && this.#sitePosition(site) >= mustHold) this.#step(name, site, true);
    }
  }

  #step(site: string, state: Site, inStep: boolean): void {
    state.inStep = inStep;
    if (!inStep) state.owes = this.#waiters.at(-1)?.head ?? 0;
    this.#onStep({ site, inStep });
  }

  #isHeld(head: number): boolean {
    if (this.mode === "Local") return true;
    const inStep = [...this.#sites.values()].filter((site) => site.inStep);
    const holds = (site: Site) => this.#sitePosition(site) >= head;
    return this.mode === "EverySite" ? inStep.every(holds) : inStep.length === 0 || inStep.some(holds);
  }

  #sitePosition(site: Site): number {
    return Math.max(0, ...site.identities.map((identity) => this.#positions.get(identity) ?? 0));
  }

  #release(): void {
    // In order of their heads, so the first that must still wait ends it.
    const first = this.#waiters.findIndex((waiter) => !this.#isHeld(waiter.head));
    const held = this.#waiters.splice(0, first < 0 ? this.#waiters.length : first);
    for (const waiter of held) waiter.resolve();
    const last = held.at(-1);
    if (last !== undefined) this.#answered = { head: last.head, atMs: this.#nowMs() };
  }

  #rememberHead(head: number): void {
    const now = this.#nowMs();
    const last = this.#heads.at(-1);
    if (last !== undefined && last.atMs === now) this.#heads.pop();
    this.#heads.push({ atMs: now, head });
    // From the front, where the old ones are: there is an entry for each busy millisecond.
    const young = this.#heads.findIndex((entry) => entry.atMs > now - stepDeadlineMs);
    if (young > 1) this.#heads.splice(0, young - 1);
  }

  /** What is being answered without a site at this moment, it cannot come back behind. */
  #answeredNow(): number {
    return this.#answered.atMs === this.#nowMs() ? this.#answered.head : 0;
  }

  #headOneSecondAgo(): number {
    const before = this.#nowMs() - stepDeadlineMs;
    // From the front, where it is: at most what became old since the last write comes before it.
    const younger = this.#heads.findIndex((entry) => entry.atMs > before);
    return this.#heads[(younger < 0 ? this.#heads.length : younger) - 1]?.head ?? 0;
  }
}
