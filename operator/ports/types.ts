import type { KmsCluster } from "@keyfleet/crds/kms-cluster.ts";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";

/** Any Kubernetes object, as far as this operator looks at it. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    [other: string]: unknown;
  };
  [other: string]: unknown;
}

/** What one site looked like when it was last seen; of a remote site only the two public kinds. */
export interface SiteView {
  readonly name: string;
  readonly local: boolean;
  /** Answered within the last probe period. */
  readonly reachable: boolean;
  /** Milliseconds since it last answered; undefined when it was never seen. */
  readonly ageMs: number | undefined;
  /** Why it cannot be reached or is not configured, for people: "no kubeconfig Secret labelled keyfleet.io/site=dc2". */
  readonly problem: string | undefined;
  readonly cluster: KmsCluster | undefined;
  readonly nodes: readonly KmsNode[];
}

/** Who holds the fleet lock, as read from the sites' Leases. */
export interface LockView {
  /** This site holds it in a majority of the sites that count, and it will not expire within the next pass. */
  readonly heldByMe: boolean;
  readonly holder: string | undefined;
  readonly operation: string | undefined;
  readonly node: string | undefined;
}

/** Everything one pass may know; immutable. */
export interface Observed {
  readonly site: string;
  readonly nowMs: number;
  readonly cluster: KmsCluster;
  readonly sites: readonly SiteView[];
  readonly lock: LockView;
  /** Objects of this site and namespace that carry the label keyfleet.io/cluster: StatefulSet, Service, ServiceAccount, Role, RoleBinding, Pod, PersistentVolumeClaim, Secret (names and public data only). */
  readonly objects: readonly KubernetesObject[];
  /** What spec refers to in this site: is it there. Key: "Secret/dc1-hsm-pin", "ConfigMap/bank-clients". */
  readonly references: ReadonlyMap<
    string,
    { readonly present: boolean; readonly keys: readonly string[]; readonly data?: Readonly<Record<string, string>> }
  >;
}

/** One change to one object of this site's API. */
export type Action =
  | { readonly kind: "apply"; readonly object: KubernetesObject; readonly because: string }
  | { readonly kind: "delete"; readonly object: KubernetesObject; readonly because: string }
  | { readonly kind: "signCertificate"; readonly node: string; readonly request: string; readonly because: string }
  | { readonly kind: "makeSiteCa"; readonly because: string }
  | { readonly kind: "takeLock"; readonly operation: string; readonly node: string; readonly because: string }
  | { readonly kind: "releaseLock"; readonly because: string };
