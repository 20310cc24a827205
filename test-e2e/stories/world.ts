import "./instance.ts";

import { join } from "node:path";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { applyDocument, type Document, exampleDocument, waitForCopies } from "../fleet/document.ts";
import { allNodes, endpoints, type Fleet, waitForAllServing, writeServersCa } from "../fleet/fleet.ts";
import { installOperators, makeClientCertificates } from "../fleet/install.ts";
import { type Call, installClients } from "../fleet/kmip-clients.ts";
import { cache, cluster, namespace, type Place } from "../fleet/places.ts";
import { sitesFromEnvironment } from "../sites/driver.ts";
import { localSites } from "../sites/local-sites.ts";

export type { Fleet };

/** The sites of the stories. They stay up from one story to the next, and after the last one for a look around. */
export const place: Place = { sites: sitesFromEnvironment(), certificates: join(cache, "clients/stories") };

/** The sites by the part that they play. The second has two machines. */
export const [first = "dc1", second = "dc2", last = "dc3"] = place.sites.names;

/** Sites with nothing on them, clients, and their certificates. */
export async function emptySites(): Promise<void> {
  await place.sites.down();
  await powerOn();
}

/** The fleet of the story before, with everything on, or a new one where that left another one behind; all nodes serve. */
export async function aRunningFleet(): Promise<Fleet> {
  await powerOn();
  const named = await nodesNamed();
  if (named !== undefined && named !== namesOf(exampleDocument(place))) await emptySites();
  if ((await nodesNamed()) === undefined) {
    await installOperators(place);
    await applyDocument(place, first, exampleDocument(place));
    await waitForCopies(place, 60_000);
  }
  await waitForAllServing(place, { deadlineMs: 300_000 });
  return theFleet();
}

/** The fleet as it is now. */
export async function theFleet(): Promise<Fleet> {
  const nodes = await allNodes(place);
  const call: Call = { client: "kmip-go", endpoints: [], ca: writeServersCa(place, nodes) };
  return { nodes, endpoints: endpoints(nodes), call };
}

/** The nodes of a site. */
export function nodesOf(fleet: Fleet, site: string): KmsNode[] {
  return fleet.nodes.filter(({ spec }) => spec.site === site);
}

async function powerOn(): Promise<void> {
  await installClients();
  await makeClientCertificates(place);
  if (process.env.SITES === undefined) await localSites(2).up([second]);
  await place.sites.up();
  await place.sites.heal();
}

/** The nodes that the first site's document names; undefined without one. */
async function nodesNamed(): Promise<string | undefined> {
  const words = ["-n", namespace, "get", "kmscluster", cluster, "--ignore-not-found", "-o", "json"];
  return place.sites.kubectl(first, words).then(
    ({ stdout }) => (stdout.trim() === "" ? undefined : namesOf(JSON.parse(stdout))),
    () => undefined, // the kind is not known yet
  );
}

function namesOf({ spec }: Document): string {
  return spec.sites
    .flatMap(({ nodes }) => nodes.map(({ name }) => name))
    .sort()
    .join();
}
