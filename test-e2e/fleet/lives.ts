import { objectsAt } from "./api.ts";
import type { Place } from "./places.ts";

/** Labels of the pods that a fleet is made of. */
export const podsOf = {
  nodes: "keyfleet.io/node",
  operators: "app.kubernetes.io/name=keyfleet-operator",
} as const;

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: {
    readonly initContainerStatuses?: readonly Started[];
    readonly containerStatuses?: readonly Started[];
  };
}

interface Started {
  readonly restartCount: number;
}

/** Pod → its uid and how often each of its containers was started again: the same while nothing of it is restarted. */
export async function livesOf(place: Place, label: string): Promise<Map<string, string>> {
  const pods = (await Promise.all(place.sites.names.map((site) => objectsAt<Pod>(place, site, "pods", label)))).flat();
  return new Map(pods.map(({ metadata, status }) => [metadata.name, `${metadata.uid} ${restartsOf(status)}`]));
}

/** The pods that have ended or were started again since. */
export async function endedSince(place: Place, label: string, before: ReadonlyMap<string, string>): Promise<string[]> {
  const now = await livesOf(place, label);
  return [...before].filter(([pod, life]) => now.get(pod) !== life).map(([pod]) => pod);
}

function restartsOf({ initContainerStatuses = [], containerStatuses = [] }: Pod["status"]): string {
  return [...initContainerStatuses, ...containerStatuses].map(({ restartCount }) => restartCount).join();
}
