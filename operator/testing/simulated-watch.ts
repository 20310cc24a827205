import type { KmsNode, KubernetesObject } from "../ports/types.ts";
import { isReady } from "./simulated-node.ts";
import type { SimulatedSite } from "./simulated-site.ts";

/** What is shown of an object instead of what it is now, and the change that was missed. */
interface Missed {
  readonly shown: KubernetesObject | undefined;
  missed: KubernetesObject | undefined;
}

/**
 * The watches of one operator, as far as they can lose an event: the next change of an object is not seen, the one after
 * that is. Objects are replaced, never changed, so identity tells whether one did.
 */
export class SimulatedWatch {
  readonly #missed = new Map<string, Missed>();

  /** Loses the event of the next change of an object. */
  lose(site: SimulatedSite, kind: string, name: string): void {
    const shown = current(site, kind, name);
    this.#missed.set(keyOf(site, kind, name), { shown, missed: shown });
  }

  /** Loses the event that a pod becomes ready, and its account is made anew meanwhile. False when all are ready. */
  loseReadiness(site: SimulatedSite): boolean {
    const waiting = [...site.objects.values()].find((object) => object.kind === "Pod" && !isReady(object));
    if (waiting === undefined) return false;
    this.lose(site, "Pod", waiting.metadata.name);
    site.remove("ServiceAccount", waiting.metadata.name.slice(0, -"-0".length));
    return true;
  }

  /** Lists everything anew. */
  relist(): void {
    this.#missed.clear();
  }

  /** What this process itself wrote it knows without a watch. */
  wrote(site: SimulatedSite, kind: string, name: string): void {
    this.#missed.delete(keyOf(site, kind, name));
  }

  /** Whether this operator does not know that the object has changed. */
  isMistaken(site: SimulatedSite, kind: string, name: string): boolean {
    const entry = this.#missed.get(keyOf(site, kind, name));
    return entry !== undefined && current(site, kind, name) !== entry.shown;
  }

  /** The KmsNodes of a site, some of which changed without this operator hearing of it. */
  nodes(site: SimulatedSite, seen: readonly KmsNode[]): readonly KmsNode[] {
    return this.#shown(site, "KmsNode", seen as unknown as readonly KubernetesObject[]) as unknown as KmsNode[];
  }

  /** The same for other objects. */
  objects(site: SimulatedSite, seen: readonly KubernetesObject[]): readonly KubernetesObject[] {
    return this.#shown(site, undefined, seen);
  }

  #shown(
    site: SimulatedSite,
    kind: string | undefined,
    seen: readonly KubernetesObject[],
  ): readonly KubernetesObject[] {
    let shown = seen;
    for (const [key, entry] of this.#missed) {
      const [where, what = "", name = ""] = key.split("/");
      const isMeant = where === site.name && (kind === undefined ? what !== "KmsNode" : what === kind);
      if (!isMeant || this.#hasCaughtUp(key, entry, current(site, what, name))) continue;
      const others = shown.filter((object) => object.kind !== what || object.metadata.name !== name);
      shown = entry.shown === undefined ? others : [...others, entry.shown];
    }
    return shown;
  }

  /** Whether the object has changed twice: the second event was heard. */
  #hasCaughtUp(key: string, entry: Missed, now: KubernetesObject | undefined): boolean {
    if (now !== entry.shown && entry.missed === entry.shown) entry.missed = now;
    return now !== entry.shown && now !== entry.missed && this.#missed.delete(key);
  }
}

function keyOf(site: SimulatedSite, kind: string, name: string): string {
  return `${site.name}/${kind}/${name}`;
}

function current(site: SimulatedSite, kind: string, name: string): KubernetesObject | undefined {
  if (kind === "KmsNode") return site.nodes.get(name) as unknown as KubernetesObject | undefined;
  return site.objects.get(`${kind}/${name}`);
}
