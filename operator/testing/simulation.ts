import type { NodeFacts } from "../desired/facts.ts";
import { settingsLag } from "../desired/staging.ts";
import { highestVersion } from "../desired/version.ts";
import type { Clock, KmsCluster, KmsNode } from "../ports/types.ts";
import { Invariants } from "./invariants.ts";
import { retentionMs, withRetention } from "./kept-volumes.ts";
import { generator, pick } from "./random.ts";
import { SimulatedClock } from "./simulated-clock.ts";
import { controllersWork, podsAreCurrent } from "./simulated-controllers.ts";
import { editAtRandom, edited, mended, names, withConsent } from "./simulated-edits.ts";
import {
  clockGoesOff,
  getsForeignVolume,
  hsmGoes,
  machineDies,
  machineRuns,
  mendMachines,
  watchMachines,
} from "./simulated-machines.ts";
import { work } from "./simulated-node.ts";
import { SimulatedOperator } from "./simulated-operator.ts";
import { SimulatedSite } from "./simulated-site.ts";
import { textOf } from "./text-of.ts";
import { everyFault, type Fault, type Theme } from "./themes.ts";

/** What a simulation is made of. */
export interface SimulationOptions {
  readonly cluster: KmsCluster;
  /** A certificate request for each node that may ever be, by name. */
  readonly requests: ReadonlyMap<string, string>;
  /** Whether the document is edited too. */
  readonly edits: boolean;
  /** What the schedule is about; everything when absent. */
  readonly theme?: Theme | undefined;
}

const longestStepMs = 2_000;
/** A node of a site that runs is at work at least so often: it hears of its document and of its peers at once. */
const nodesIdleMs = 2_500;
const mostDead = 2;
/** Of what happens to a fleet that is edited, so much is an edit. */
const editShare = 0.45;
const longestJumpMs = 20 * 60_000;
/** So long after it was written last a share is just believed in. */
const longestRunDownMs = 9_000;
/** Longer than that a pass does not take, or the operator does not lead any more (docs/decisions/0013-leading-operator.md). */
const longestPassMs = 8_000;

/**
 * Sites, their operators (the real code) and nodes, in memory, in an order that the seed decides, with crashes, cuts, lost
 * sites, stale views and edits of the document. After every step the invariants are checked.
 */
export class Simulation {
  readonly sites: readonly SimulatedSite[];
  readonly operators: readonly SimulatedOperator[];
  /** What happened, for the message of a schedule that fails. */
  readonly story: string[] = [];
  readonly #random: () => number;
  readonly #clock: SimulatedClock;
  readonly #invariants: Invariants;
  readonly #options: SimulationOptions;
  readonly #longestJumpMs: number;
  readonly #workedMs = new Map<SimulatedSite, number>();
  #ids = 0;

  constructor(seed: number, options: SimulationOptions, start?: Simulation) {
    this.#random = generator(seed);
    this.#options = options;
    this.#longestJumpMs = options.theme?.longestJumpMs ?? longestJumpMs;
    this.#clock = new SimulatedClock(start?.nowMs);
    const creationTimestamp = new Date(this.#clock.nowMs()).toISOString();
    const cluster = withRetention(options.cluster);
    const own = { ...cluster, metadata: { ...cluster.metadata, creationTimestamp } };
    this.#invariants = new Invariants(this);
    this.sites = own.spec.sites.map(({ name }, at) => {
      const site = new SimulatedSite(name, own, (...write) => this.#invariants.beforeWrite(...write));
      site.now = () => this.#timeAt(site);
      site.leases.now = () => this.#clock.monotonicMs();
      site.leases.beforeWrite = (...write) => this.#invariants.beforeLease(...write);
      return start?.sites[at] === undefined ? site : site.becomes(start.sites[at]);
    });
    const linked = (a: SimulatedSite, b: SimulatedSite) => this.linked(a, b);
    const world = { sites: this.sites, random: this.#random, clock: this.#clock as Clock, linked };
    this.operators = this.sites.map((site) => new SimulatedOperator(site, world));
    this.#ids = start === undefined ? 0 : 1_000;
  }

  /** What the operators did to the fleet, counted. */
  did(): ReadonlyMap<string, number> {
    return this.#invariants.did;
  }

  get nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Whether two sites can talk to each other now. */
  linked(a: SimulatedSite, b: SimulatedSite): boolean {
    return a.alive && b.alive && (a === b || (a.reachable && b.reachable));
  }

  /** What the clocks of a site say. */
  #timeAt(site: SimulatedSite): string {
    return new Date(this.#clock.nowMs() + site.clockOffsetMs).toISOString();
  }

  /** One step in a random order of everything that may happen; then the invariants. */
  async step(faults: boolean): Promise<void> {
    await this.#clock.advance(Math.floor(this.#random() * longestStepMs));
    for (const operator of this.operators) operator.look();
    for (const site of this.sites) watchMachines(site, this.nowMs);
    for (const site of this.sites)
      if (site.alive && this.nowMs - (this.#workedMs.get(site) ?? 0) >= nodesIdleMs) this.#nodesWork(site, 1);
    const dice = this.#random();
    const alive = this.operators.filter(({ site }) => site.alive);
    const operator = pick(this.#random, alive);
    if (dice < 0.4) await operator.pass();
    else if (dice < 0.6) controllersWork(operator.site);
    else if (dice < 1 - this.#faultShare() || !faults) this.#nodesWork(operator.site, 0.7);
    else await this.#fault(operator);
    this.#invariants.check();
  }

  #faultShare(): number {
    return this.#options.theme === undefined ? 0.05 : 0.1;
  }

  /** Ends all faults; the administrator puts right what he did wrong. Times that a wrong clock wrote pass by. */
  async heal(): Promise<void> {
    if (this.story.some((line) => line.includes(" jump "))) await this.#clock.advance(this.#longestJumpMs);
    for (const site of this.sites) Object.assign(site, { reachable: true, alive: true, clockOffsetMs: 0 });
    for (const operator of this.operators) {
      mendMachines(operator.site);
      operator.site.crashAfterWrites = Number.POSITIVE_INFINITY;
      operator.watch.relist();
    }
    if (!this.#options.edits) return;
    const spec = mended(this.#newest().cluster.spec, this.level(), this.#options.theme?.soakSeconds);
    for (const site of this.sites) site.putCluster(edited(site.cluster, spec));
    this.#consent();
    this.story.push("all is mended");
  }

  /** Consent for all nodes that are wanted: what stands in the way of rest is a person's word then. */
  #consent(): void {
    const wanted = names(this.#newest().cluster.spec);
    for (const site of this.sites) site.putCluster(withConsent(site.cluster, wanted));
  }

  /** Whether everything is as the document wants it: every wanted node serves at its version, nobody else is there. */
  atRest(): boolean {
    const { spec } = this.#newest().cluster;
    const wanted = names(spec);
    const nodes = this.all();
    const same = this.sites.every(({ cluster }) => textOf(cluster.spec) === textOf(spec));
    return (
      same &&
      nodes.length === wanted.length &&
      nodes.every(
        (node) =>
          wanted.includes(node.metadata.name) &&
          node.spec.membership.action === "Member" &&
          isServing(node) &&
          node.status?.version === spec.version &&
          node.spec.featureLevel === spec.version &&
          !settingsLag(this.#newest().cluster, factsOf(spec, node)),
      ) &&
      this.sites.every((site) => podsAreCurrent(site) && site.leases.holder("keyfleet-bank") === undefined)
    );
  }

  /** Lets the time pass for which volumes of removed nodes are kept. */
  async passRetention(): Promise<void> {
    await this.#clock.advance(retentionMs);
  }

  /** What must hold once all is at rest. */
  checkAtRest(): void {
    this.#invariants.checkLogs();
  }

  /** Writes of all operators so far. */
  writes(): number {
    return this.sites.reduce((sum, { writes }) => sum + writes, 0);
  }

  /** Highest feature level that any node of the fleet may use. */
  level(): string {
    const members = this.all().filter(({ spec }) => spec.membership.action !== "None");
    return highestVersion(members.map(({ spec }) => spec.featureLevel)) ?? "0.1.0";
  }

  /** All KmsNodes of all sites. */
  all(): KmsNode[] {
    return this.sites.flatMap(({ nodes }) => [...nodes.values()]);
  }

  /** State of every node, for the message of a schedule that fails. */
  describe(): string {
    const nodes = this.all().map(
      ({ metadata, spec, status }) =>
        `${metadata.name}=${spec.membership.action}@${spec.version}/${status?.version}/${spec.featureLevel}` +
        `:${status?.conditions?.find(({ type }) => type === "Serving")?.reason} [${spec.members.map((one) => `${one.name.slice(2)}${one.standing[0]}`).join(" ")}]`,
    );
    const sites = this.sites.map(
      ({ name, cluster, alive, reachable, leases }) =>
        `${name}${alive ? "" : " dead"}${reachable ? "" : " cut"} ${cluster.metadata.annotations?.["keyfleet.io/spec-version"]} lease=${leases.holder("keyfleet-bank")?.site} "${cluster.status?.message}" ${JSON.stringify(cluster.status?.blockedBy?.map(({ gate, subject }) => `${gate} ${subject}`))} ${names(cluster.spec)} ${cluster.spec.version} lost=${cluster.spec.recovery?.lostSites}`,
    );
    return `\n${this.story.slice(-25).join("; ")}\n${sites.join("\n")}\n${nodes.join("\n")}`;
  }

  /** Each running node of the site does its next thing, as likely as that. */
  #nodesWork(site: SimulatedSite, chance: number): void {
    if (chance === 1) this.#workedMs.set(site, this.nowMs);
    const running = [...site.nodes.values()].filter(({ metadata: { name } }) => runs(site, name));
    const world = {
      realMs: this.nowMs,
      nowMs: this.nowMs + site.clockOffsetMs,
      random: this.#random,
      request: (name: string) => this.#options.requests.get(name) ?? "",
      newId: (kind: string) => `${kind}-${++this.#ids}`,
      peer: (name: string) => this.#peer(site, name),
    };
    for (const node of running) if (chance === 1 || this.#random() < chance) work(site, node, world);
  }

  #peer(from: SimulatedSite, name: string) {
    const site = this.sites.find(({ nodes }) => nodes.has(name));
    const node = site?.nodes.get(name);
    const volume = site?.volumes.get(name);
    if (site === undefined || node === undefined || volume === undefined) return undefined;
    return this.linked(from, site) && runs(site, name) ? { node, volume } : undefined;
  }

  async #fault(operator: SimulatedOperator): Promise<void> {
    const { site } = operator;
    const { theme, edits } = this.#options;
    const isEdit = edits && this.#random() < editShare;
    const kind = isEdit ? "edit" : pick(this.#random, theme?.faults ?? everyFault);
    this.story.push(`${Math.round(this.nowMs / 1000) % 100_000} ${kind} ${site.name}`);
    if (kind === "edit") return this.#edit(site);
    await this.#faults[kind](operator);
  }

  #edit(site: SimulatedSite): void {
    const world = { random: this.#random, sites: this.sites, level: this.level() };
    const edit = editAtRandom(site, world, this.#options.theme?.edits);
    this.story.push(`  ${edit}: ${site.cluster.spec.version} ${names(site.cluster.spec).join()}`);
  }

  readonly #faults: Readonly<Record<Fault, (operator: SimulatedOperator) => void | Promise<void>>> = {
    cut: ({ site }) => {
      site.reachable = !site.reachable;
    },
    crash: ({ site }) => {
      site.crashAfterWrites = Math.floor(this.#random() * 4);
    },
    restart: (operator) => operator.restart(),
    object: ({ site }) => this.#loseObject(site, ({ kind }) => kind !== "Secret" && kind !== "PersistentVolumeClaim"),
    pod: ({ site }) => this.#loseObject(site, ({ kind }) => kind === "Pod"),
    unheard: ({ site, watch }) => {
      if (!watch.loseReadiness(site)) this.#loseObject(site, ({ kind }) => kind === "Pod");
    },
    node: ({ site }) => this.#loseNode(site),
    lose: ({ site }) => {
      if (this.sites.filter(({ alive }) => !alive).length < mostDead) site.alive = false;
    },
    return: () => this.#return(),
    jump: ({ site }) => this.#jump(site),
    machine: ({ site }) => this.#withVolume(site, machineDies),
    hsm: ({ site }) => this.#withVolume(site, hsmGoes),
    clock: ({ site }) => this.#withVolume(site, clockGoesOff),
    newcomerHsm: ({ site }) => this.#withNewcomer(site, hsmGoes),
    newcomerClock: ({ site }) => this.#withNewcomer(site, clockGoesOff),
    foreign: ({ site }) => this.#withNewcomer(site, getsForeignVolume),
    slow: () => this.#slow(),
    lostEvent: (operator) => this.#loseEvent(operator),
    doubledEvent: async (operator) => {
      await operator.pass();
      await operator.pass();
    },
  };

  #withVolume(site: SimulatedSite, happens: typeof hsmGoes): void {
    const volumes = [...site.nodes.keys()].flatMap((name) => site.volumes.get(name) ?? []);
    if (volumes.length > 0) happens(pick(this.#random, volumes), this.nowMs, this.#random);
  }

  /** The same to one that does not belong yet, of whatever site. */
  #withNewcomer(_site: SimulatedSite, happens: typeof hsmGoes): void {
    const waiting = this.sites.flatMap(({ nodes, volumes }) =>
      [...nodes.values()].flatMap(({ metadata, spec }) =>
        spec.membership.action === "None" ? (volumes.get(metadata.name) ?? []) : [],
      ),
    );
    if (waiting.length > 0) happens(pick(this.#random, waiting), this.nowMs, this.#random);
  }

  /**
   * The other sites' API servers are read, but can write nothing for a while (etcd without a leader): the lock of whoever
   * holds it, or takes it just now, runs out; and its own API server is slow, so that the pass takes long.
   */
  async #slow(): Promise<void> {
    const held = this.operators.find(({ site }) => site.alive && holdsAnyShare(this.sites, site));
    const operator =
      held ??
      pick(
        this.#random,
        this.operators.filter(({ site }) => site.alive),
      );
    await operator.pass();
    for (const { leases } of this.sites) leases.readOnly = true;
    await this.#clock.advance(longestRunDownMs - Math.floor(this.#random() * 3_000));
    await operator.pass(() => this.#clock.advance(longestPassMs - Math.floor(this.#random() * 4_000)));
    for (const { leases } of this.sites) leases.readOnly = false;
  }

  /** The clocks of a site jump; a second jump may put them right. */
  #jump(site: SimulatedSite): void {
    const isOff = site.clockOffsetMs !== 0;
    site.clockOffsetMs =
      isOff && this.#random() < 0.5 ? 0 : Math.round((this.#random() - 0.5) * 2 * this.#longestJumpMs);
  }

  /** A watch of the operator loses one event: the next change of some object of some site. */
  #loseEvent(operator: SimulatedOperator): void {
    const site = pick(this.#random, this.sites);
    const own = site === operator.site && this.#random() < 0.5;
    const objects = own ? [...site.objects.values()] : [...site.nodes.values()];
    const watched = objects.filter(({ kind }) => kind === "KmsNode" || kind === "Pod" || kind === "StatefulSet");
    if (watched.length === 0) return;
    const { kind, metadata } = pick<{ readonly kind: string; readonly metadata: { readonly name: string } }>(
      this.#random,
      watched,
    );
    operator.watch.lose(site, kind, metadata.name);
  }

  #loseObject(site: SimulatedSite, isMeant: (object: SimulatedObject) => boolean): void {
    const victims = [...site.objects.values()].filter(isMeant);
    if (victims.length === 0) return;
    const victim = pick(this.#random, victims);
    site.remove(victim.kind, victim.metadata.name);
  }

  /** A KmsNode deleted by hand; the node's volume stays. */
  #loseNode(site: SimulatedSite): void {
    const members = [...site.nodes.values()].filter(({ spec }) => spec.membership.action === "Member");
    if (members.length === 0 || this.#random() > 0.3) return;
    const { name } = pick(this.#random, members).metadata;
    site.remove("KmsNode", name);
    this.#invariants.forget(name);
  }

  #return(): void {
    const dead = this.operators.filter(({ site }) => !site.alive);
    if (dead.length === 0) return;
    const back = pick(this.#random, dead);
    back.site.alive = true;
    back.restart();
  }

  #newest(): SimulatedSite {
    const edit = ({ cluster }: SimulatedSite) => {
      const [number = "0", site = ""] = (cluster.metadata.annotations?.["keyfleet.io/spec-version"] ?? "").split("@");
      const stamped = Number(cluster.metadata.annotations?.["keyfleet.io/spec-generation"] ?? 0);
      return [Number(number) + (cluster.metadata.generation !== stamped ? 0.5 : 0), site] as const;
    };
    return [...this.sites].sort(
      (a, b) => edit(b)[0] - edit(a)[0] || (edit(b)[1] > edit(a)[1] ? 1 : -1),
    )[0] as SimulatedSite;
  }
}

type SimulatedObject = Parameters<SimulatedSite["apply"]>[0];

/** What settingsLag wants to know of a node. */
function factsOf(spec: KmsCluster["spec"], node: KmsNode): NodeFacts {
  const { name } = node.metadata;
  const siteEntry = spec.sites.find(({ nodes }) => nodes.some((entry) => entry.name === name));
  return { name, node, siteEntry, entry: siteEntry?.nodes.find((entry) => entry.name === name) } as NodeFacts;
}

function holdsAnyShare(sites: readonly SimulatedSite[], { name }: SimulatedSite): boolean {
  return sites.some(({ leases }) => leases.holder("keyfleet-bank")?.site === name);
}

/** Whether a node has a pod, and its machine runs. */
function runs(site: SimulatedSite, name: string): boolean {
  return site.objects.has(`Pod/${name}-0`) && machineRuns(site.volumes.get(name));
}

function isServing(node: KmsNode): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === "Serving" && status === "True") ?? false;
}
