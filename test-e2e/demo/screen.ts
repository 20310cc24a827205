import { join } from "node:path";
import type { Call } from "../fleet/kmip-clients.ts";
import { cache, namespace, type Place } from "../fleet/places.ts";

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
  const [first] = sites.names;
  const loss = `${shown.lost.join(" and ")} were lost outright in the middle of
writes; every acknowledged key was read on the site that was left, which went on creating keys; the lost sites came back;`;
  console.log(`
In ${elapsed(begin)}: ${shown.nodes} key servers in ${sites.names.length} sites were founded and joined one by one; ${shown.lost.length === 0 ? "" : loss}
and all ${shown.nodes} nodes hold the same ${shown.operations} operations, with each of the ${shown.keys} keys of this run.

Go on by hand:
  test-e2e/sites/sites kubectl ${first} -n ${namespace} get kms,kmsn
  test-e2e/sites/sites kubectl ${first} -n ${namespace} describe kms bank
  test-e2e/sites/sites kill dc2      (and: start, cut, isolate, heal; see --help)
  a KMIP client, in the network of the clients (any other takes the same endpoint, CA, certificate and key):
    test-e2e/sites/sites exec ${join(cache, "clients/kmip-go")} --endpoint ${shown.endpoint} \\
      --ca ${shown.call.ca} --cert ${certificates}/app1.crt --key ${certificates}/app1.key --name my-key create
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
