import { isDeepStrictEqual } from "node:util";
import type { NodeEntry, SiteEntry } from "@keyfleet/crds/kms-cluster.ts";
import { isApiError, type KubernetesApi } from "./kubernetes-api.ts";
import type { KmsCluster, KubernetesObject } from "./types.ts";

/** Keeps a copy that was deleted until the operator has let it go. */
export const fleetFinalizer = "keyfleet.io/fleet";
/** Field that confirms the end of a fleet with the fleet's own name. */
export const fleetEnding = "spec.deletion.confirm";

/** Whether a copy was deleted and the end of the fleet with all its nodes is confirmed in it. */
export function isEnding({ metadata, spec }: KmsCluster): boolean {
  return metadata.deletionTimestamp !== undefined && spec.deletion?.confirm === metadata.name;
}

/** Whether a copy would go without the operator's having a say; no finalizer can be added to one that is being deleted. */
export function lacksFinalizer({ metadata }: KmsCluster): boolean {
  return metadata.deletionTimestamp === undefined && !(metadata.finalizers ?? []).includes(fleetFinalizer);
}

/** A write of this site's copy of a KmsCluster: the version that it gets, and a specification when that is replaced. */
export interface SpecWrite {
  readonly name: string;
  readonly local: KmsCluster | undefined;
  readonly version: string;
  readonly spec?: KmsCluster["spec"];
  readonly annotations: { readonly version: string; readonly generation: string; readonly deleted: string };
}

/**
 * Writes by compare-and-swap, so that an edit that comes at the same time is never lost: then nothing is written and
 * undefined is answered, and the next pass decides anew.
 */
export async function writeSpecCopy(api: KubernetesApi, write: SpecWrite): Promise<KubernetesObject | undefined> {
  try {
    if (write.local === undefined) return await api.create(newCopy(api, write));
    const between = write.spec === undefined ? undefined : specBetween(write.local.spec, write.spec);
    if (between === undefined) return await replaced(api, write.local, write);
    const version = write.local.metadata.annotations?.[write.annotations.version] ?? write.version;
    const halfway = await replaced(api, write.local, { ...write, version, spec: between });
    return await replaced(api, halfway as unknown as KmsCluster, write);
  } catch (error) {
    if (isApiError(error, "conflict", "alreadyExists")) return undefined;
    throw error;
  }
}

async function replaced(api: KubernetesApi, local: KmsCluster, write: SpecWrite): Promise<KubernetesObject> {
  return await stampedAsItIs(api, await api.update(nextCopy(local, write)), write.annotations.generation);
}

/**
 * Of what the API server takes in several edits it refuses the sum: that a site goes together with its nodes, that a node
 * is in another site or of another management. A copy that missed the edits between (its site was away) goes there in two;
 * undefined where one will do. Until the second it has its old version, so that the next pass ends what a crash broke off.
 */
function specBetween(from: KmsCluster["spec"], to: KmsCluster["spec"]): KmsCluster["spec"] | undefined {
  const placed = new Map(from.sites.flatMap((site) => site.nodes.map((node) => [node.name, placeOf(site, node)])));
  const stays = (site: SiteEntry, node: NodeEntry) => [undefined, placeOf(site, node)].includes(placed.get(node.name));
  const named = new Set(to.sites.map(({ name }) => name));
  const sites = [
    ...to.sites.map((site) => ({ ...site, nodes: site.nodes.filter((node) => stays(site, node)) })),
    ...from.sites
      .filter(({ name, nodes }) => !named.has(name) && nodes.length > 0)
      .map((site) => ({ ...site, nodes: [] })),
  ];
  return isDeepStrictEqual(sites, to.sites) ? undefined : { ...to, sites };
}

function placeOf({ name }: SiteEntry, { management = "Managed" }: NodeEntry): string {
  return `${management} in ${name}`;
}

/**
 * An API server drops what its CRD does not know (an older chart): then the specification, and its generation, may be
 * other than what was stamped, and the next edit here would not be seen as one.
 */
async function stampedAsItIs(api: KubernetesApi, copy: KubernetesObject, mark: string): Promise<KubernetesObject> {
  const generation = String(copy.metadata.generation);
  if (copy.metadata.annotations?.[mark] === generation) return copy;
  const annotations = { ...copy.metadata.annotations, [mark]: generation };
  return await api.update({ ...copy, metadata: { ...copy.metadata, annotations } });
}

function newCopy(api: KubernetesApi, { name, version, spec, annotations }: SpecWrite): KubernetesObject {
  return {
    apiVersion: "keyfleet.io/v1alpha1",
    kind: "KmsCluster",
    metadata: {
      name,
      namespace: api.namespace,
      finalizers: [fleetFinalizer],
      annotations: { [annotations.version]: version, [annotations.generation]: "1" },
    },
    spec,
  };
}

function nextCopy(local: KmsCluster, { version, spec, annotations }: SpecWrite): KubernetesObject {
  // The API server raises the generation exactly when the specification changes; compare-and-swap makes that certain.
  const changes = spec !== undefined && !isDeepStrictEqual(spec, local.spec);
  const generation = (local.metadata.generation ?? 0) + (changes ? 1 : 0);
  const deleted = local.metadata.deletionTimestamp === undefined ? {} : { [annotations.deleted]: "true" };
  const marks = { [annotations.version]: version, [annotations.generation]: String(generation), ...deleted };
  const finalizers = [...(local.metadata.finalizers ?? []), ...(lacksFinalizer(local) ? [fleetFinalizer] : [])];
  return {
    ...(local as unknown as KubernetesObject),
    metadata: { ...local.metadata, finalizers, annotations: { ...local.metadata.annotations, ...marks } },
    spec: spec ?? local.spec,
  };
}
