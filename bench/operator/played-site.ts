import { createHash } from "node:crypto";
import type { KmsNode, KubernetesObject } from "../../operator/ports/types.ts";
import type { FakeCluster } from "../../operator/testing/fake-cluster.ts";

type KmsNodeStatus = NonNullable<KmsNode["status"]>;
type Condition = NonNullable<KmsNodeStatus["conditions"]>[number];

/** Of a StatefulSet, as far as it is played. */
interface Template {
  readonly metadata?: { readonly labels?: Readonly<Record<string, string>> };
  readonly spec: { readonly containers?: readonly { readonly image?: string }[] };
}

/** Plays the controllers and the nodes of a site: a pod that is gone is made anew at once, and its node serves so much later. */
export class PlayedSite {
  readonly #api: FakeCluster;
  readonly #recoveryMs: number;
  readonly #servesAtMs = new Map<string, number>();

  constructor(api: FakeCluster, recoveryMs: number) {
    this.#api = api;
    this.#recoveryMs = recoveryMs;
  }

  /** What is due at this moment. */
  play(names: readonly string[]): void {
    for (const name of names) {
      const set = this.#api.peek("StatefulSet", name);
      if (set === undefined) continue;
      const template = (set.spec as { template: Template }).template;
      const updateRevision = createHash("sha256").update(JSON.stringify(template)).digest("hex").slice(0, 10);
      this.#api.put({ ...set, status: { observedGeneration: set.metadata.generation, updateRevision } });
      if (this.#api.peek("Pod", `${name}-0`) === undefined) this.#makePod(name, template, updateRevision);
      this.#nodeSpeaks(name);
    }
  }

  /** When the node was to serve after its last pod was made. */
  servesAtMs(name: string): number | undefined {
    return this.#servesAtMs.get(name);
  }

  #makePod(name: string, template: Template, revision: string): void {
    this.#servesAtMs.set(name, performance.now() + this.#recoveryMs);
    const labels = { ...template.metadata?.labels, "controller-revision-hash": revision };
    const metadata = { name: `${name}-0`, labels, creationTimestamp: new Date().toISOString() };
    this.#api.put({ apiVersion: "v1", kind: "Pod", metadata, spec: template.spec, status: {} } as KubernetesObject);
  }

  #nodeSpeaks(name: string): void {
    const [node, pod] = [this.#api.peek("KmsNode", name) as KmsNode | undefined, this.#api.peek("Pod", `${name}-0`)];
    if (node === undefined || pod === undefined) return;
    const serves = performance.now() >= (this.#servesAtMs.get(name) ?? 0);
    const { containers } = (pod.spec ?? {}) as Template["spec"];
    const version = containers?.[0]?.image?.split(":").at(-1) ?? "";
    const conditions = (node.status?.conditions ?? []).map((one) =>
      one.type === "Serving" ? turned(one, serves) : one,
    );
    const status: KmsNodeStatus = { ...node.status, version, conditions };
    if (node.metadata.generation !== undefined) status.observedGeneration = node.metadata.generation;
    this.#api.put({ ...node, status } as unknown as KubernetesObject);
    this.#api.put({ ...pod, status: { phase: "Running", conditions: [ready(pod, serves)] } });
  }
}

function turned(condition: Condition, serves: boolean): Condition {
  const status = serves ? "True" : "False";
  if (condition.status === status) return condition;
  const reason = serves ? "Serving" : "Starting";
  return { ...condition, status, reason, message: reason, lastTransitionTime: new Date().toISOString() };
}

function ready({ status: before }: KubernetesObject, serves: boolean): object {
  const status = serves ? "True" : "False";
  const [known] = (before as { conditions?: { status: string; lastTransitionTime: string }[] }).conditions ?? [];
  const lastTransitionTime = known?.status === status ? known.lastTransitionTime : new Date().toISOString();
  return { type: "Ready", status, lastTransitionTime };
}
