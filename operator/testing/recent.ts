import type { SimulatedSite } from "./simulated-site.ts";
import type { Simulation } from "./simulation.ts";

/** What was so lately: operators may be mistaken about the last seconds, about nothing else. */
export class Recent {
  readonly #world: Simulation;
  readonly #specs = new Map<string, { readonly spec: object; readonly sinceMs: number }>();
  readonly #linkedMs = new Map<string, number>();
  readonly #cutMs = new Map<string, number>();
  readonly #servingSinceMs = new Map<string, number>();
  /** What serves when the schedule begins has done so for long. */
  #isFirst = true;
  readonly #serving = new Set<string>();
  /** When a node stopped serving last. */
  readonly #stoppedMs = new Map<string, number>();

  constructor(world: Simulation) {
    this.#world = world;
  }

  /** Called after each step. */
  note(serves: (name: string) => boolean): void {
    const { nowMs, sites } = this.#world;
    for (const site of sites) {
      const { name, cluster } = site;
      if (this.#specs.get(name)?.spec !== cluster.spec) this.#specs.set(name, { spec: cluster.spec, sinceMs: nowMs });
      for (const other of sites) {
        const times = this.#world.linked(site, other) ? this.#linkedMs : this.#cutMs;
        times.set(`${name} ${other.name}`, nowMs);
      }
      for (const node of site.nodes.keys()) this.#noteNode(site, node, serves(node));
    }
    this.#isFirst = false;
  }

  #noteNode(site: SimulatedSite, node: string, serves: boolean): void {
    if (serves) this.#serving.add(node);
    else this.#serving.delete(node);
    // A lost site comes back as if it had only been cut off: its nodes say that they have served on.
    if (site.alive) this.#noteServing(node, serves);
  }

  #noteServing(node: string, serves: boolean): void {
    if (!serves && this.#servingSinceMs.delete(node)) this.#stoppedMs.set(node, this.#world.nowMs);
    if (!serves) return;
    if (!this.#servingSinceMs.has(node)) this.#servingSinceMs.set(node, this.#isFirst ? 0 : this.#world.nowMs);
  }

  /** For how long a node has served without a break, in milliseconds. */
  servedMs(node: string): number {
    if (!this.#serving.has(node)) return 0;
    return this.#world.nowMs - (this.#servingSinceMs.get(node) ?? this.#world.nowMs);
  }

  /** Whether a node stopped serving within that time. */
  stopped(node: string, withinMs: number): boolean {
    return this.#world.nowMs - (this.#stoppedMs.get(node) ?? 0) <= withinMs;
  }

  /** Whether the operator of a site saw another within that time. */
  linked(from: SimulatedSite, to: SimulatedSite, withinMs: number): boolean {
    if (this.#world.linked(from, to)) return true;
    return this.#world.nowMs - (this.#linkedMs.get(`${from.name} ${to.name}`) ?? 0) <= withinMs;
  }

  /** Whether the operator of a site has seen another for that time. */
  linkedSince(from: SimulatedSite, to: SimulatedSite, forMs: number): boolean {
    const cutMs = this.#cutMs.get(`${from.name} ${to.name}`);
    return this.#world.linked(from, to) && (cutMs === undefined || this.#world.nowMs - cutMs > forMs);
  }

  /** Whether one of the two specifications changed within that time. */
  edited(a: SimulatedSite, b: SimulatedSite, withinMs: number): boolean {
    return [a, b].some(({ name }) => this.#world.nowMs - (this.#specs.get(name)?.sinceMs ?? 0) <= withinMs);
  }
}
