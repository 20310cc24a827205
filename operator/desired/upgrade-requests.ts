import type { KmsCluster, Observed } from "../ports/types.ts";

/** The one-time requests of spec.upgrade.requests that name a version when they are handled. */
export type VersionRequest = "approve" | "rollback";

/** So many values of a request are remembered: an older document that Git puts back must not act again. */
const remembered = 8;

/** Requests that were handled, by kind: the value, and the version that it was handled for. */
export type HandledRequests = NonNullable<NonNullable<KmsCluster["status"]>["upgrade"]>;

/**
 * The version that all nodes shall run: that of the specification, or, after a request to roll back from it, the one whose
 * features are in use.
 */
export function targetVersion(observed: Observed, level: string | undefined): string {
  const { version } = observed.cluster.spec;
  return level !== undefined && boundVersion(observed, "rollback") === version ? level : version;
}

/**
 * The version that a request stands for: the one for which any site handled this value, else the wanted one, as nobody
 * has handled it yet. Undefined when nothing is requested. So the same value never acts twice, whatever re-applies it.
 */
export function boundVersion(observed: Observed, kind: VersionRequest): string | undefined {
  const value = observed.cluster.spec.upgrade?.requests?.[kind];
  if (value === undefined || value === "") return undefined;
  const handled = copiesOf(observed)
    .flatMap((copy) => valuesOf(copy?.status?.upgrade?.[kind]))
    .find((one) => one.value === value);
  return handled?.version ?? observed.cluster.spec.version;
}

/** Every site's copy of the document, as far as it was seen, this site's first: what is told in any one of them is told. */
export function copiesOf({ cluster: own, sites }: Observed): (KmsCluster | undefined)[] {
  return [own, ...sites.map(({ cluster }) => cluster)];
}

/** What the status keeps of the requests, so that they are handled once. Undefined when there never was one. */
export function handledRequests(observed: Observed): HandledRequests | undefined {
  const requests = observed.cluster.spec.upgrade?.requests ?? {};
  const kept = observed.cluster.status?.upgrade ?? {};
  const next: HandledRequests = { ...kept };
  for (const kind of ["approve", "rollback"] as const) {
    const version = boundVersion(observed, kind);
    const value = requests[kind];
    if (version !== undefined && value !== undefined) next[kind] = withValue(kept[kind], { value, version });
  }
  if (requests.retry) next.retry = withValue(kept.retry, { value: requests.retry });
  return Object.keys(next).length === 0 ? undefined : next;
}

/** The values of a request that were handled, the newest first. */
type Values<One> = One & { readonly earlier?: One[] };

function withValue<One extends { readonly value: string }>(kept: Values<One> | undefined, one: One): Values<One> {
  if (kept?.value === one.value) return kept;
  const earlier = valuesOf(kept).filter(({ value }) => value !== one.value);
  return earlier.length === 0 ? one : { ...one, earlier: earlier.slice(0, remembered - 1) };
}

function valuesOf<One>(kept: Values<One> | undefined): One[] {
  if (kept === undefined) return [];
  const { earlier = [], ...last } = kept;
  return [last as One, ...earlier];
}

/** Whether this site has not yet done what spec.upgrade.requests.retry asks for. */
export function wantsRetry({ cluster }: Observed): boolean {
  const value = cluster.spec.upgrade?.requests?.retry;
  const handled = valuesOf(cluster.status?.upgrade?.retry);
  return value !== undefined && value !== "" && !handled.some((one) => one.value === value);
}
