import { isDeepStrictEqual } from "node:util";
import { isEnding } from "../ports/spec-copy.ts";
import type { KmsCluster, SiteView, SpecAgreement, SpecDifference } from "../ports/types.ts";

/** Annotations by which the sites' copies of a KmsCluster are ordered. */
export const specAnnotations = {
  /** "<n>@<site>": n grows with each edit, site is where the edit was made. */
  version: "keyfleet.io/spec-version",
  /** metadata.generation that the version stands for; a later generation is an edit that has no version yet. */
  generation: "keyfleet.io/spec-generation",
  /** The generation is one of after the deletion, which the API server counts as a change although it is no edit. */
  deleted: "keyfleet.io/spec-deleted",
} as const;

/** Paths that are named for a difference; the rest is counted. */
const maxFields = 10;
/** An API server repeats what it refuses, which may be long. */
const longestRefusal = 300;

/** A place in the order of all edits. */
interface SpecVersion {
  readonly edit: number;
  readonly site: string;
}

/** What this site shall do with its own copy; it never touches another site's. */
export type SpecDecision =
  | { readonly kind: "keep" }
  /** Give the local copy, which was edited here, the next version. */
  | { readonly kind: "stamp"; readonly version: string }
  /** Take over the copy of another site, or only its version when the specifications are equal. */
  | { readonly kind: "adopt"; readonly from: string; readonly version: string; readonly spec: KmsCluster["spec"] };

/**
 * What to do about the copies of one KmsCluster. The newest version wins everywhere; an edit without a version gets the
 * next one; a copy that a GitOps tool owns is stamped and never overwritten; a copy that is missing is made again, from
 * one with which the fleet ends only while this site still has nodes that have to end with it. One that is being deleted is a copy like others as long as it is there.
 */
export function decideSpec(input: {
  readonly site: string;
  readonly local: KmsCluster | undefined;
  readonly sites: readonly SiteView[];
  /** Whether this site has nodes of the fleet. */
  readonly hasNodes?: boolean;
}): SpecDecision {
  const { site, local, hasNodes = false } = input;
  if (local === undefined) {
    const living = ({ cluster }: SiteView) => hasNodes || cluster === undefined || !isEnding(cluster);
    const newest = newestCopy(input.sites.filter(living));
    const isNamed = newest?.spec.sites.some(({ name }) => name === site) ?? false;
    return newest !== undefined && isNamed ? adoption(newest) : { kind: "keep" };
  }
  const newest = newestCopy(input.sites.filter((view) => !isOfAnotherFleet(local, view)));
  const own = isEdited(local) ? undefined : versionOf(local);
  const equal = newest !== undefined && isDeepStrictEqual(newest.spec, local.spec);
  if (own === undefined && !equal) {
    const seen = [versionOf(local), newest?.version].map((version) => version?.edit ?? 0);
    return { kind: "stamp", version: text({ edit: Math.max(...seen) + 1, site }) };
  }
  if (newest === undefined || (own !== undefined && !isNewer(newest.version, own))) return { kind: "keep" };
  if (!equal && ownerOf(local) !== undefined) return { kind: "keep" };
  return adoption(newest);
}

/**
 * Whether what a site has under that name is another fleet, as where its kubeconfig leads to that of a test environment: the
 * id of a fleet never changes. Taken over, its document would make the nodes of this one leave.
 */
function isOfAnotherFleet(local: KmsCluster, { cluster }: SiteView): boolean {
  const [own, other] = [local.status?.clusterId, cluster?.status?.clusterId];
  return own !== undefined && other !== undefined && own !== other;
}

/** Whether the sites that were seen have the same specification, and what differs; `refusal` of this site to take one over. */
export function agreementOf(
  site: string,
  local: KmsCluster,
  sites: readonly SiteView[],
  refusal?: string,
): SpecAgreement {
  const lost = new Set(local.spec.recovery?.lostSites ?? []);
  const others = sites.filter((view) => !view.local && !lost.has(view.name) && view.ageMs !== undefined);
  const differences = others.flatMap((view) => difference({ site, local, refusal }, view));
  return {
    agrees: differences.length === 0,
    differences,
    version: local.metadata.annotations?.[specAnnotations.version],
    ownedBy: ownerOf(local),
  };
}

/** The GitOps tool that owns an object, by its tracking label or annotation. */
export function ownerOf({ metadata }: KmsCluster): "ArgoCD" | "Flux" | undefined {
  const labels = metadata.labels ?? {};
  const names = [...Object.keys(labels), ...Object.keys(metadata.annotations ?? {})];
  if (names.some((name) => name.startsWith("argocd.argoproj.io/"))) return "ArgoCD";
  if (names.some((name) => /^(kustomize|helm)\.toolkit\.fluxcd\.io\//.test(name))) return "Flux";
  // Argo CD's tracking label before version 3; Helm sets the same one, and says so.
  const managedBy = labels["app.kubernetes.io/managed-by"];
  if (labels["app.kubernetes.io/instance"] !== undefined && managedBy !== "Helm") return "ArgoCD";
  return undefined;
}

interface Copy {
  readonly site: string;
  readonly version: SpecVersion;
  readonly spec: KmsCluster["spec"];
}

function adoption({ site, version, spec }: Copy): SpecDecision {
  return { kind: "adopt", from: site, version: text(version), spec };
}

/** The newest copy that another site has stamped and not edited since; only sites that answer, so that old views never win. */
function newestCopy(sites: readonly SiteView[]): Copy | undefined {
  const copies = sites.flatMap(({ name, local, reachable, cluster }) => {
    if (local || !reachable || cluster === undefined || isEdited(cluster)) return [];
    const version = versionOf(cluster);
    return version === undefined ? [] : [{ site: name, version, spec: cluster.spec }];
  });
  return copies.sort((a, b) => (isNewer(a.version, b.version) ? -1 : 1))[0];
}

function isEdited(cluster: KmsCluster): boolean {
  const { annotations, generation = 0 } = cluster.metadata;
  const stamped = Number(annotations?.[specAnnotations.generation] ?? Number.NaN);
  // Lower than stamped: the API server dropped what we adopted (an older CRD); that is a difference, not an edit.
  return !(generation - (isDeletionUncounted(cluster) ? 1 : 0) <= stamped);
}

/** Whether a copy was deleted since it was stamped. */
export function isDeletionUncounted({ metadata }: KmsCluster): boolean {
  return metadata.deletionTimestamp !== undefined && metadata.annotations?.[specAnnotations.deleted] === undefined;
}

function versionOf({ metadata }: KmsCluster): SpecVersion | undefined {
  return parse(metadata.annotations?.[specAnnotations.version] ?? "");
}

function parse(version: string): SpecVersion | undefined {
  const [, edit, site] = /^([1-9]\d{0,14})@([a-z0-9.-]+)$/.exec(version) ?? [];
  return edit === undefined || site === undefined ? undefined : { edit: Number(edit), site };
}

function text({ edit, site }: SpecVersion): string {
  return `${edit}@${site}`;
}

/** Same number in two sites means that both were edited at once: the greater name wins, the same one everywhere. */
function isNewer(a: SpecVersion, b: SpecVersion): boolean {
  return a.edit === b.edit ? a.site > b.site : a.edit > b.edit;
}

interface Here {
  readonly site: string;
  readonly local: KmsCluster;
  readonly refusal: string | undefined;
}

function difference(here: Here, view: SiteView): SpecDifference[] {
  const { site, local } = here;
  if (view.cluster === undefined) {
    const message = `${view.name} has no copy of ${local.metadata.name} yet; its operator takes it over from here`;
    return [{ site: view.name, fields: [], message }];
  }
  if (isOfAnotherFleet(local, view)) {
    const message = `${view.name} has another fleet called ${local.metadata.name} (${view.cluster.status?.clusterId}): its kubeconfig may lead astray`;
    return [{ site: view.name, fields: [], message }];
  }
  const paths = differingPaths(local.spec, view.cluster.spec, "spec");
  if (paths.length === 0) return [];
  const fields = paths.slice(0, maxFields);
  const more = paths.length > maxFields ? ` and ${paths.length - maxFields} more` : "";
  const message = `${site} and ${view.name} differ in ${fields.join(", ")}${more}; ${remedy(here, view.cluster, view.name)}`;
  return [{ site: view.name, fields, message }];
}

function remedy({ site: own, local, refusal }: Here, remote: KmsCluster, site: string): string {
  const [here, there] = [ownerOf(local), ownerOf(remote)];
  if (here !== undefined) return `${here} owns the copy here: make its source the same`;
  if (there !== undefined) return `${there} owns the copy in ${site}: make its source the same`;
  if (refusal !== undefined)
    return `the newer one is not taken in ${own} (${refusal.slice(0, longestRefusal)}): bring the CRDs of both sites to the same version, or change what is refused`;
  return "the newer one is being taken over";
}

/** Paths at which two plain values differ, in the order of their names. */
function differingPaths(a: unknown, b: unknown, path: string): string[] {
  if (isDeepStrictEqual(a, b)) return [];
  if (Array.isArray(a) && Array.isArray(b)) {
    const indexes = Array.from({ length: Math.max(a.length, b.length) }, (_, index) => index);
    return indexes.flatMap((index) => differingPaths(a[index], b[index], `${path}[${index}]`));
  }
  if (!isRecord(a) || !isRecord(b)) return [path];
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort();
  return names.flatMap((name) => differingPaths(a[name], b[name], `${path}.${name}`));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
