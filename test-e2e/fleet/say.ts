import { until } from "./await.ts";
import { statusLine } from "./fleet.ts";
import { cluster, namespace, type Place } from "./places.ts";

/** What a person reads about trouble: the STATUS column first, then, in `describe`, what to do about it. */
export interface Words {
  readonly status: RegExp;
  readonly remedy: RegExp;
  readonly deadlineMs?: number;
}

/** Waits until `kubectl get kms` says what is wrong and `kubectl describe kms` what to do; answers with the status line. */
export async function waitUntilTold(place: Place, site: string, words: Words): Promise<string> {
  const { deadlineMs = 60_000 } = words;
  const line = await until(
    () => statusLine(place, site),
    (seen) => words.status.test(seen),
    { what: `STATUS in ${site} says ${words.status}`, deadlineMs },
  );
  await until(
    () => describe(place, site),
    (seen) => words.remedy.test(seen.replace(/\s+/g, " ")),
    { what: `kubectl describe in ${site} says ${words.remedy}`, deadlineMs: 20_000 },
  );
  return line;
}

/** Waits until the STATUS column of every site tells of nothing but that all nodes serve. */
export async function waitUntilContent(place: Place): Promise<void> {
  for (const site of place.sites.names)
    await until(
      () => statusLine(place, site),
      (line) => line.endsWith("all nodes serve"),
      { what: `${site} has no complaint any more`, deadlineMs: 600_000 },
    );
}

/** `kubectl describe kms bank` of a site. */
export async function describe(place: Place, site: string): Promise<string> {
  return (await place.sites.kubectl(site, ["-n", namespace, "describe", "kmscluster", cluster])).stdout;
}
