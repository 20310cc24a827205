import type { Member } from "@keyfleet/crds/kms-node.ts";
import { targetVersion } from "../desired/upgrade-requests.ts";
import type { KmsNode, Observed } from "../ports/types.ts";
import { isReady, type Volume } from "./simulated-node.ts";
import type { SimulatedSite } from "./simulated-site.ts";
import type { Simulation } from "./simulation.ts";

/** How long after it was seen serving a node may still be believed to serve: views lag. */
export const beliefMs = 8_000;
/** How long a view of another site may lag. */
export const viewLagMs = 4_000;

/** What is really so in a simulation, whatever its operators believe. */
export class Truth {
  readonly #world: Simulation;
  readonly #lastServed = new Map<string, number>();
  /** When the machine of a node was dead last. */
  readonly #lastDead = new Map<string, number>();
  readonly #wantedBy = new WeakMap<object, ReadonlySet<string>>();

  constructor(world: Simulation) {
    this.#world = world;
  }

  /** Called after each step. */
  note(): void {
    for (const { metadata } of this.#world.all()) {
      if (this.serves(metadata.name)) this.#lastServed.set(metadata.name, this.#world.nowMs);
      if (this.volumeOf(metadata.name)?.backAtMs !== undefined) this.#lastDead.set(metadata.name, this.#world.nowMs);
    }
  }

  serves(name: string): boolean {
    const site = this.siteOf(name);
    return (site?.alive && site.volumes.get(name)?.serving && site.objects.has(`Pod/${name}-0`)) ?? false;
  }

  /** Whether an operator may think that it serves. */
  believed(name: string): boolean {
    return this.serves(name) || this.#since(this.#lastServed, name) <= beliefMs || this.#isJustBack(name);
  }

  /** Others have links to it again, and what it says itself by now may not have been heard. */
  #isJustBack(name: string): boolean {
    return this.volumeOf(name)?.backAtMs === undefined && this.#since(this.#lastDead, name) <= viewLagMs;
  }

  #since(times: ReadonlyMap<string, number>, name: string): number {
    return this.#world.nowMs - (times.get(name) ?? 0);
  }

  belongs(name: string): boolean {
    return this.#world
      .all()
      .some(({ metadata, spec }) => metadata.name === name && spec.membership.action === "Member");
  }

  isListed(name: string, standing: Member["standing"]): boolean {
    return this.#world
      .all()
      .some(({ spec }) => spec.members.some((one) => one.name === name && one.standing === standing));
  }

  /** Whether it founds, joins or leaves, and is not through with that. */
  isInTheMiddle({ metadata, spec }: KmsNode): boolean {
    const { action } = spec.membership;
    if (action === "Join" || action === "Found") return true;
    return action === "Leave" && !this.isListed(metadata.name, "Departed");
  }

  /** Whether a site counts in the eyes of another. */
  counts(site: SimulatedSite, other: string): boolean {
    return !(site.cluster.spec.recovery?.lostSites ?? []).includes(other);
  }

  /** The version that all nodes shall run, as the copy of the document in that site has it: that, or back to the level. */
  target({ cluster }: SimulatedSite): string {
    const sites = this.#world.sites.map((one) => ({ cluster: one.cluster }));
    return targetVersion({ cluster, sites } as unknown as Observed, this.#world.level());
  }

  /** Nodes that the copy of the document in that site names. */
  wanted({ cluster: { spec } }: SimulatedSite): ReadonlySet<string> {
    const known = this.#wantedBy.get(spec);
    if (known !== undefined) return known;
    const wanted = new Set(spec.sites.flatMap(({ nodes }) => nodes.map(({ name }) => name)));
    this.#wantedBy.set(spec, wanted);
    return wanted;
  }

  /** Members that a site must reckon with: those that its document names, of sites that count. */
  needed(site: SimulatedSite): KmsNode[] {
    return this.#world
      .all()
      .filter(
        ({ metadata, spec }) =>
          spec.membership.action === "Member" && this.counts(site, spec.site) && this.wanted(site).has(metadata.name),
      );
  }

  /** Whether the operator of a site has lost the event that tells how a node is now. */
  isMistaken(site: SimulatedSite, name: string): boolean {
    const home = this.siteOf(name) ?? site;
    const operator = this.#world.operators.find((one) => one.site === site);
    return operator?.watch.isMistaken(home, "KmsNode", name) ?? false;
  }

  /** Only its peers know of a dead machine; the operator of a site may have lost the event that says so. */
  isHidden(site: SimulatedSite, name: string): boolean {
    const isDead = this.volumeOf(name)?.backAtMs !== undefined;
    return isDead && this.#world.all().some(({ metadata }) => this.isMistaken(site, metadata.name));
  }

  /** Whether its machine died, and nothing in its site says so yet: not once it is back either, until its process is. */
  diedUnnoticed(name: string): boolean {
    const volume = this.volumeOf(name);
    const pod = this.siteOf(name)?.objects.get(`Pod/${name}-0`);
    return volume?.backAtMs !== undefined || (volume?.running === false && pod !== undefined && isReady(pod));
  }

  siteOf(name: string): SimulatedSite | undefined {
    return this.#world.sites.find(({ nodes }) => nodes.has(name));
  }

  volumeOf(name: string): Volume | undefined {
    return this.siteOf(name)?.volumes.get(name);
  }

  /** Whether clocks were wrong at some time: then nobody knows how long anything took. */
  clocksJumped(): boolean {
    return this.#world.story.some((line) => line.includes(" jump "));
  }

  drained(name: string): boolean {
    const conditions = this.siteOf(name)?.nodes.get(name)?.status?.conditions ?? [];
    return conditions.some(({ type, reason }) => type === "Serving" && reason === "Drained");
  }
}
