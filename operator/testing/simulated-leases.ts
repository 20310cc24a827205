import { ApiError, type KubernetesApi } from "../ports/kubernetes-api.ts";
import type { KubernetesObject } from "../ports/types.ts";
import { leaseMs } from "../runtime/lock-decision.ts";

/** The Leases of a site: what the fleet lock needs of an API server, with compare-and-swap. */
export class SimulatedLeases {
  /** Milliseconds on a clock that never jumps. */
  now: () => number = () => 0;
  /** Told before a share is written, and which site holds it now. */
  beforeWrite: (before: KubernetesObject | undefined, after: KubernetesObject, holder: string | undefined) => void =
    () => {};
  /** Whether it can be read only. */
  readOnly = false;
  readonly #leases = new Map<string, KubernetesObject>();
  readonly #changedAtMs = new Map<string, number>();
  #version = 0;

  /** Who holds the site's share: site and process; undefined when it is free, or has lapsed. */
  holder(name: string): { readonly site: string; readonly instance: string } | undefined {
    const lease = this.#leases.get(name);
    if (this.now() - (this.#changedAtMs.get(name) ?? 0) >= leaseMs) return undefined;
    const site = (lease?.spec as { holderIdentity?: string } | undefined)?.holderIdentity;
    return site ? { site, instance: lease?.metadata.annotations?.["keyfleet.io/instance"] ?? "" } : undefined;
  }

  /** The API as one caller sees it; every request asks first whether it gets through. */
  api(connected: () => boolean): KubernetesApi {
    const through = () => {
      if (!connected()) throw new ApiError("unreachable", "cut");
    };
    const get = async (_kind: string, name: string) => {
      through();
      return this.#leases.get(name);
    };
    const create = async (lease: KubernetesObject) => {
      through();
      if (this.#leases.has(lease.metadata.name)) throw new ApiError("alreadyExists", "exists");
      return this.#store(lease);
    };
    const update = async (lease: KubernetesObject) => {
      through();
      if (this.readOnly) throw new ApiError("unreachable", "etcd has no leader");
      const version = this.#leases.get(lease.metadata.name)?.metadata.resourceVersion;
      if (version !== lease.metadata.resourceVersion) throw new ApiError("conflict", "somebody was faster");
      const { name } = lease.metadata;
      this.beforeWrite(this.#leases.get(name), lease, this.holder(name)?.site);
      return this.#store(lease);
    };
    return { namespace: "keyfleet", get, create, update } as unknown as KubernetesApi;
  }

  #store(lease: KubernetesObject): KubernetesObject {
    const stored = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(++this.#version) } };
    this.#leases.set(lease.metadata.name, stored);
    this.#changedAtMs.set(lease.metadata.name, this.now());
    return stored;
  }
}
