import type { KmsCluster, KmsNode, KubernetesObject, SiteApi } from "../ports/types.ts";
import { inCache } from "./in-cache.ts";
import { SimulatedLeases } from "./simulated-leases.ts";
import { copyOf, type Volume } from "./simulated-node.ts";
import { textOf } from "./text-of.ts";

/** What a crash of the operator in the middle of its work looks like to the code that runs. */
export class Crash extends Error {
  override readonly name = "Crash";
}

/** Told before an operator's write takes effect; undefined means that the object is not there. */
export type BeforeWrite = (
  site: SimulatedSite,
  before: KubernetesObject | undefined,
  after: KubernetesObject | undefined,
) => void;

/** One site of the simulation: its API server, as far as operators and nodes see it. Objects are replaced, never changed. */
export class SimulatedSite {
  readonly name: string;
  readonly nodes = new Map<string, KmsNode>();
  readonly objects = new Map<string, KubernetesObject>();
  /** Volumes outlive everything: what each node remembers of its fleet. */
  readonly volumes = new Map<string, Volume>();
  readonly leases: SimulatedLeases;
  cluster: KmsCluster;
  /** Whether there is any link to it and from it (simulated-links.ts knows more). */
  reachable = true;
  /** Whether anything runs there at all. */
  alive = true;
  /** How far the clocks of the site are off. */
  clockOffsetMs = 0;
  /** Writes of the operator so far, events left out. */
  writes = 0;
  /** The operator crashes after so many more writes. */
  crashAfterWrites = Number.POSITIVE_INFINITY;
  /** The Secret of its CA, while that was deleted by hand. */
  lostCa: KubernetesObject | undefined;
  /** Grows with each change of what other sites can see. */
  revision = 0;
  #uids = 0;
  readonly #beforeWrite: BeforeWrite;

  constructor(name: string, cluster: KmsCluster, beforeWrite: BeforeWrite) {
    this.name = name;
    this.cluster = cluster;
    this.leases = new SimulatedLeases();
    this.#beforeWrite = beforeWrite;
  }

  /** The API of this site for its own operator. */
  api(): SiteApi {
    return {
      apply: async (object) => this.#written(this.#known(object), object, () => this.apply(object)),
      remove: async (object) =>
        this.#written(this.#known(object), undefined, () => this.remove(object.kind, object.metadata.name)),
      removeAsSeen: async (object, others) => {
        if ([object, ...others].some((seen) => !isSeen(this.#known(seen), seen))) return false;
        this.#written(object, undefined, () => this.remove(object.kind, object.metadata.name));
        return true;
      },
      readSecret: async (name) => decoded(this.objects.get(`Secret/${name}`)),
      createSecret: async (object) => {
        if (this.objects.has(`Secret/${object.metadata.name}`)) return false;
        this.#written(undefined, object, () => this.objects.set(`Secret/${object.metadata.name}`, object));
        return true;
      },
      writeStatus: async ({ status }) => {
        if (textOf(this.cluster.status ?? {}) === JSON.stringify(status)) return false;
        this.#written(undefined, undefined, () => {
          this.cluster = { ...this.cluster, status: status as NonNullable<KmsCluster["status"]> };
          this.revision += 1;
        });
        return true;
      },
      letGo: async () => this.#written(undefined, undefined, () => undefined),
      event: async () => {},
    };
  }

  /** Takes over everything that is in another one, which stays as it is. */
  becomes(other: SimulatedSite): this {
    for (const [name, node] of other.nodes) this.nodes.set(name, node);
    for (const [key, object] of other.objects) this.objects.set(key, object);
    for (const [name, volume] of other.volumes) this.volumes.set(name, copyOf(volume));
    this.cluster = other.cluster;
    this.#uids = other.#uids;
    return this;
  }

  /** What the operator writes to its own copy of the document. */
  writeCluster(cluster: KmsCluster): void {
    this.#written(undefined, undefined, () => this.putCluster(cluster));
  }

  /** What anybody writes to the document. */
  putCluster(cluster: KmsCluster): void {
    this.cluster = cluster;
    this.revision += 1;
  }

  /** A node of the site as it is from now on. */
  putNode(node: KmsNode): void {
    this.nodes.set(node.metadata.name, node);
    this.revision += 1;
  }

  /** Deletes an object and what it owns, as the garbage collector does. */
  remove(kind: string, name: string): void {
    if (kind !== "KmsNode") {
      this.objects.delete(`${kind}/${name}`);
      if (kind === "StatefulSet") this.objects.delete(`Pod/${name}-0`);
      if (kind === "PersistentVolumeClaim") this.volumes.delete(name.slice("data-".length, -"-0".length));
      return;
    }
    const uid = this.nodes.get(name)?.metadata.uid;
    this.nodes.delete(name);
    this.revision += 1;
    for (const [key, { metadata }] of this.objects)
      if ((metadata.ownerReferences as { uid: string }[] | undefined)?.some((owner) => owner.uid === uid))
        this.objects.delete(key);
    if (!this.objects.has(`StatefulSet/${name}`)) this.objects.delete(`Pod/${name}-0`);
  }

  /** Server-side apply, as far as it matters here. */
  apply(object: KubernetesObject): KubernetesObject {
    const before = this.#known(object);
    const changed = before === undefined || textOf(specOf(before)) !== textOf(specOf(object));
    const generation = ((before?.metadata.generation as number | undefined) ?? 0) + (changed ? 1 : 0);
    const identity = before?.metadata ?? { uid: `${this.name}-${++this.#uids}`, creationTimestamp: this.#created() };
    const { uid, creationTimestamp } = identity as { uid: string; creationTimestamp: string };
    // Labels that others gave stay: a claim has its own from its StatefulSet.
    const labels = object.metadata.labels ?? before?.metadata.labels;
    const metadata = { ...object.metadata, ...(labels && { labels }), uid, creationTimestamp, generation };
    const { status: _status, ...rest } = object;
    const stored = { ...before, ...rest, metadata, ...(before?.status === undefined ? {} : { status: before.status }) };
    if (object.kind === "KmsNode") this.putNode(stored as unknown as KmsNode);
    else this.objects.set(`${object.kind}/${object.metadata.name}`, stored);
    return stored;
  }

  /** Time of this site, for what is made. */
  now: () => string = () => "";

  #created(): string {
    return this.now();
  }

  #known({ kind, metadata }: KubernetesObject): KubernetesObject | undefined {
    if (kind === "KmsNode") return this.nodes.get(metadata.name) as unknown as KubernetesObject | undefined;
    return this.objects.get(`${kind}/${metadata.name}`);
  }

  #written<Result>(
    before: KubernetesObject | undefined,
    after: KubernetesObject | undefined,
    write: () => Result,
  ): Result {
    if (this.crashAfterWrites-- <= 0) throw new Crash("the operator was killed");
    if (before !== undefined || after !== undefined) this.#beforeWrite(this, before, after);
    this.writes += 1;
    return write();
  }
}

function isSeen(now: KubernetesObject | undefined, seen: KubernetesObject): boolean {
  return now !== undefined && (now === seen || inCache(now) === seen);
}

function specOf({ spec }: KubernetesObject): object {
  return (spec as object | undefined) ?? {};
}

function decoded(secret: KubernetesObject | undefined): Record<string, Buffer> | undefined {
  if (secret === undefined) return undefined;
  const entries = Object.entries(secret.data as Record<string, string>);
  return Object.fromEntries(entries.map(([key, value]) => [key, Buffer.from(value, "base64")]));
}
