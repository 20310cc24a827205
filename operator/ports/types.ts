/**
 * The joint between the rooms of the operator: what a pass may know, what it may do, and what carries it out.
 * Types only; the rooms import these and never each other's insides.
 */
import type { KmsCluster } from "@keyfleet/crds/kms-cluster.ts";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import type { EventReason } from "@keyfleet/crds/reasons.ts";

export type { KmsCluster, KmsClusterSpec } from "@keyfleet/crds/kms-cluster.ts";
export type { KmsNode } from "@keyfleet/crds/kms-node.ts";

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

/** How another site's copy of the KmsCluster differs from this site's. */
export interface SpecDifference {
  readonly site: string;
  /** Paths that differ ("spec.version", at most ten); empty when the site has no copy at all. */
  readonly fields: readonly string[];
  /** What is so and what will happen or has to be done about it, for people. */
  readonly message: string;
}

/** Whether all sites that were ever seen and that count have the same specification; fleet work waits until they have. */
export interface SpecAgreement {
  readonly agrees: boolean;
  readonly differences: readonly SpecDifference[];
  /** keyfleet.io/spec-version of this site's copy, "<n>@<site>"; undefined until it is stamped. */
  readonly version: string | undefined;
  /** Who owns this site's copy, so that keyfleet never changes it. */
  readonly ownedBy: "ArgoCD" | "Flux" | undefined;
}

/** What spec refers to in this site. */
export interface Reference {
  readonly present: boolean;
  /** Names of its keys; never values of a Secret. */
  readonly keys: readonly string[];
  /** Of a ConfigMap, and of the certificate (*.crt) in a Secret, which are public. */
  readonly data?: Readonly<Record<string, string>>;
}

/** Everything one pass may know; immutable. */
export interface Observed {
  readonly site: string;
  readonly nowMs: number;
  readonly sinceBoot: BootTime;
  readonly cluster: KmsCluster;
  /** In the order of spec.sites; the local site is always among them, last when spec does not name it. */
  readonly sites: readonly SiteView[];
  readonly lock: LockView;
  readonly spec: SpecAgreement;
  /**
   * Objects of this site and namespace that carry the label keyfleet.io/cluster: StatefulSet, Service, ServiceAccount,
   * Role, RoleBinding, Pod, PersistentVolumeClaim, Secret (of its data only *.crt). KmsNodes are in `sites`.
   */
  readonly objects: readonly KubernetesObject[];
  /** What spec refers to in this site: is it there. Key: "Secret/dc1-hsm-pin", "ConfigMap/bank-clients". */
  readonly references: ReadonlyMap<string, Reference>;
}

/** What a step of the fleet is told as. */
export interface StepNews {
  readonly reason: EventReason;
  /** What was done, one word. */
  readonly action: string;
  readonly note: string;
}

/** One change to one object of this site's API. What `needsLock` is done only while the fleet lock is still held. */
export type Action =
  | {
      readonly kind: "apply";
      readonly object: KubernetesObject;
      readonly because: string;
      readonly needsLock?: true;
      readonly news?: StepNews;
    }
  | {
      readonly kind: "delete";
      readonly object: KubernetesObject;
      readonly because: string;
      readonly needsLock?: true;
      /** What the decision rests on: done only while the API server has the object, and these, as they are here. */
      readonly asSeen?: readonly KubernetesObject[];
    }
  /** Signs with the CA in the Secret `ca` and applies the KmsNode with the certificate in it. */
  | {
      readonly kind: "signCertificate";
      readonly node: string;
      readonly request: string;
      readonly ca: string;
      readonly object: KubernetesObject;
      readonly because: string;
      readonly needsLock?: true;
      readonly news?: StepNews;
    }
  | { readonly kind: "makeSiteCa"; readonly secret: string; readonly because: string }
  | { readonly kind: "takeLock"; readonly operation: string; readonly node: string; readonly because: string }
  | { readonly kind: "releaseLock"; readonly because: string }
  /** Takes the operator's finalizer off this site's copy of the KmsCluster, which then is gone. */
  | { readonly kind: "letGo"; readonly because: string };

/** Changes to this site's API; every call has a deadline, ends with the pass, and throws ApiError when refused. */
export interface SiteApi {
  /** Server-side apply as field manager "keyfleet", taking over conflicting fields; answers the object as it then is. */
  apply(object: KubernetesObject): Promise<KubernetesObject>;
  /** Deletes exactly that object (its uid is the precondition); being gone already is success. */
  remove(object: KubernetesObject): Promise<void>;
  /**
   * Deletes the object only as it is here, and only while these others are as they are here (resourceVersion). False when
   * something has changed; the next pass then sees what.
   */
  removeAsSeen(object: KubernetesObject, others: readonly KubernetesObject[]): Promise<boolean>;
  /** The whole Secret, for the site's CA key only; undefined when there is none. Fill the buffers with zeros after use. */
  readSecret(name: string): Promise<Readonly<Record<string, Buffer>> | undefined>;
  /** Creates, never replaces; false when the name is taken. */
  createSecret(object: KubernetesObject): Promise<boolean>;
  /** Writes the status subresource when it differs from what this site last saw or wrote; true when it wrote. */
  writeStatus(object: KubernetesObject): Promise<boolean>;
  /** Takes the operator's finalizer off an object that is being deleted; being gone already is success. */
  letGo(object: KubernetesObject): Promise<void>;
  /** One event for one change (events.k8s.io). A failure is logged, never thrown: an event is news, not state. */
  event(event: OperatorEvent): Promise<void>;
}

/** News about an object, shown by kubectl describe. */
export interface OperatorEvent {
  readonly regarding: KubernetesObject | KmsCluster | KmsNode;
  readonly type: "Normal" | "Warning";
  /** One word from a fixed list, for programs. */
  readonly reason: string;
  /** What was done, one word: "Join". */
  readonly action: string;
  /** For people; at most 1024 characters reach the API. */
  readonly note: string;
}

/** The lock under which fleet work is done, for one KmsCluster. */
export interface FleetLock {
  /** Tries once to hold it for this operation in a majority of the sites that count; true when it is held. */
  take(work: { readonly operation: string; readonly node: string }): Promise<boolean>;
  /** Whether it is still held until what is sent right now has arrived; ask before each fleet action. */
  isHeld(): boolean;
  /** Gives it back everywhere it can be reached. */
  release(): Promise<void>;
}

/** All that one pass over one KmsCluster gets. */
export interface PassPorts {
  /** Undefined when the KmsCluster is not (or no longer) there. */
  observe(): Promise<Observed | undefined>;
  readonly api: SiteApi;
  readonly lock: FleetLock;
  readonly log: Log;
  readonly clock: Clock;
  /** Image of the nodes, from the operator's settings. */
  readonly nodeImage: NodeImage;
  /** Aborted when the pass has used up its time. */
  readonly signal: AbortSignal;
}

/** How this site's operator makes the pods of nodes: their image, when it is pulled, and their priority. */
export interface NodeImage {
  /** Without tag: the version of the node becomes the tag. */
  readonly repository: string;
  readonly pullPolicy: "Always" | "IfNotPresent" | "Never";
  /** Digest that the image of a version must have, by version; of one that is not named the tag alone decides. */
  readonly digests?: Readonly<Record<string, string>>;
  /** A PriorityClass of the site's Kubernetes: a node is not put aside for pods of less weight. */
  readonly priorityClassName?: string;
  /** Secrets with which machines fetch it from a registry that asks who they are. */
  readonly pullSecrets?: readonly string[];
}

/** How a pass ended. */
export interface PassResult {
  /** For metrics and the log: settled, acted, waiting or blocked. */
  readonly outcome: "settled" | "acted" | "waiting" | "blocked" | "gone";
  /** When to look again although nothing changed; the runtime adds a bound of its own. */
  readonly requeueAfterMs?: number;
}

/** One pass over the KmsCluster of that name (operator/reconcile.ts). */
export type Reconcile = (cluster: string, ports: PassPorts) => Promise<PassResult>;

/** Structured log; never give it secrets. */
export interface Log {
  debug(event: string, fields?: Readonly<Record<string, unknown>>): void;
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
  error(event: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** A reading of a machine's clock. Two of one boot, by whatever process, tell what has passed between them; others nothing. */
export interface BootTime {
  readonly boot: string;
  readonly ms: number;
}

/** Time, passed in so that tests need not wait. */
export interface Clock {
  /** Milliseconds since the epoch; for what people read and for objects. */
  nowMs(): number;
  /** Milliseconds that only ever grow; for deadlines and ages. */
  monotonicMs(): number;
  /** What has passed since this machine was started, on its clock that never jumps and that outlives the process. */
  sinceBoot(): BootTime;
  /** Calls once later; answers how to call it off. */
  after(delayMs: number, run: () => void): () => void;
}

/** A kind of which nothing is seen any more, and what the API server says. */
export interface Refusal {
  readonly kind: string;
  readonly refusal: string;
}
