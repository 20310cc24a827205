import { setTimeout as pause } from "node:timers/promises";
import { objectsAt } from "./api.ts";
import type { Place } from "./places.ts";

/** The nodes that did not serve at some moment. */
export interface Outage {
  readonly atMs: number;
  readonly nodes: readonly string[];
}

/** Looks every second which nodes do not serve. */
export interface OutageWatch {
  /** Ends it; answers with every look at which at least one did not. */
  stop(): Promise<{ readonly looks: number; readonly outages: readonly Outage[] }>;
}

/** Starts to watch these nodes: one serves while its pod is Ready and not on its way out. */
export function watchOutages(place: Place, nodes: readonly string[]): OutageWatch {
  const ended = new AbortController();
  const outages: Outage[] = [];
  let looks = 0;
  const watching = (async () => {
    while (!ended.signal.aborted) {
      const next = pause(1_000, undefined, { signal: ended.signal }).catch(() => undefined);
      const serving = (await Promise.all(place.sites.names.map((site) => servingAt(place, site)))).flat();
      const missing = nodes.filter((node) => !serving.includes(node));
      looks += 1;
      if (missing.length > 0) outages.push({ atMs: performance.now(), nodes: missing });
      await next;
    }
  })();
  return {
    stop: async () => {
      ended.abort();
      await watching;
      return { looks, outages };
    },
  };
}

interface Pod {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>>; readonly deletionTimestamp?: string };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

async function servingAt(place: Place, site: string): Promise<string[]> {
  const pods = await objectsAt<Pod>(place, site, "pods", "keyfleet.io/node");
  return pods
    .filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && isReady(status))
    .map(({ metadata }) => metadata.labels?.["keyfleet.io/node"] ?? "");
}

function isReady({ conditions = [] }: Pod["status"]): boolean {
  return conditions.some(({ type, status }) => type === "Ready" && status === "True");
}
