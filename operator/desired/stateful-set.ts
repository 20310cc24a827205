import type { KmsNode, KubernetesObject, NodeImage } from "../ports/types.ts";
import { certificateDoors, certificateSecret, nodeContainers, pullSecrets } from "./containers.ts";
import { exposureType } from "./exposure.ts";
import { nodeLabels, ownedMetadata } from "./labels.ts";
import type { ResolvedSettings } from "./settings.ts";

/** User and group of every process in the image. */
const user = 10001;

/** What every pod of a node's is held to. */
export const podSecurity = {
  runAsNonRoot: true,
  runAsUser: user,
  runAsGroup: user,
  fsGroup: user,
  fsGroupChangePolicy: "OnRootMismatch",
  seccompProfile: { type: "RuntimeDefault" },
} as const;

/**
 * How long a node may take to end: its sessions (3 s until balancers have left it, at most 12 s for requests in work),
 * its links, and then its database.
 */
const terminationGracePeriodSeconds = 45;

/**
 * The StatefulSet of one node: one pod, one volume that stays when the set goes. Pods are replaced by the plan only
 * (OnDelete), never by Kubernetes because a field changed: two nodes must not go down at once.
 */
export function statefulSet(
  node: KmsNode,
  {
    settings,
    image,
    existing,
  }: { settings: ResolvedSettings; image: NodeImage; existing: KubernetesObject | undefined },
): KubernetesObject {
  const labels = nodeLabels(node.spec.cluster, node.metadata.name);
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: ownedMetadata(node, node.metadata.name),
    spec: {
      replicas: 1,
      serviceName: `${node.metadata.name}-mesh`,
      podManagementPolicy: "Parallel",
      revisionHistoryLimit: 2,
      selector: { matchLabels: { "keyfleet.io/cluster": node.spec.cluster, "keyfleet.io/node": node.metadata.name } },
      updateStrategy: { type: "OnDelete" },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      template: {
        metadata: { labels: { ...labels, "app.kubernetes.io/name": "keyfleet-node" } },
        spec: podSpec(node, settings, image),
      },
      volumeClaimTemplates: [{ ...volumeClaim(labels, storageOf(existing) ?? settings.storage) }],
    },
  };
}

/** The storage that a StatefulSet was made with; its template cannot be changed afterwards. */
export function storageOf(set: KubernetesObject | undefined): ResolvedSettings["storage"] | undefined {
  const spec = set?.spec as { volumeClaimTemplates?: { spec: ClaimSpec }[] } | undefined;
  return sizeAndClass(spec?.volumeClaimTemplates?.[0]?.spec);
}

/** What a claim asks for; undefined when it asks for no size. */
export function sizeAndClass(claim: ClaimSpec | undefined): ResolvedSettings["storage"] | undefined {
  const size = claim?.resources?.requests?.storage;
  if (claim === undefined || size === undefined) return undefined;
  return claim.storageClassName === undefined ? { size } : { size, storageClassName: claim.storageClassName };
}

/** A claim's specification, as far as this operator looks at it. */
export interface ClaimSpec {
  readonly storageClassName?: string;
  readonly resources?: { readonly requests?: { readonly storage?: string } };
}

function podSpec(node: KmsNode, settings: ResolvedSettings, image: NodeImage): Record<string, unknown> {
  const peers = {
    matchLabels: { "app.kubernetes.io/name": "keyfleet-node", "keyfleet.io/cluster": node.spec.cluster },
  };
  const { nodeSelector, tolerations } = settings.placement ?? {};
  return {
    serviceAccountName: node.metadata.name,
    // Only the key server speaks to the API; it gets its token as a volume of its own.
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds,
    ...(exposureType(settings) === "HostNetwork" ? { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" } : {}),
    securityContext: podSecurity,
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 100, podAffinityTerm: { topologyKey: "kubernetes.io/hostname", labelSelector: peers } },
        ],
      },
    },
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: "topology.kubernetes.io/zone",
        whenUnsatisfiable: "ScheduleAnyway",
        labelSelector: peers,
      },
    ],
    ...(nodeSelector === undefined ? {} : { nodeSelector }),
    ...(tolerations === undefined ? {} : { tolerations }),
    ...(image.priorityClassName === undefined ? {} : { priorityClassName: image.priorityClassName }),
    ...pullSecrets(image),
    ...nodeContainers(node, settings, image),
    volumes: volumes(settings),
  };
}

function volumes(settings: ResolvedSettings): Record<string, unknown>[] {
  const { name, key = "pin" } = settings.hsm.pinSecretRef ?? { name: "" };
  return [
    { name: "run", emptyDir: { medium: "Memory", sizeLimit: "64Mi" } },
    { name: "tmp", emptyDir: { sizeLimit: "256Mi" } },
    { name: "pin", secret: { secretName: name, defaultMode: 0o440, items: [{ key, path: "pin" }] } },
    ...ownCertificates(settings),
    { name: "api", projected: { defaultMode: 0o440, sources: apiSources } },
  ];
}

/** Optional, so that a node comes up without it and says so, instead of not at all. */
function ownCertificates(settings: ResolvedSettings): Record<string, unknown>[] {
  const items = ["tls.crt", "tls.key"].map((key) => ({ key, path: key }));
  return certificateDoors.flatMap((door) => {
    const secretName = certificateSecret(settings, door);
    if (secretName === undefined) return [];
    return [{ name: `${door}-certificate`, secret: { secretName, optional: true, defaultMode: 0o440, items } }];
  });
}

const apiSources = [
  { serviceAccountToken: { path: "token", expirationSeconds: 3600 } },
  { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
  { downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] } },
];

function volumeClaim(labels: Record<string, string>, storage: ResolvedSettings["storage"]): Record<string, unknown> {
  const { size, storageClassName } = storage;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: "data", labels },
    spec: {
      accessModes: ["ReadWriteOnce"],
      ...(storageClassName === undefined ? {} : { storageClassName }),
      resources: { requests: { storage: size } },
      volumeMode: "Filesystem",
    },
  };
}
