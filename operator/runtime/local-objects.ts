import type { Kind } from "../ports/kinds.ts";
import type { KubernetesApi } from "../ports/kubernetes-api.ts";
import type { Clock, KubernetesObject, Log, Refusal } from "../ports/types.ts";
import { Informer } from "./informer.ts";
import { asKept } from "./kept-objects.ts";

/** Label of everything the operator makes; its value is the KmsCluster's name. */
export const clusterLabel = "keyfleet.io/cluster";

const watchedKinds = [
  "PersistentVolumeClaim",
  "Pod",
  "PodDisruptionBudget",
  "Role",
  "RoleBinding",
  "Secret",
  "Service",
  "ServiceAccount",
  "StatefulSet",
] as const satisfies readonly Kind[];

/** This site's objects that belong to KmsClusters: only those with the label are fetched or kept. */
export class LocalObjects {
  readonly #informers: ReadonlyMap<string, Informer>;

  constructor(options: {
    readonly api: KubernetesApi;
    readonly onChange: (cluster: string) => void;
    readonly clock: Clock;
    readonly log: Log;
  }) {
    const { api, clock, log } = options;
    const onChange = ({ metadata }: KubernetesObject) => {
      const cluster = metadata.labels?.[clusterLabel];
      if (cluster !== undefined) options.onChange(cluster);
    };
    const informer = (kind: Kind) =>
      new Informer({
        api,
        clock,
        log,
        kind,
        labelSelector: clusterLabel,
        onChange,
        keep: asKept,
      });
    this.#informers = new Map(watchedKinds.map((kind) => [kind, informer(kind)]));
  }

  start(): void {
    for (const informer of this.#informers.values()) informer.start();
  }

  stop(): void {
    for (const informer of this.#informers.values()) informer.stop();
  }

  /** Lists everything anew, after the API server was away. */
  restart(): void {
    for (const informer of this.#informers.values()) informer.restart();
  }

  /** Whether every kind was listed. */
  get ready(): boolean {
    return [...this.#informers.values()].every((informer) => informer.fresh);
  }

  /** Kinds that the API server does not let this operator look at, and why. */
  refusals(): readonly Refusal[] {
    return [...this.#informers].flatMap(([kind, { refusal }]) => (refusal === undefined ? [] : [{ kind, refusal }]));
  }

  /** The informer of a kind, when it is one of those watched. */
  informer(kind: string): Informer | undefined {
    return this.#informers.get(kind);
  }

  /** The objects of one KmsCluster, by kind and name. */
  of(cluster: string): readonly KubernetesObject[] {
    const all = [...this.#informers.values()].flatMap((informer) => informer.items());
    return all.filter(({ metadata }) => metadata.labels?.[clusterLabel] === cluster);
  }
}
