import { rebuildAnnotation } from "../desired/consent.ts";
import type { KmsNode } from "../ports/types.ts";
import { mostOfFleet } from "./simulated-edits.ts";
import { isForeign, runningVersion, type Volume } from "./simulated-node.ts";
import type { SimulatedSite } from "./simulated-site.ts";
import type { Simulation } from "./simulation.ts";
import type { Truth } from "./truth.ts";

/** By then a node has said how it is, and its own operator has heard it. */
const toldWithinMs = 4_000;

interface Tools {
  readonly truth: Truth;
  readonly hold: (holds: boolean, what: string) => void;
}

/** What is promised of a node that is let in, to found the fleet or to join it, and of what it was before. */
export class JoinPromises {
  readonly #world: Simulation;
  readonly #tools: Tools;
  /** Nodes for which somebody ever consented that they lose what they hold. */
  readonly #consented = new Set<string>();
  /** Lives that have left to come back with another version. */
  readonly #rebuilt = new Set<string>();

  constructor(world: Simulation, tools: Tools) {
    this.#world = world;
    this.#tools = tools;
  }

  /** Called after each step. */
  note(): void {
    for (const { cluster } of this.#world.sites)
      for (const name of cluster.metadata.annotations?.["keyfleet.io/rejoin"]?.split(",") ?? [])
        this.#consented.add(name);
  }

  /** A node that the document wants is made to leave, so that it comes back with another version. */
  leavesToBeRebuilt(site: SimulatedSite, name: string): void {
    this.#rebuilt.add(`${name} ${this.#tools.truth.volumeOf(name)?.incarnation}`);
    const out = [...this.#tools.truth.wanted(site)].filter(
      (one) => this.#tools.truth.counts(site, one.slice(0, 3)) && !this.#isIn(one),
    );
    this.#tools.hold(out.length === 0, `${name} leaves to be rebuilt before ${out} has joined`);
  }

  /** A node is to found the fleet, or to join it. */
  begins(site: SimulatedSite, before: KmsNode): void {
    const { name } = before.metadata;
    const { truth, hold } = this.#tools;
    const volume = truth.volumeOf(name);
    hold(!isForeign(volume?.clusterId), `${name} is let in with the keys of another fleet`);
    const members = this.#world.all().filter((node) => node.metadata.name !== name && this.#isIn(node.metadata.name));
    hold(members.length < mostOfFleet, `${name} joins a fleet of ${members.length}`);
    if (volume?.running && !truth.isMistaken(site, name)) this.#isFit(name, volume);
    if (before.metadata.annotations?.[rebuildAnnotation] === undefined) this.#runsTheirVersion(site, name);
  }

  /** Its HSM answers, and its clock is right: that it is not so any more may not have been heard. */
  #isFit(name: string, { sickSinceMs, sickUntilMs, offSinceMs, offUntilMs }: Volume): void {
    const { nowMs } = this.#world;
    const isSo = (sinceMs = nowMs, untilMs = 0) => nowMs < untilMs && nowMs - sinceMs > toldWithinMs;
    this.#tools.hold(!isSo(sickSinceMs, sickUntilMs), `${name} is let in while its HSM is away`);
    this.#tools.hold(!isSo(offSinceMs, offUntilMs), `${name} is let in with a clock that is off`);
  }

  #runsTheirVersion(site: SimulatedSite, name: string): void {
    const runs = runningVersion(this.#tools.truth.siteOf(name) ?? site, name);
    const others = this.#tools.truth.needed(site).filter(({ spec }) => spec.version !== runs);
    const said = others.map(({ metadata, spec }) => `${metadata.name} ${spec.version}`);
    this.#tools.hold(others.length === 0, `${name} is let in with version ${runs} beside ${said}`);
  }

  /** A node is told to begin a new life with an empty volume. */
  wiped(name: string, life: string | undefined): void {
    this.note();
    const mayBe = this.#consented.has(name) || this.#rebuilt.has(`${name} ${life}`);
    this.#tools.hold(mayBe, `${name} is wiped although nobody consented`);
  }

  /** Whether a node is in, whatever has become of its KmsNode. */
  #isIn(name: string): boolean {
    const { truth } = this.#tools;
    const isOut = truth.isListed(name, "Fenced") || truth.isListed(name, "Departed");
    return truth.belongs(name) || (truth.isListed(name, "Member") && !isOut);
  }
}
