import type { Call } from "../fleet/kmip-clients.ts";
import { namespace, type Place } from "../fleet/places.ts";

const begin = performance.now();
const elapsed = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** Runs one step of the demo and says how long it took. */
export async function step<T>(title: string, run: () => Promise<T>): Promise<T> {
  const start = performance.now();
  console.log(`[${elapsed(begin).padStart(8)}] ${title}`);
  const result = await run();
  console.log(`${" ".repeat(11)}done in ${elapsed(start)}`);
  return result;
}

/** One line of news inside a step. */
export function explain(text: string): void {
  console.log(`${" ".repeat(11)}${text.slice(0, 300)}`);
}

/** What the demo showed, and how to go on. */
export interface Shown {
  readonly keys: number;
  readonly nodes: number;
  readonly operations: number;
  readonly lost: readonly string[];
  readonly call: Call;
  readonly endpoint: string;
  readonly place: Place;
}

/** Ends the demo in plain words. */
export function summary(shown: Shown): void {
  const { certificates, sites } = shown.place;
  console.log(`
In ${elapsed(begin)}: ${shown.nodes} key servers in ${sites.names.length} sites were founded and joined; ${shown.lost.join(" and ")} were
lost in the middle of writes; every one of the acknowledged keys was read on the site that was left, which went on
creating keys; then the lost sites came back and all ${shown.nodes} nodes hold the same ${shown.operations} operations and ${shown.keys} keys of this run.

Go on by hand:
  test-e2e/sites/sites kubectl dc1 -n ${namespace} get kms,kmsn
  test-e2e/sites/sites kubectl dc1 -n ${namespace} describe kms bank
  test-e2e/sites/sites kill dc2      (and: start, cut, isolate, heal; see --help)
  a KMIP client in the clients' network (test-e2e/sites/sites exec COMMAND...):
    endpoint ${shown.endpoint}, CA ${shown.call.ca},
    certificate ${certificates}/app1.crt, key ${certificates}/app1.key
  make demo-down                     ends the sites; nothing is left behind
`);
}

/** Says what failed and what to look at, and ends with an error. */
export async function fail(error: Error, place: Place): Promise<void> {
  console.error(`\nThe demo failed: ${error.message}\n`);
  for (const site of place.sites.names) {
    const what = ["-n", namespace, "get", "kms,kmsn,pods,svc,pvc", "-o", "wide"];
    const { stdout } = await place.sites
      .kubectl(site, what)
      .catch((cause: Error) => ({ stdout: `${cause.message}\n` }));
    console.error(`-- ${site}\n${stdout}`);
  }
  console.error(
    "Look further: test-e2e/sites/sites kubectl SITE -n keyfleet describe kms bank; ... logs deploy/keyfleet-operator; ... logs NODE-0 -c keyserver",
  );
  process.exitCode = 1;
}
