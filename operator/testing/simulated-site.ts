import type { KmsCluster, KmsNode, KubernetesObject, SiteApi } from "../ports/types.ts";

/** What a crash of the operator in the middle of its work looks like to the code that runs. */
export class Crash extends Error {
  override readonly name = "Crash";
}

/** One site of the simulation: its API server, as far as operators and nodes see it. */
export class SimulatedSite {
  readonly name: string;
  readonly nodes = new Map<string, KmsNode>();
  readonly objects = new Map<string, KubernetesObject>();
  /** Volumes outlive everything: what each node remembers of its fleet. */
  readonly volumes = new Map<string, { clusterId?: string }>();
  cluster: KmsCluster;
  /** Whether the other sites reach its API. */
  reachable = true;
  /** Writes of the operator so far, events left out. */
  writes = 0;
  /** The operator crashes after so many more writes. */
  crashAfterWrites = Number.POSITIVE_INFINITY;
  #uids = 0;

  constructor(name: string, cluster: KmsCluster) {
    this.name = name;
    this.cluster = structuredClone(cluster);
  }

  /** The API of this site for its own operator. */
  api(): SiteApi {
    return {
      apply: async (object) => this.#written(() => this.#apply(object)),
      remove: async (object) => this.#written(() => this.remove(object.kind, object.metadata.name)),
      readSecret: async (name) => decoded(this.objects.get(`Secret/${name}`)),
      createSecret: async (object) => {
        if (this.objects.has(`Secret/${object.metadata.name}`)) return false;
        this.#written(() => this.objects.set(`Secret/${object.metadata.name}`, structuredClone(object)));
        return true;
      },
      writeStatus: async ({ status }) => {
        if (JSON.stringify(this.cluster.status) === JSON.stringify(status)) return false;
        this.#written(() => {
          this.cluster = { ...this.cluster, status: structuredClone(status) as NonNullable<KmsCluster["status"]> };
        });
        return true;
      },
      event: async () => {},
    };
  }

  /** Deletes an object and what it owns, as the garbage collector does. */
  remove(kind: string, name: string): void {
    if (kind !== "KmsNode") {
      this.objects.delete(`${kind}/${name}`);
      return;
    }
    const uid = this.nodes.get(name)?.metadata.uid;
    this.nodes.delete(name);
    for (const [key, { metadata }] of this.objects)
      if ((metadata.ownerReferences as { uid: string }[] | undefined)?.some((owner) => owner.uid === uid))
        this.objects.delete(key);
  }

  #apply(object: KubernetesObject): KubernetesObject {
    const copy = structuredClone(object);
    if (copy.kind !== "KmsNode") {
      const status = this.objects.get(`${copy.kind}/${copy.metadata.name}`)?.status;
      const stored = { ...copy, ...(status === undefined ? {} : { status }) };
      this.objects.set(`${copy.kind}/${copy.metadata.name}`, stored);
      return stored;
    }
    const node = copy as unknown as KmsNode;
    const before = this.nodes.get(node.metadata.name);
    const made = before?.metadata ?? { ...node.metadata, uid: `${this.name}-${++this.#uids}` };
    const stored: KmsNode = {
      ...node,
      metadata: { ...made, ...(node.metadata.labels ? { labels: node.metadata.labels } : {}) },
    };
    if (before?.status) stored.status = before.status;
    else delete stored.status;
    this.nodes.set(node.metadata.name, stored);
    return stored as unknown as KubernetesObject;
  }

  #written<Result>(write: () => Result): Result {
    if (this.crashAfterWrites-- <= 0) throw new Crash("the operator was killed");
    this.writes += 1;
    return write();
  }
}

function decoded(secret: KubernetesObject | undefined): Record<string, Buffer> | undefined {
  if (secret === undefined) return undefined;
  const entries = Object.entries(secret.data as Record<string, string>);
  return Object.fromEntries(entries.map(([key, value]) => [key, Buffer.from(value, "base64")]));
}
