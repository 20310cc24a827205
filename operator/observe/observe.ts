import type { Clock, KmsCluster, KubernetesObject, LockView, Observed, Reference, SiteView } from "../ports/types.ts";
import { wantedReferences } from "./references.ts";
import { agreementOf } from "./spec-agreement.ts";

/** Where one pass over one KmsCluster reads: caches of informers, and what is cached of the references and the lock. */
export interface Sources {
  readonly site: string;
  readonly clock: Clock;
  /** Of the named sites and the local one. */
  views(wanted: readonly string[]): readonly SiteView[];
  /** Objects of this site that carry the cluster's label. */
  objects(): readonly KubernetesObject[];
  references(wanted: readonly string[]): Promise<ReadonlyMap<string, Reference>>;
  lock(): Promise<LockView>;
  /** Why this site could not take over the specification of another one; undefined when it could. */
  refusal?(): string | undefined;
}

/** All reads of one pass, as one immutable value; undefined when this site has no copy of the KmsCluster. */
export async function observe(sources: Sources): Promise<Observed | undefined> {
  const cluster = localCopy(sources.views([]));
  if (cluster === undefined) return undefined;
  const [references, lock] = await Promise.all([
    sources.references(wantedReferences(cluster, sources.site)),
    sources.lock(),
  ]);
  // Read after the waits, so that all of it is of one moment.
  const sites = sources.views(cluster.spec.sites.map(({ name }) => name));
  const now = localCopy(sites) ?? cluster;
  return {
    site: sources.site,
    nowMs: sources.clock.nowMs(),
    sinceBoot: sources.clock.sinceBoot(),
    cluster: now,
    sites,
    lock,
    spec: agreementOf(sources.site, now, sites, sources.refusal?.()),
    objects: sources.objects(),
    references,
  };
}

function localCopy(views: readonly SiteView[]): KmsCluster | undefined {
  return views.find(({ local }) => local)?.cluster;
}
