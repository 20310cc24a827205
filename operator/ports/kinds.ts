/** Where the API server keeps the objects of each kind that the operator touches. All are namespaced. */
export const kinds = {
  ConfigMap: { apiVersion: "v1", plural: "configmaps" },
  Event: { apiVersion: "events.k8s.io/v1", plural: "events" },
  KmsCluster: { apiVersion: "keyfleet.io/v1alpha1", plural: "kmsclusters" },
  KmsNode: { apiVersion: "keyfleet.io/v1alpha1", plural: "kmsnodes" },
  Lease: { apiVersion: "coordination.k8s.io/v1", plural: "leases" },
  PersistentVolumeClaim: { apiVersion: "v1", plural: "persistentvolumeclaims" },
  Pod: { apiVersion: "v1", plural: "pods" },
  PodDisruptionBudget: { apiVersion: "policy/v1", plural: "poddisruptionbudgets" },
  Role: { apiVersion: "rbac.authorization.k8s.io/v1", plural: "roles" },
  RoleBinding: { apiVersion: "rbac.authorization.k8s.io/v1", plural: "rolebindings" },
  Secret: { apiVersion: "v1", plural: "secrets" },
  Service: { apiVersion: "v1", plural: "services" },
  ServiceAccount: { apiVersion: "v1", plural: "serviceaccounts" },
  StatefulSet: { apiVersion: "apps/v1", plural: "statefulsets" },
} as const;

/** A kind of the table above. */
export type Kind = keyof typeof kinds;

/** The kind of an object, checked against the table. Throws TypeError for one that the operator has no rights on. */
export function kindOf(object: { readonly kind: string }): Kind {
  if (!Object.hasOwn(kinds, object.kind)) throw new TypeError(`the operator has no rights on kind ${object.kind}`);
  return object.kind as Kind;
}

/** Path of the collection of a kind, or of one object in it, in a namespace. */
export function pathOf(kind: Kind, namespace: string, name?: string): string {
  const { apiVersion, plural } = kinds[kind];
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const collection = `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}
