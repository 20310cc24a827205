import "./instance.ts";

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { applyDocument, exampleDocument, waitForCopies } from "../fleet/document.ts";
import {
  allNodes,
  clusterAt,
  endpoints,
  type Fleet,
  waitForAllServing,
  waitUntilEqual,
  writeServersCa,
} from "../fleet/fleet.ts";
import { installOperators, makeClientCertificates } from "../fleet/install.ts";
import { installClients } from "../fleet/kmip-clients.ts";
import { cache, namespace, type Place } from "../fleet/places.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { startWriters } from "../fleet/writers.ts";
import { localSites } from "../sites/local-sites.ts";
import { zoneSites } from "../sites/zone-sites.ts";

const local = localSites(3);
const place: Place = {
  sites: zoneSites(local, { site: "dc1", namespace }),
  certificates: join(cache, "clients/stories"),
};
/** Not the first, whose machine is also that of the API server. */
const [, lost = ""] = place.sites.names;

let fleet: Fleet;
before(async () => {
  await installClients();
  await makeClientCertificates(place);
  await local.down();
  await place.sites.up();
});
after(() => local.down());

test("one Kubernetes with three zones: an operator and a namespace a zone, and the document applied in one of them", async () => {
  await installOperators(place);
  const document = exampleDocument(place);
  for (const site of document.spec.sites) {
    site.nodes = site.nodes.slice(0, 1);
    const nodeSelector = { "topology.kubernetes.io/zone": site.name };
    site.defaults = { ...site.defaults, placement: { nodeSelector } };
  }
  await applyDocument(place, place.sites.names[0] ?? "", document);
  await waitForCopies(place, 120_000);
  await waitForAllServing(place, { deadlineMs: 400_000 });
  const nodes = await allNodes(place);
  assert.deepEqual(
    nodes.map(({ spec }) => spec.site),
    place.sites.names,
  );
  const call = { client: "kmip-go", endpoints: [], ca: writeServersCa(place, nodes) } as const;
  fleet = { nodes, endpoints: endpoints(nodes), call };
});

test("a zone is lost with its operator: clients go on, the other zones say so, and it comes back with every key", async (t) => {
  const { call, endpoints } = fleet;
  const name = `zone-${Date.now()}`;
  const writers = startWriters(place, { endpoints, call, name, seconds: 400, tries: 3 });
  t.after(() => writers.stop());
  await writers.more(30);
  await place.sites.kill(lost);
  for (const zone of place.sites.names.filter((one) => one !== lost)) {
    const look = async () => (await clusterAt(place, zone)).status?.nodes;
    await until(look, (seen) => seen === "2/3", { what: `${zone} misses the node`, deadlineMs: 120_000 });
  }
  await writers.more(60);
  await place.sites.start(lost);
  await waitForAllServing(place, { deadlineMs: 300_000 });
  const keys = await writers.stop();
  assert.deepEqual(writers.failures(), []);
  await waitUntilEqual(place, fleet.nodes, 60_000);
  await readEverywhere(place, call, { keys, nodes: fleet.nodes });
});
