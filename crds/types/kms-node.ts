/** Settings of one node; a node's own win over its site's, those over the fleet's, field by field. Never replicated. */
export interface NodeSettings {
  ntp?: { servers?: string[]; maxOffsetMs?: number };
  hsm?: HsmSettings;
  interfaces?: { kmip?: InterfaceSettings; mesh?: InterfaceSettings; rest?: InterfaceSettings };
  logs?: LogSettings;
  storage?: { size?: string; storageClassName?: string };
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> };
  placement?: PlacementSettings;
  exposure?: { type?: "LoadBalancer" | "NodePort" | "HostNetwork"; annotations?: Record<string, string> };
  licence?: { secretRef?: SecretReference };
  proxy?: { https?: string; noProxy?: string[] };
  backup?: { destination?: string; keyRef?: SecretReference };
}
export interface SecretReference { name: string; key?: string }
export interface HsmSettings {
  /** Path of the PKCS#11 module inside the node's HSM container. */
  library?: string;
  token?: { label?: string; serial?: string };
  pinSecretRef?: SecretReference;
  /** Label of the AES key in the token that wraps this node's master key; made on first use. */
  keyLabel?: string;
  environment?: { name: string; value: string }[];
  /** For SoftHSM only: make the token on the node's own volume when it is not there. */
  softToken?: { initialise?: boolean };
}
export interface InterfaceSettings { port?: number; certificateSecretRef?: SecretReference }
export interface LogSettings { level?: "debug" | "info" | "warn" | "error"; kmipActivity?: boolean; shipping?: { url?: string } }
export interface PlacementSettings {
  nodeSelector?: Record<string, string>;
  tolerations?: { key?: string; operator?: string; value?: string; effect?: string }[];
}
export interface Member {
  name: string;
  site: string;
  /** Host or IP address at which peers reach its mesh port; the last known one when its site cannot be seen. */
  address?: string;
  meshPort?: number;
  /** Distinguished name in its certificate, RFC 2253 order: CN=dc1-a,OU=dc1,O=bank. */
  identity: string;
  standing: "Joining" | "Member" | "Departed";
  /** PEM (SPKI) of the key pair inside the joiner's HSM that receives the master key; while Joining. */
  joinPublicKey?: string;
  /** Log origin (UUID) of the node, once it has one. */
  incarnation?: string;
  /** Of a Departed member: the last sequence that counts. */
  lastSequence?: number;
}
export interface KmsNodeSpec {
  cluster: string;
  /** Made by the founder; absent until then. */
  clusterId?: string;
  site: string;
  version: string;
  featureLevel: string;
  /** Address at which peers reach this node's mesh port (5432); absent until its Service has one. */
  address?: string;
  /** Address at which clients reach its KMIP port (5696); absent until its Service has one. */
  clientAddress?: string;
  settings: NodeSettings;
  durability: "EverySite" | "OtherSite" | "Local";
  membership: { action: "None" | "Found" | "Join" | "Member" | "Leave"; sponsor?: string };
  members: Member[];
  clients: { caBundle: string; administrators: string[] };
  /** PEM chain, leaf first, signed by the site's CA for the public key of status.certificateRequest. */
  certificateChain?: string;
  /** PEM: the CA certificates of all sites. */
  trustBundle?: string;
}
export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason: string;
  /** What is so and, when it is bad, what to do about it. */
  message: string;
  lastTransitionTime: string;
  observedGeneration?: number;
}
export interface KmsNodeStatus {
  observedGeneration?: number;
  version?: string;
  startedAt?: string;
  clusterId?: string;
  /** UUID of this life of the node's log. */
  incarnation?: string;
  /** PEM (PKCS#10). */
  certificateRequest?: string;
  certificateNotAfter?: string;
  /** PEM (SPKI), made inside the HSM. */
  joinPublicKey?: string;
  hsm?: { tokenLabel?: string; tokenSerial?: string; keyCheckValue?: string };
  time?: { worstOffsetMs?: number; servers: { address: string; reachable: boolean; stratum?: number; offsetMs?: number }[] };
  peers?: { name: string; connected: boolean; roundTripMs?: number; lagOperations?: number; tlsGroup?: string }[];
  interfaces?: { name: string; port: number }[];
  disk?: { usedPercent: number };
  conditions?: Condition[];
}
export interface KmsNode {
  apiVersion: "keyfleet.io/v1alpha1";
  kind: "KmsNode";
  metadata: ObjectMeta;
  spec: KmsNodeSpec;
  status?: KmsNodeStatus;
}
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string; controller?: boolean; blockOwnerDeletion?: boolean }[];
  finalizers?: string[];
}
