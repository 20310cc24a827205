import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ApiClient } from "./api-client.ts";

interface Claim {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly storageClassName?: string;
    readonly volumeName?: string;
    readonly accessModes: readonly string[];
    readonly volumeMode?: string;
    readonly resources: { readonly requests: { readonly storage: string } };
  };
}

interface Volume {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly status?: { readonly phase?: string };
}

const provisioner = "keyfleet.io/local";
const storageClass = "local";

/** Makes a folder and a PersistentVolume for each claim that the scheduler has placed; deletes those that are released. */
export async function provisionVolumes(api: ApiClient, folder: string): Promise<void> {
  const claims = await api.request<{ items: Claim[] }>("GET", "/api/v1/persistentvolumeclaims");
  const volumes = await api.request<{ items: Volume[] }>("GET", "/api/v1/persistentvolumes");
  const names = new Set(volumes.items.map((volume) => volume.metadata.name));
  for (const claim of claims.items) {
    const node = claim.metadata.annotations?.["volume.kubernetes.io/selected-node"];
    const ours = claim.spec.storageClassName === storageClass && !claim.spec.volumeName;
    if (!ours || !node || names.has(volumeName(claim))) continue;
    const path = join(folder, volumeName(claim));
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o770); // the kubelet hands it to the pod's fsGroup
    await api.request("POST", "/api/v1/persistentvolumes", volumeFor(claim, node, path));
  }
  for (const volume of volumes.items) {
    const ours = volume.metadata.annotations?.["pv.kubernetes.io/provisioned-by"] === provisioner;
    if (!ours || volume.status?.phase !== "Released") continue;
    await api.request("DELETE", `/api/v1/persistentvolumes/${volume.metadata.name}`);
    rmSync(join(folder, volume.metadata.name), { recursive: true, force: true });
  }
}

function volumeName(claim: Claim): string {
  return `pvc-${claim.metadata.uid}`;
}

function volumeFor(claim: Claim, node: string, path: string) {
  const { name, namespace, uid } = claim.metadata;
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: volumeName(claim), annotations: { "pv.kubernetes.io/provisioned-by": provisioner } },
    spec: {
      capacity: { storage: claim.spec.resources.requests.storage },
      accessModes: claim.spec.accessModes,
      storageClassName: storageClass,
      persistentVolumeReclaimPolicy: "Delete",
      local: { path },
      claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", name, namespace, uid },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }] },
          ],
        },
      },
    },
  };
}
