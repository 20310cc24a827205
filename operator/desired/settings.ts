import type { HsmSettings, NodeSettings } from "@keyfleet/crds/kms-node.ts";
import type { KmsCluster } from "../ports/types.ts";
import type { NodeFacts } from "./facts.ts";

/** Settings with everything filled in that the operator itself needs. */
export type ResolvedSettings = NodeSettings & {
  readonly ntp: { servers: string[]; maxOffsetMs: number };
  readonly hsm: HsmSettings & { keyLabel: string };
  readonly storage: { size: string; storageClassName?: string };
};

/** The settings of a node: its own win over its site's, those over the fleet's, field by field; lists are replaced. */
export function resolvedSettings(cluster: KmsCluster, facts: NodeFacts): ResolvedSettings {
  const layers = facts.entry
    ? [defaultsOf(cluster, facts), cluster.spec.defaults, facts.siteEntry?.defaults, facts.entry.settings]
    : [defaultsOf(cluster, facts), facts.node?.spec.settings];
  const all = layers.reduce<Record<string, unknown>>((under, over) => merged(under, over ?? {}), {});
  return (facts.external ? ofMachine(all) : all) as unknown as ResolvedSettings;
}

/** What is only for nodes in Kubernetes, and of no use on a machine of its own. */
function ofMachine(all: Record<string, unknown>): Record<string, unknown> {
  const { storage: _storage, resources: _resources, placement: _placement, exposure: _exposure, ...rest } = all;
  const { pinSecretRef: _pin, ...hsm } = (rest.hsm ?? {}) as Record<string, unknown>;
  return { ...rest, hsm };
}

/** What the settings of a node lack; empty when it can be started. The PIN of an External node is on its machine. */
export function missingSettings(settings: NodeSettings, external = false): string[] {
  const hsm = settings.hsm ?? {};
  const missing: string[] = [];
  if (!hsm.library) missing.push("hsm.library");
  if (!hsm.token?.label && !hsm.token?.serial) missing.push("hsm.token");
  if (!hsm.pinSecretRef && !external) missing.push("hsm.pinSecretRef");
  return missing;
}

function defaultsOf(cluster: KmsCluster, facts: NodeFacts): NodeSettings {
  return {
    ntp: { servers: [], maxOffsetMs: 250 },
    // Two nodes may share a token (a partition of a network HSM), so each has a key of its own name.
    hsm: { keyLabel: `${cluster.metadata.name}-${facts.name}` },
    storage: { size: "10Gi" },
    logs: { level: "info", kmipActivity: false },
  };
}

function merged(under: object, over: object): Record<string, unknown> {
  const result: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    result[key] = isRecord(below) && isRecord(value) ? merged(below, value) : value;
  }
  return result;
}

function isRecord(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
