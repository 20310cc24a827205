import { chmodSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Place } from "./places.ts";

/** Makes a volume as an administrator does: a folder on the first machine of a local site, its class and its object. */
export async function volumeByHand(
  place: Place,
  site: string,
  { className, size }: { className: string; size: string },
): Promise<void> {
  const path = join(dirname(place.sites.kubeconfig(site)), `volume-${className}`);
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o770);
  const machine = {
    matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [`${site}-1`] }],
  };
  const storageClass = {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: className },
    provisioner: "kubernetes.io/no-provisioner",
  };
  const volume = {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: `volume-${className}` },
    spec: {
      capacity: { storage: size },
      accessModes: ["ReadWriteOnce"],
      storageClassName: className,
      persistentVolumeReclaimPolicy: "Retain",
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [machine] } },
    },
  };
  const list = { apiVersion: "v1", kind: "List", items: [storageClass, volume] };
  await place.sites.kubectl(site, ["apply", "-f", "-"], JSON.stringify(list));
}
