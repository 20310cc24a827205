import type { KubernetesObject, Observed } from "../ports/types.ts";
import type { FleetFacts } from "./facts.ts";
import { nodeLabels } from "./labels.ts";

/**
 * How many nodes of this site Kubernetes may evict at once: one, while all nodes of the other sites serve and none of them
 * is worked on; else none, so that two sites' Kubernetes never take two nodes of the fleet. Nodes of this site count by
 * themselves: Kubernetes knows its own pods. No owner: it must outlive the document, as the nodes do.
 */
export function disruptionBudget(observed: Observed, fleet: FleetFacts): KubernetesObject {
  const { name, namespace } = observed.cluster.metadata;
  const { "keyfleet.io/node": _node, ...labels } = nodeLabels(name, "");
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: `keyfleet-${name}`, ...(namespace === undefined ? {} : { namespace }), labels },
    spec: {
      maxUnavailable: othersServe(observed, fleet) ? 1 : 0,
      // A node that does not serve is no loss: it never holds up the emptying of a machine.
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: { "app.kubernetes.io/name": "keyfleet-node", "keyfleet.io/cluster": name } },
    },
  };
}

function othersServe(observed: Observed, fleet: FleetFacts): boolean {
  const lost = observed.cluster.spec.recovery?.lostSites ?? [];
  const others = fleet.nodes.filter(({ site, local }) => !local && !lost.includes(site));
  if (others.some(({ name }) => name === observed.lock.node)) return false;
  return others.every(({ standing, serving }) => standing !== "Member" || serving);
}
