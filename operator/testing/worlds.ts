import { ownedMetadata } from "../desired/labels.ts";
import type { KubernetesObject } from "../ports/types.ts";
import { aCluster, aCondition, type aNode, aPod, fleetId, replaced } from "./builders.ts";

/** Status of a pod that no machine takes. */
export const unschedulable = {
  conditions: [{ type: "PodScheduled", status: "False", message: "0/1 nodes: too few CPUs" }],
};

/** A joiner that holds everything and waits to be made a member. */
export function caughtUp(name: string) {
  const conditions = [aCondition("Replicating", "True", "CaughtUp"), aCondition("Serving", "False", "Joining")];
  return { stage: "joining", status: { clusterId: fleetId, incarnation: `log-of-${name}`, conditions } } as const;
}

/** The bank without one node. */
export function without(site: string, node: string) {
  return aCluster(({ spec }) => {
    const entry = spec.sites.find(({ name }) => name === site);
    if (entry) entry.nodes = entry.nodes.filter(({ name }) => name !== node);
  });
}

/** A fleet of one site with so many nodes. */
export function manyNodes(count: number) {
  const nodes = Array.from({ length: count }, (_, at) => ({ name: `dc1-${at}` }));
  return aCluster(({ spec }) => (spec.sites = [{ name: "dc1", environment: "OnPremises", nodes }]));
}

/** Gives the pod of a node another status. */
export function podOf(node: string, status: Record<string, unknown>) {
  return replaced("Pod", `${node}-0`, () => aPod(node, status));
}

/** Gives a node a pod that was made then, and is not ready yet. */
export function replacedPod(node: string, creationTimestamp: string) {
  return replaced("Pod", `${node}-0`, () => {
    const pod = aPod(node, { conditions: [{ type: "Ready", status: "False" }] });
    return { ...pod, metadata: { ...pod.metadata, creationTimestamp } };
  });
}

/** Status of a pod whose first container waits for that reason. */
export function waitingFor(reason: string) {
  return { containerStatuses: [{ name: "keyserver", image: "keyfleet-node:0.1.0", state: { waiting: { reason } } }] };
}

/** A pod that cannot be placed because its volume is not bound. */
export function unboundStorage(node: string) {
  return (objects: KubernetesObject[]) =>
    replaced("PersistentVolumeClaim", `data-${node}-0`, (claim) => ({ ...claim, status: { phase: "Pending" } }))(
      podOf(node, unschedulable)(objects),
    );
}

/** A pod of a revision before the newest. */
export function oldPod(node: string, ready: string) {
  return replaced("Pod", `${node}-0`, () =>
    aPod(node, { conditions: [{ type: "Ready", status: ready }] }, "revision-0"),
  );
}

/** A closed gate as the operator of another site reports it. */
export function reported(gate: string, subject: string) {
  return { gate, subject, message: "m", since: "2026-03-01T11:00:00Z", remedy: "r" };
}

/** An object that was deleted and made again, after its pod unless said otherwise. */
export function madeAnew(kind: string, name: string, creationTimestamp = "2026-03-01T11:30:00Z") {
  return replaced(kind, name, (object) => ({ ...object, metadata: { ...object.metadata, creationTimestamp } }));
}

/** An object that is being deleted. */
export function going(object: KubernetesObject): KubernetesObject {
  return { ...object, spec: {}, metadata: { ...object.metadata, deletionTimestamp: "2026-03-01T11:00:00Z" } };
}

/** A Service that somebody changed. */
export function turnedToClusterIp(object: KubernetesObject): KubernetesObject {
  return { ...object, spec: { ...(object.spec as object), type: "ClusterIP" } };
}

/** A Service with what the API server adds and leaves out. */
export function defaulted(object: KubernetesObject): KubernetesObject {
  const { publishNotReadyAddresses, ...spec } = object.spec as Record<string, unknown>;
  const rest = publishNotReadyAddresses === true ? { publishNotReadyAddresses } : {};
  return {
    ...object,
    spec: { ...spec, ...rest, clusterIP: "10.1.2.3", sessionAffinity: "None" },
    status: { loadBalancer: {} },
  };
}

/** A StatefulSet that was made with a volume of another size. */
export function withStorage(size: string) {
  return (object: KubernetesObject): KubernetesObject => {
    const spec = structuredClone(object.spec) as {
      volumeClaimTemplates: { spec: { resources: { requests: { storage: string } } } }[];
    };
    for (const claim of spec.volumeClaimTemplates) claim.spec.resources.requests.storage = size;
    return { ...object, spec };
  };
}

/** A KmsNode after what was planned for it was applied. */
export function withSpecOf(made: readonly KubernetesObject[]) {
  return (node: ReturnType<typeof aNode>): ReturnType<typeof aNode> => {
    const found = made.find(({ kind, metadata }) => kind === "KmsNode" && metadata.name === node.metadata.name);
    const { labels } = ownedMetadata(node, node.metadata.name);
    const metadata = { ...node.metadata, ...(labels === undefined ? {} : { labels }) };
    return found === undefined ? node : { ...node, metadata, spec: found.spec as typeof node.spec };
  };
}
