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

  constructor(world: Simulation, tools: Tools) {
    this.#world = world;
    this.#tools = tools;
  }

  /** Called after each step: new settings that do not work are tried on one node; those that serve could not even come up with them by accident. */
  check(): void {
    const threatened = this.#world.sites.flatMap((site) =>
      [...site.nodes.values()].filter(({ metadata, spec }) => {
        // One that the document dropped is on its way out: nobody counts on its coming up again.
        if (!this.#tools.truth.wanted(site).has(metadata.name)) return false;
        const set = site.objects.get(`StatefulSet/${metadata.name}`)?.spec as object | undefined;
        return (
          set !== undefined &&
          this.#isBad(set) &&
          spec.membership.action === "Member" &&
          this.#tools.truth.serves(metadata.name)
        );
      }),
    );
    // Whoever names a site lost goes on without what was begun there.
    const counted = threatened.filter(({ spec }) => !this.#isNamedLost(spec.site));
    const names = counted.map(({ metadata }) => metadata.name);
    this.#tools.hold(names.length <= 1, `settings that do not work wait in the pods of ${names}`);
  }

  #isNamedLost(name: string): boolean {
    return this.#world.sites.some((site) => !this.#tools.truth.counts(site, name));
  }

  #isBad(set: object): boolean {
    const known = this.#badSets.get(set) ?? textOf(set).includes("/bad.so");
    this.#badSets.set(set, known);
    return known;
  }
}
