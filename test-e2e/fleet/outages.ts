import { setTimeout as pause } from "node:timers/promises";
import { objectsAt } from "./api.ts";
import type { Place } from "./places.ts";

/** The nodes that did not serve at some moment. */
export interface Outage {
  readonly atMs: number;
  readonly nodes: readonly string[];
  /** Those of them whose site was lost, and that have not served since. */
  readonly lost: readonly string[];
}

/** Looks every second which nodes do not serve. */
export interface OutageWatch {
  /** A site is lost now: its nodes are told apart until each of them serves again. */
  lost(site: string): void;
  /** Ends it; answers with every look at which at least one did not. */
  stop(): Promise<{ readonly looks: number; readonly outages: readonly Outage[] }>;
}

/** Starts to watch these nodes: one serves while its pod is Ready and not on its way out. */
export function watchOutages(place: Place, nodes: readonly string[]): OutageWatch {
  const ended = new AbortController();
  const outages: Outage[] = [];
  const lost = lostNodes(nodes);
  let looks = 0;
  const look = async () => {
    const pods = (await Promise.all(place.sites.names.map((site) => lost.orNone(site, servingAt(place, site))))).flat();
    for (const pod of pods) lost.serves(pod);
    const serving = pods.map(({ node }) => node);
    const away = lost.now();
    const missing = nodes.filter((node) => away.includes(node) || !serving.includes(node));
    looks += 1;
    if (missing.length > 0) outages.push({ atMs: performance.now(), nodes: missing, lost: away });
  };
  const watching = (async () => {
    while (!ended.signal.aborted) {
      const next = pause(1_000, undefined, { signal: ended.signal }).catch(() => undefined);
      await look();
      await next;
    }
  })();
  return {
    lost: lost.add,
    stop: async () => {
      ended.abort();
      await watching;
      return { looks, outages };
    },
  };
}

/** Which of these nodes were lost with their sites and have not served since. */
function lostNodes(nodes: readonly string[]) {
  const since = new Map<string, number>();
  const sites = new Set<string>();
  return {
    add: (site: string) => {
      sites.add(site);
      // Kubernetes gives times in whole seconds.
      const nowMs = Math.ceil(Date.now() / 1_000) * 1_000;
      for (const node of nodes) if (node.startsWith(`${site}-`)) since.set(node, nowMs);
    },
    now: () => nodes.filter((node) => since.has(node)),
    /** What an API server says of a pod after a loss is about the time before, until its containers run again. */
    serves: ({ node, sinceMs }: Serving) => {
      if (sinceMs >= (since.get(node) ?? Number.POSITIVE_INFINITY)) since.delete(node);
    },
    /** Nobody answers in a site that is lost, which is no error. */
    orNone: (site: string, pods: Promise<Serving[]>) =>
      pods.catch((error) => {
        if (sites.has(site)) return [];
        throw error;
      }),
  };
}

/** Nodes that were taken down while others were lost: nobody but the fire may take nodes then. */
export function takenMeanwhile(outages: readonly Outage[]): string[] {
  return outages.flatMap(({ nodes, lost }, at) => {
    const before = outages[at - 1];
    // Who was down at the first look of a loss was so before it.
    if (before === undefined || !before.lost.some((node) => lost.includes(node))) return [];
    const taken = nodes.filter((node) => !before.nodes.includes(node));
    return taken.map((node) => `${node} while ${lost} did not serve`);
  });
}

/** A node that serves. */
export interface Serving {
  readonly node: string;
  /** When the last of its containers was started. */
  readonly sinceMs: number;
}

interface Pod {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>>; readonly deletionTimestamp?: string };
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly state?: { readonly running?: { readonly startedAt: string } } }[];
  };
}

/** The nodes of a site that serve. */
export async function servingAt(place: Place, site: string): Promise<Serving[]> {
  const pods = await objectsAt<Pod>(place, site, "pods", "keyfleet.io/node");
  return pods
    .filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && isReady(status))
    .map(({ metadata, status: { containerStatuses = [] } }) => ({
      node: metadata.labels?.["keyfleet.io/node"] ?? "",
      sinceMs: Math.max(...containerStatuses.map(({ state }) => Date.parse(state?.running?.startedAt ?? ""))),
    }));
}

function isReady({ conditions = [] }: Pod["status"]): boolean {
  return conditions.some(({ type, status }) => type === "Ready" && status === "True");
}
