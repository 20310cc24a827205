import type { HsmSettings, NodeSettings } from "@keyfleet/crds/kms-node.ts";
import type { KmsNode, KubernetesObject, NodeImage } from "../ports/types.ts";
import { eraseContainer, pullSecrets } from "./containers.ts";
import { missingSettings, type ResolvedSettings } from "./settings.ts";
import { podSecurity } from "./stateful-set.ts";

/** Annotation of the volume of a removed node: how its key in the HSM is destroyed before the volume is deleted (JSON). */
export const eraseAnnotation = "keyfleet.io/erase";
/** Label of a pod that does so; its value is the node's name. */
export const erasesLabel = "keyfleet.io/erases";

interface Erasure {
  readonly version: string;
  readonly hsm: HsmSettings;
}

/** What has to be known when the KmsNode is long gone; undefined for a node that never could have a key. No secret. */
export function eraseMark({ spec }: KmsNode): string | undefined {
  if (missingSettings(spec.settings).length > 0) return undefined;
  const erasure: Erasure = { version: spec.version, hsm: spec.settings.hsm ?? {} };
  return JSON.stringify(erasure);
}

/**
 * The pod that destroys the key of a removed node in its HSM; undefined when the claim says nothing of that. It runs the HSM
 * sidecar once, with the node's volume and PIN, without any account, and is tried again until it has succeeded.
 */
export function erasePod(claim: KubernetesObject, image: NodeImage): KubernetesObject | undefined {
  const erasure = read(claim.metadata.annotations?.[eraseAnnotation]);
  const node = claim.metadata.labels?.["keyfleet.io/node"];
  const cluster = claim.metadata.labels?.["keyfleet.io/cluster"];
  if (erasure === undefined || node === undefined || cluster === undefined) return undefined;
  const settings = { hsm: erasure.hsm } as NodeSettings as ResolvedSettings;
  const { name, key = "pin" } = erasure.hsm.pinSecretRef ?? { name: "" };
  const { namespace } = claim.metadata;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${node}-erase`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { "app.kubernetes.io/managed-by": "keyfleet", "keyfleet.io/cluster": cluster, [erasesLabel]: node },
    },
    spec: {
      restartPolicy: "OnFailure",
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: podSecurity,
      ...pullSecrets(image),
      containers: [eraseContainer(settings, image, { cluster, node, version: erasure.version })],
      volumes: [
        { name: "run", emptyDir: { medium: "Memory", sizeLimit: "16Mi" } },
        { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
        { name: "data", persistentVolumeClaim: { claimName: claim.metadata.name } },
        { name: "pin", secret: { secretName: name, defaultMode: 0o440, items: [{ key, path: "pin" }] } },
      ],
    },
  };
}

/** What somebody made unreadable is as if it were not there: he may let the volume go without. */
function read(text: string | undefined): Erasure | undefined {
  try {
    const { version, hsm } = JSON.parse(text ?? "") as Partial<Erasure>;
    return typeof version === "string" && typeof hsm === "object" && hsm !== null ? { version, hsm } : undefined;
  } catch {
    return undefined;
  }
}
