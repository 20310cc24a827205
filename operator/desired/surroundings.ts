import type { KmsNode, KubernetesObject } from "../ports/types.ts";
import { type Door, serviceSpec } from "./exposure.ts";
import { ownedMetadata } from "./labels.ts";
import type { ResolvedSettings } from "./settings.ts";

/** The two Services of a node: the mesh answers before the node is ready, KMIP only afterwards. */
export function services(node: KmsNode, settings: ResolvedSettings): KubernetesObject[] {
  const { name } = node.metadata;
  const annotations = settings.exposure?.annotations;
  const service = (door: Door, publishNotReadyAddresses: boolean): KubernetesObject => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...ownedMetadata(node, `${name}-${door}`), ...(annotations === undefined ? {} : { annotations }) },
    spec: {
      ...serviceSpec(settings, door),
      publishNotReadyAddresses,
      selector: { "keyfleet.io/cluster": node.spec.cluster, "keyfleet.io/node": name },
    },
  });
  return [service("mesh", true), service("kmip", false)];
}

/** The account of a node: it may read its own KmsNode and write its status, nothing else. */
export function account(node: KmsNode): KubernetesObject[] {
  const { name, namespace } = node.metadata;
  const group = "rbac.authorization.k8s.io";
  const metadata = ownedMetadata(node, name);
  const own = { apiGroups: ["keyfleet.io"], resourceNames: [name] };
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata, automountServiceAccountToken: false },
    {
      apiVersion: `${group}/v1`,
      kind: "Role",
      metadata,
      rules: [
        { ...own, resources: ["kmsnodes"], verbs: ["get", "list", "watch"] },
        { ...own, resources: ["kmsnodes/status"], verbs: ["patch"] },
      ],
    },
    {
      apiVersion: `${group}/v1`,
      kind: "RoleBinding",
      metadata,
      roleRef: { apiGroup: group, kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", name, ...(namespace === undefined ? {} : { namespace }) }],
    },
  ];
}
