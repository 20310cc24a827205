import type { NodeFacts } from "../desired/facts.ts";
import { settingsLag } from "../desired/staging.ts";
import { highestVersion } from "../desired/version.ts";
import type { Clock, KmsCluster, KmsNode } from "../ports/types.ts";
import { Invariants } from "./invariants.ts";
import { retentionMs, withRetention } from "./kept-volumes.ts";
import { generator, pick } from "./random.ts";
import { putBackCa } from "./simulated-ca.ts";
import { SimulatedClock } from "./simulated-clock.ts";
import { controllersWork, podsAreCurrent } from "./simulated-controllers.ts";
import { editAtRandom, edited, mended, names, withConsent, withSites } from "./simulated-edits.ts";
import { faults } from "./simulated-faults.ts";
import { SimulatedLinks } from "./simulated-links.ts";
import { machineRuns, mendMachines, watchMachines } from "./simulated-machines.ts";
import { work } from "./simulated-node.ts";
import { SimulatedOperator } from "./simulated-operator.ts";
import { SimulatedSite } from "./simulated-site.ts";
import { textOf } from "./text-of.ts";
import { everyFault, type Theme } from "./themes.ts";

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
/** Of what happens to a fleet that is edited, so much is an edit. */
const editShare = 0.45;
const longestJumpMs = 20 * 60_000;
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
  readonly #links: SimulatedLinks;
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
    this.#links = new SimulatedLinks(this.sites);
    const linked = (from: SimulatedSite, to: SimulatedSite) => this.linked(from, to);
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

  /** Whether the operator of one site reaches the API server of the other now. */
  linked(from: SimulatedSite, to: SimulatedSite): boolean {
    return this.#links.isUp("api", from, to);
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
    this.#links.mend();
    for (const operator of this.operators) {
      mendMachines(operator.site);
      putBackCa(operator.site);
      operator.site.crashAfterWrites = Number.POSITIVE_INFINITY;
      operator.watch.relist();
    }
    if (!this.#options.edits) return;
    const newest = withSites(
      this.#newest().cluster.spec,
      this.sites.filter(({ nodes }) => nodes.size > 0),
    );
    const spec = mended(newest, this.level(), this.#options.theme?.soakSeconds);
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
    return `\n${this.story.slice(-25).join("; ")}\n${this.#links.describe()}\n${sites.join("\n")}\n${nodes.join("\n")}`;
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
    return this.#links.isUp("mesh", from, site) && runs(site, name) ? { node, volume } : undefined;
  }

  async #fault(operator: SimulatedOperator): Promise<void> {
    const { site } = operator;
    const { theme, edits } = this.#options;
    const isEdit = edits && this.#random() < editShare;
    const kind = isEdit ? "edit" : pick(this.#random, theme?.faults ?? everyFault);
    this.story.push(`${Math.round(this.nowMs / 1000) % 100_000} ${kind} ${site.name}`);
    if (kind === "edit") return this.#edit(site);
    await faults[kind](operator, {
      ...{ random: this.#random, sites: this.sites, operators: this.operators, nowMs: this.nowMs },
      links: this.#links,
      longestJumpMs: this.#longestJumpMs,
      pass: (ms) => this.#clock.advance(ms),
      forget: (node) => this.#invariants.forget(node),
    });
  }

  #edit(site: SimulatedSite): void {
    const world = { random: this.#random, sites: this.sites, level: this.level() };
    const edit = editAtRandom(site, world, this.#options.theme?.edits);
    this.story.push(`  ${edit}: ${site.cluster.spec.version} ${names(site.cluster.spec).join()}`);
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

/** What settingsLag wants to know of a node. */
function factsOf(spec: KmsCluster["spec"], node: KmsNode): NodeFacts {
  const { name } = node.metadata;
  const siteEntry = spec.sites.find(({ nodes }) => nodes.some((entry) => entry.name === name));
  return { name, node, siteEntry, entry: siteEntry?.nodes.find((entry) => entry.name === name) } as NodeFacts;
}

/** Whether a node has a pod, and its machine runs. */
function runs(site: SimulatedSite, name: string): boolean {
  return site.objects.has(`Pod/${name}-0`) && machineRuns(site.volumes.get(name));
}

function isServing(node: KmsNode): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === "Serving" && status === "True") ?? false;
}
