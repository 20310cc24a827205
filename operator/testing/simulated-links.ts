import { pick } from "./random.ts";
import type { SimulatedSite } from "./simulated-site.ts";

/** What goes from site to site: operators to API servers, and nodes to nodes. Firewalls know them apart, and each way. */
export type LinkKind = "api" | "mesh";

/** The links between the sites. */
export class SimulatedLinks {
  readonly #sites: readonly SimulatedSite[];
  readonly #cut = new Set<string>();

  constructor(sites: readonly SimulatedSite[]) {
    this.#sites = sites;
  }

  /** Whether what runs in one site gets through to the other now. */
  isUp(kind: LinkKind, from: SimulatedSite, to: SimulatedSite): boolean {
    if (!from.alive || !to.alive) return false;
    return from === to || (from.reachable && to.reachable && !this.#cut.has(keyOf(kind, from, to)));
  }

  /** Cuts one way between two sites, or mends it. */
  turnOneWay(kind: LinkKind, random: () => number): void {
    const from = pick(random, this.#sites);
    const others = this.#sites.filter((site) => site !== from);
    this.#turn(kind, from, [pick(random, others)]);
  }

  /** Cuts a site off from all others, for what it asks or for what it is asked, or mends that. */
  turnSite(kind: LinkKind, site: SimulatedSite, random: () => number): void {
    const others = this.#sites.filter((other) => other !== site);
    if (random() < 0.5) this.#turn(kind, site, others);
    else for (const other of others) this.#turn(kind, other, [site]);
  }

  mend(): void {
    this.#cut.clear();
  }

  /** Those that are cut, for the message of a schedule that fails. */
  describe(): string {
    return [...this.#cut].join(" ");
  }

  #turn(kind: LinkKind, from: SimulatedSite, to: readonly SimulatedSite[]): void {
    const keys = to.map((other) => keyOf(kind, from, other));
    const isCut = keys.every((key) => this.#cut.has(key));
    for (const key of keys) {
      if (isCut) this.#cut.delete(key);
      else this.#cut.add(key);
    }
  }
}

function keyOf(kind: LinkKind, from: SimulatedSite, to: SimulatedSite): string {
  return `${kind}:${from.name}>${to.name}`;
}
