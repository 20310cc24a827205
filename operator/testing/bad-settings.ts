import type { KmsNode } from "../ports/types.ts";
import type { SimulatedSite } from "./simulated-site.ts";
import type { Simulation } from "./simulation.ts";
import { textOf } from "./text-of.ts";
import type { Truth } from "./truth.ts";

interface Tools {
  readonly truth: Truth;
  readonly hold: (holds: boolean, what: string) => void;
}

/** Watches where settings that do not work wait. */
export class BadSettings {
  readonly #world: Simulation;
  readonly #tools: Tools;
  readonly #badSets = new WeakMap<object, boolean>();
  /**
   * Whoever names a site lost goes on without what was begun there, which is there still when that name is taken back; and two
   * sites that do not see each other may each give them to a node that does not serve.
   */
  readonly #passedOver = new Set<string>();
  #known: ReadonlySet<string> = new Set();

  constructor(world: Simulation, tools: Tools) {
    this.#world = world;
    this.#tools = tools;
  }

  /** Called after each step: new settings that do not work are tried on one node; those that serve could not even come up with them by accident. */
  check(): void {
    const given = this.#world.sites.flatMap((site) =>
      [...site.nodes.values()].filter((node) => this.#waitIn(site, node)),
    );
    const names = new Set(given.map(({ metadata }) => metadata.name));
    for (const name of this.#passedOver) if (!names.has(name)) this.#passedOver.delete(name);
    for (const { metadata, spec } of given)
      if (this.#isNamedLost(spec.site) || (!this.#known.has(metadata.name) && this.#isCutOff(spec.site, given)))
        this.#passedOver.add(metadata.name);
    this.#known = names;
    const counted = [...names].filter((name) => !this.#passedOver.has(name) && this.#tools.truth.serves(name));
    this.#tools.hold(counted.length <= 1, `settings that do not work wait in the pods of ${counted}`);
  }

  #waitIn(site: SimulatedSite, { metadata, spec }: KmsNode): boolean {
    // One that the document dropped is on its way out: nobody counts on its coming up again.
    if (!this.#tools.truth.wanted(site).has(metadata.name)) return false;
    const set = site.objects.get(`StatefulSet/${metadata.name}`)?.spec as object | undefined;
    return set !== undefined && this.#isBad(set) && spec.membership.action === "Member";
  }

  #isNamedLost(name: string): boolean {
    return this.#world.sites.some((site) => !this.#tools.truth.counts(site, name));
  }

  /** Whether its operator could not see of some other node that they wait there. */
  #isCutOff(name: string, given: readonly KmsNode[]): boolean {
    const site = (of: string) => this.#world.sites.find((one) => one.name === of) as SimulatedSite;
    return given.some(({ spec }) => spec.site !== name && !this.#world.linked(site(name), site(spec.site)));
  }

  #isBad(set: object): boolean {
    const known = this.#badSets.get(set) ?? textOf(set).includes("/bad.so");
    this.#badSets.set(set, known);
    return known;
  }
}
