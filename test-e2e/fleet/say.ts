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

/** `kubectl describe kms bank` of a site. */
export async function describe(place: Place, site: string): Promise<string> {
  return (await place.sites.kubectl(site, ["-n", namespace, "describe", "kmscluster", cluster])).stdout;
}
