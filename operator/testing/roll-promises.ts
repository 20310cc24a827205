import type { NodeFacts } from "../desired/facts.ts";
import { settingsLag } from "../desired/staging.ts";
import { compareVersions } from "../desired/version.ts";
import { backupMark } from "../plan/fresh-backup.ts";
import type { KmsNode, KubernetesObject } from "../ports/types.ts";
import { leaseMs, lockAnnotations } from "../runtime/lock-decision.ts";
import type { Recent } from "./recent.ts";
import { isInWindow } from "./simulated-edits.ts";
import type { SimulatedSite } from "./simulated-site.ts";
import type { Simulation } from "./simulation.ts";
import { beliefMs, type Truth, viewLagMs } from "./truth.ts";

/** Work under the lock after which its node serves. */
const comesBack: ReadonlySet<string> = new Set(["restart", "upgrade", "settings", "join", "found"]);

/** By then an operator has looked several times. */
const longestHeldMs = 60_000;
const longestHeldSteps = 50;

/** A node for which a site holds the lock: since when, and when its share was written last. */
interface Held {
  readonly name: string;
  readonly sinceMs: number;
  readonly sinceStep: number;
  readonly lastMs: number;
}

interface Tools {
  readonly truth: Truth;
  readonly recent: Recent;
  readonly hold: (holds: boolean, what: string) => void;
}

/** What is promised to the administrator of one step after the other: windows, soak times, and that a node has recovered. */
export class RollPromises {
  readonly #world: Simulation;
  readonly #tools: Tools;
  /** What was found at a write that nobody could refuse: locks are renewed behind the back of the schedule. */
  readonly broken: string[] = [];
  /** Nodes that are not wanted and for which a site holds the lock, by site. */
  readonly #dropped = new Map<string, Held>();
  /** Of the schedule, so far: while time only passes, nobody looks. */
  #steps = 0;
  /** When a node got another version last. */
  #versionChangedMs = 0;

  constructor(world: Simulation, tools: Tools) {
    this.#world = world;
    this.#tools = tools;
  }

  /** Called after each step. */
  note(): void {
    this.#steps += 1;
  }

  /** A node that serves is taken down for another version or other settings. */
  begins(site: SimulatedSite, name: string, what: string): void {
    const { upgrade } = site.cluster.spec;
    const windows = upgrade?.windows ?? [];
    const nowMs = this.#world.nowMs + site.clockOffsetMs;
    const isOpen = windows.length === 0 || windows.some((window) => isInWindow(window, nowMs));
    this.#tools.hold(isOpen, `${what} outside of ${windows[0]?.cron}`);
    this.soaked(site, name, what);
  }

  /** Settings of which a node says that it has to do without them are given to no other that serves. */
  usable(site: SimulatedSite, { metadata, spec }: KmsNode): void {
    const { truth, hold } = this.#tools;
    const said = truth.needed(site).filter((other) => {
      if (other.metadata.name === metadata.name || truth.isMistaken(site, other.metadata.name)) return false;
      const applied = other.status?.conditions?.find(({ type }) => type === "SettingsApplied");
      const saidMs = this.#world.nowMs - Date.parse(applied?.lastTransitionTime ?? "");
      return saidMs > viewLagMs && other.spec.settings.hsm?.library === spec.settings.hsm?.library;
    });
    const names = said.map((other) => other.metadata.name);
    hold(said.length === 0, `${metadata.name} gets settings of which ${names} says that they do not work`);
  }

  /** An upgrade begins with a fresh backup, if the document asks for that; what any site's copy says of it counts. */
  backedUp(site: SimulatedSite, { metadata, spec }: KmsNode, to: string): void {
    const { truth, hold } = this.#tools;
    const sinceMs = this.#world.nowMs - this.#versionChangedMs;
    this.#versionChangedMs = this.#world.nowMs;
    const hours = site.cluster.spec.upgrade?.backupMaxAgeHours;
    const hasBegun = truth.needed(site).some((node) => node.spec.version !== spec.version);
    // What another site has just ended may not have been heard of.
    if (hours === undefined || hasBegun || sinceMs < beliefMs || compareVersions(to, spec.version) <= 0) return;
    if (truth.clocksJumped()) return;
    const told = this.#world.sites.map(({ cluster }) => Date.parse(cluster.metadata.annotations?.[backupMark] ?? ""));
    const isFresh = told.some((ms) => this.#world.nowMs - ms <= hours * 3_600_000);
    hold(isFresh, `${metadata.name} begins the upgrade to ${to} without a fresh backup`);
  }

  /** The others that have what the document wants have served for the soak time. Clocks that jumped know no such time. */
  soaked(site: SimulatedSite, name: string, what: string): void {
    const { truth, recent, hold } = this.#tools;
    if (truth.clocksJumped()) return;
    const soakMs = (site.cluster.spec.upgrade?.soakSeconds ?? 30) * 1000 - beliefMs;
    for (const { metadata, spec } of truth.needed(site)) {
      const { name: other } = metadata;
      if (other === name || spec.version !== truth.target(site) || truth.isMistaken(site, other)) continue;
      if (truth.isHidden(site, other)) continue;
      const servedMs = recent.servedMs(other);
      // That it stopped may not have been heard yet, nor by the time it serves again.
      if (recent.stopped(other, truth.serves(other) ? viewLagMs : beliefMs)) continue;
      hold(servedMs >= soakMs, `${what} when ${other} has served for ${servedMs} ms`);
    }
  }

  /** Before a site's share of the fleet lock, which `holder` holds, is written. */
  beforeLease(before: KubernetesObject | undefined, after: KubernetesObject, holder: string | undefined): void {
    const taker = holderOf(after);
    if (taker !== undefined && holder !== undefined && taker !== holder)
      this.broken.push(`${taker} takes the lock from ${holder}`);
    if (taker === undefined) this.#givenBack(before);
    else this.#heldOn(after);
  }

  /** The lock is not held on for a node that the document has dropped, nor by a site that it names lost. */
  #heldOn(lease: KubernetesObject): void {
    const { nowMs } = this.#world;
    const { site, name } = this.#workOf(lease);
    if (site === undefined) return;
    const known = this.#dropped.get(site.name);
    this.#dropped.delete(site.name);
    const { truth } = this.#tools;
    if (name === undefined || (truth.wanted(site).has(name) && truth.counts(site, site.name))) return;
    // One that left to be rebuilt, and was dropped meanwhile, is removed under the same lock.
    if (this.#world.all().some((node) => node.metadata.name === name && truth.isInTheMiddle(node))) return;
    const isSame = known?.name === name && nowMs - known.lastMs < leaseMs;
    const sinceMs = isSame ? known.sinceMs : nowMs;
    const sinceStep = isSame ? known.sinceStep : this.#steps;
    this.#dropped.set(site.name, { name, sinceMs, sinceStep, lastMs: nowMs });
    if (nowMs - sinceMs >= longestHeldMs && this.#steps - sinceStep >= longestHeldSteps)
      this.broken.push(`${site.name} holds the lock for ${name}, for which nobody waits`);
  }

  /** The site that holds a share, and the node that is to serve afterwards; none when it is work of another kind. */
  #workOf(lease: KubernetesObject | undefined) {
    const annotations = lease?.metadata.annotations ?? {};
    const operation = annotations[lockAnnotations.operation] ?? "";
    const site = this.#world.sites.find(({ name }) => name === holderOf(lease));
    return { site, operation, name: comesBack.has(operation) ? annotations[lockAnnotations.node] : undefined };
  }

  /** A site that gives the lock back leaves a node behind that serves, unless another step is about to mend it. */
  #givenBack(lease: KubernetesObject | undefined): void {
    const { truth } = this.#tools;
    const { site, name, operation } = this.#workOf(lease);
    if (site === undefined || name === undefined || !this.#holdsLock(site)) return;
    const node = truth.needed(site).find(({ metadata }) => metadata.name === name);
    if (
      node === undefined ||
      isToChange(site, node, truth.target(site)) ||
      truth.isMistaken(site, name) ||
      truth.diedUnnoticed(name) ||
      this.#isSomebodyElseFirst(site, name)
    )
      return;
    if (!truth.believed(name))
      this.broken.push(`${site.name} gives the lock for ${operation} back although ${name} does not serve`);
  }

  #holdsLock(site: SimulatedSite): boolean {
    const counting = this.#world.sites.filter(({ name }) => this.#tools.truth.counts(site, name));
    const mine = counting.filter(({ leases }) => leases.holder("keyfleet-bank")?.site === site.name);
    return mine.length * 2 > counting.length;
  }

  #isSomebodyElseFirst(site: SimulatedSite, name: string): boolean {
    const { truth } = this.#tools;
    return this.#world
      .all()
      .some((node) => node.metadata.name !== name && truth.counts(site, node.spec.site) && truth.isInTheMiddle(node));
  }
}

function holderOf(lease: KubernetesObject | undefined): string | undefined {
  return (lease?.spec as { holderIdentity?: string } | undefined)?.holderIdentity || undefined;
}

/** Whether a site's document wants the node to be other than it is. */
function isToChange({ cluster }: SimulatedSite, node: KmsNode, target: string): boolean {
  const { name } = node.metadata;
  const siteEntry = cluster.spec.sites.find(({ nodes }) => nodes.some((entry) => entry.name === name));
  const entry = siteEntry?.nodes.find((one) => one.name === name);
  const lagsSettings = settingsLag(cluster, { name, node, siteEntry, entry } as NodeFacts);
  return node.spec.version !== target || lagsSettings;
}
