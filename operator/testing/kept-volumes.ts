import { keptUntil } from "../plan/kept-time.ts";
import type { KmsCluster, KubernetesObject } from "../ports/types.ts";
import type { SimulatedSite } from "./simulated-site.ts";

/** So short that it is over within a schedule, and that clocks jump beyond it. */
export const retentionMs = 10 * 60_000;

/** The document with that time. */
export function withRetention(cluster: KmsCluster): KmsCluster {
  const { defaults } = cluster.spec;
  const storage = { ...defaults?.storage, retainAfterRemoval: `${retentionMs / 60_000}m` };
  return { ...cluster, spec: { ...cluster.spec, defaults: { ...defaults, storage } } };
}

/** Whether a site has a volume of a removed node. */
export function keepsAny({ objects }: SimulatedSite): boolean {
  return [...objects.values()].some(isKept);
}

/** The promise of the time for which the volume of a removed node is kept, by time that never jumps. */
export class KeptVolumes {
  readonly #nowMs: () => number;
  readonly #hold: (holds: boolean, what: string) => void;
  /** When each was first marked, by its claim's name. */
  readonly #sinceMs = new Map<string, number>();
  /** How many were deleted. */
  deleted = 0;

  constructor(nowMs: () => number, hold: (holds: boolean, what: string) => void) {
    this.#nowMs = nowMs;
    this.#hold = hold;
  }

  /** Called before each write of an operator takes effect. */
  beforeWrite(before: KubernetesObject | undefined, after: KubernetesObject | undefined): void {
    const object = after ?? before;
    if (object?.kind === "PersistentVolumeClaim") this.#claimChanges(object.metadata.name, after);
    const erases = object?.kind === "Pod" ? object.metadata.labels?.["keyfleet.io/erases"] : undefined;
    if (erases !== undefined && after !== undefined) this.#isOver(`data-${erases}-0`, `the key of ${erases} destroyed`);
  }

  #claimChanges(name: string, after: KubernetesObject | undefined): void {
    if (after !== undefined && isKept(after)) {
      if (!this.#sinceMs.has(name)) this.#sinceMs.set(name, this.#nowMs());
      return;
    }
    if (after === undefined) {
      this.#isOver(name, `${name} deleted`);
      this.deleted += 1;
    }
    this.#sinceMs.delete(name);
  }

  #isOver(claim: string, what: string): void {
    const keptMs = this.#nowMs() - (this.#sinceMs.get(claim) ?? this.#nowMs());
    this.#hold(keptMs >= retentionMs, `${what} after ${Math.round(keptMs / 1000)} s of ${retentionMs / 1000}`);
  }
}

function isKept({ kind, metadata }: KubernetesObject): boolean {
  return kind === "PersistentVolumeClaim" && metadata.annotations?.[keptUntil] !== undefined;
}
