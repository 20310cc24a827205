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
export function aRunningFleet(): Promise<Fleet> {
  const document = exampleDocument(place);
  return fleetOf(document, (there) => namesOf(there) === namesOf(document));
}

/** Which nodes of the example a small fleet has, one a site when not told; and whether it may have been upgraded before. */
export interface SmallFleet {
  readonly names?: readonly string[];
  readonly atAnyVersion?: boolean;
}

/** The same with some nodes only, which is quicker to make: that of the story before, or a new one. */
export function aSmallFleet({ names, atAnyVersion = false }: SmallFleet = {}): Promise<Fleet> {
  const document = exampleDocument(place);
  const wanted = names ?? place.sites.names.map((site) => `${site}-a`);
  for (const site of document.spec.sites) site.nodes = site.nodes.filter(({ name }) => wanted.includes(name));
  return fleetOf(
    document,
    (there) => namesOf(there) === namesOf(document) && (atAnyVersion || there.spec.version === document.spec.version),
  );
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

async function fleetOf(document: Document, isLike: (there: Document) => boolean): Promise<Fleet> {
  await powerOn();
  const there = await documentThere();
  if (there !== undefined && !isLike(there)) await emptySites();
  if ((await documentThere()) === undefined) {
    await installOperators(place);
    await applyDocument(place, first, document);
    await waitForCopies(place, 60_000);
  }
  await waitForAllServing(place, { deadlineMs: 300_000 });
  return theFleet();
}

async function powerOn(): Promise<void> {
  await installClients();
  await makeClientCertificates(place);
  if (process.env.SITES === undefined) await localSites(2).up([second]);
  await place.sites.up();
  await place.sites.heal();
}

/** The first site's document; undefined without one. */
async function documentThere(): Promise<Document | undefined> {
  const words = ["-n", namespace, "get", "kmscluster", cluster, "--ignore-not-found", "-o", "json"];
  return place.sites.kubectl(first, words).then(
    ({ stdout }) => (stdout.trim() === "" ? undefined : JSON.parse(stdout)),
    () => undefined, // the kind is not known yet
  );
}

function namesOf({ spec }: Document): string {
  return spec.sites
    .flatMap(({ nodes }) => nodes.map(({ name }) => name))
    .sort()
    .join();
}
