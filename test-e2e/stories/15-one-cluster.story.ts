import "./instance.ts";

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { applyDocument, editDocument, exampleDocument, waitForCopies } from "../fleet/document.ts";
import { allNodes, clusterAt, endpoints, type Fleet, waitForAllServing, writeServersCa } from "../fleet/fleet.ts";
import { installOperators, makeClientCertificates } from "../fleet/install.ts";
import { installClients } from "../fleet/kmip-clients.ts";
import { underLoad } from "../fleet/load.ts";
import { cache, namespace, type Place } from "../fleet/places.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { localSites } from "../sites/local-sites.ts";
import { nextVersion } from "../sites/next-version.ts";
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
  const load = await underLoad(place, fleet, "zone");
  t.after(() => load.cancel());
  load.lost(lost);
  await place.sites.kill(lost);
  for (const zone of place.sites.names.filter((one) => one !== lost)) {
    const look = async () => (await clusterAt(place, zone)).status?.nodes;
    await until(look, (seen) => seen === "2/3", { what: `${zone} misses the node`, deadlineMs: 120_000 });
  }
  await load.more(60);
  await place.sites.start(lost);
  const read = await load.end((line) => t.diagnostic(line));
  await readEverywhere(place, fleet.call, { keys: read, nodes: fleet.nodes });
});

test("the machine of a zone is drained: its node leaves in order and comes back, and no request fails", async (t) => {
  const [machine, before] = await podOf(lost);
  t.after(() => place.sites.kubectl(lost, ["uncordon", machine]));
  const load = await underLoad(place, fleet, "drain");
  t.after(() => load.cancel());
  // The zone's operators have no other machine to go to, and their budget keeps one of them.
  const how = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--pod-selector=keyfleet.io/node"];
  await place.sites.kubectl(lost, ["drain", machine, ...how, "--timeout=180s"]);
  await load.more(30);
  await place.sites.kubectl(lost, ["uncordon", machine]);
  await load.end((line) => t.diagnostic(line));
  assert.notEqual((await podOf(lost))[1], before, "the pod was evicted");
});

test("the zones are upgraded one after the other by their operators, and no request fails", async (t) => {
  const next = nextVersion(fleet.nodes[0]?.spec.version ?? "");
  const load = await underLoad(place, fleet, "upgrade");
  t.after(() => load.cancel());
  await editDocument(place, lost, (spec) => {
    spec.version = next;
    spec.upgrade = { ...spec.upgrade, soakSeconds: 2 };
  });
  const look = async () => (await allNodes(place)).map(({ status }) => [status?.version, status?.featureLevel]);
  const done = (seen: (string | undefined)[][]) => seen.flat().every((version) => version === next);
  await until(look, done, { what: `every node runs ${next} and writes at that level`, deadlineMs: 600_000 });
  await load.end((line) => t.diagnostic(line));
});

/** The machine that the node of a zone runs on, and the uid of its pod. */
async function podOf(zone: string): Promise<[machine: string, uid: string]> {
  const path = "jsonpath={.items[0].spec.nodeName} {.items[0].metadata.uid}";
  const words = ["-n", namespace, "get", "pods", "-l", "keyfleet.io/node", "-o", path];
  const [machine = "", uid = ""] = (await place.sites.kubectl(zone, words)).stdout.split(" ");
  assert.ok(machine && uid, `${zone} has a pod of a node`);
  return [machine, uid];
}
