import "./instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { clusterAt, nodesAt } from "../fleet/fleet.ts";
import { cluster, namespace } from "../fleet/places.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { startWriters } from "../fleet/writers.ts";
import { aRunningFleet, type Fleet, first, last, nodesOf, place, second } from "./world.ts";

let fleet: Fleet;
before(async () => {
  fleet = await aRunningFleet();
});
// Nothing of this fleet is left to go on with.
after(() => place.sites.down());

test("a deletion that nobody confirmed waits with a remedy, and all nodes go on serving; undone, the copy is made again", async (t) => {
  const { call, endpoints } = fleet;
  const writers = startWriters(place, { endpoints, call, name: `waits-${Date.now()}` });
  t.after(() => writers.stop());
  const pods = await podsAt(first);
  const uid = (await clusterAt(place, first)).metadata.uid;
  await deleteAt(first);
  const blocked = async () => (await clusterAt(place, first)).status?.blockedBy?.find(({ gate }) => gate === gateName);
  const found = await until(blocked, (one) => one !== undefined, { what: "it says so", deadlineMs: 30_000 });
  assert.match(
    found?.remedy ?? "",
    /to end the fleet in all sites set spec\.deletion\.confirm to bank; to keep it: kubectl/,
  );
  await writers.more(60);
  const keep = ["-n", namespace, "patch", "kms", cluster, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'];
  await place.sites.kubectl(first, keep);
  const again = async () => (await clusterAt(place, first)).metadata;
  const made = (metadata: { uid?: string; deletionTimestamp?: string }) =>
    metadata.uid !== uid && metadata.deletionTimestamp === undefined;
  await until(again, made, { what: "the copy is made again", deadlineMs: 60_000 });
  const keys = await writers.stop();
  assert.deepEqual(await podsAt(first), pods, "no node was touched");
  await readEverywhere(place, call, { keys, nodes: fleet.nodes.slice(0, 2) });
});

test("a name that is not the fleet's confirms nothing", async () => {
  const wrong = editDocument(place, first, (spec) => {
    spec.deletion = { confirm: "bamk" };
  });
  await assert.rejects(wrong, /spec\.deletion\.confirm is the name of the fleet/);
});

test("confirmed in one site, deleted in another while the third is lost: it waits, until that one is named lost", async () => {
  await place.sites.kill(first);
  await editDocument(place, second, (spec) => {
    spec.deletion = { confirm: cluster };
  });
  await deleteAt(last);
  const waits = async () =>
    (await clusterAt(place, last)).status?.blockedBy?.map(({ gate, subject }) => `${gate} ${subject}`);
  const what = "it waits for the lost site";
  await until(waits, (seen) => seen?.includes(`sitesEnd ${first}`) ?? false, { what, deadlineMs: 60_000 });
  assert.equal((await nodesAt(place, last)).length, 2, "nothing has ended");
  await editDocument(place, last, (spec) => {
    spec.recovery = { lostSites: [first] };
  });
  for (const site of [second, last]) await ended(site);
});

test("the lost site comes back: its nodes serve, the others take nothing over from it, and it is ended by itself", async (t) => {
  await place.sites.start(first);
  const serving = async () => (await clusterAt(place, first)).status?.nodes;
  await until(serving, (nodes) => nodes === "2/6", {
    what: "the nodes of the returned site serve",
    deadlineMs: 240_000,
  });
  const reached = async () => (await clusterAt(place, first)).status?.sites;
  await until(reached, (sites) => sites === "3/3", { what: "it sees the others", deadlineMs: 60_000 });
  for (const site of [second, last]) assert.equal(await copyAt(site), "");
  await editDocument(place, first, (spec) => {
    spec.deletion = { confirm: cluster };
  });
  await deleteAt(first);
  await ended(first);
  for (const site of place.sites.names) t.diagnostic(`${site} keeps ${(await volumesAt(site)).join(", ")}`);
});

const gateName = "deletionConfirmed";

/** Waits until a site has neither document nor nodes nor pods of them; its volumes stay, marked, also older ones. */
async function ended(site: string): Promise<void> {
  const look = async () => ({ copy: await copyAt(site), pods: await podsAt(site) });
  const nothing = ({ copy, pods }: { copy: string; pods: string[] }) => copy === "" && pods.length === 0;
  await until(look, nothing, { what: `the fleet has ended in ${site}`, deadlineMs: 240_000 });
  const kinds = "kmsnode,statefulset,service,poddisruptionbudget,serviceaccount";
  const words = ["-n", namespace, "get", kinds, "-l", `keyfleet.io/cluster=${cluster}`, "-o", "name"];
  const left = async () => (await place.sites.kubectl(site, words)).stdout.trim();
  await until(left, (text) => text === "", { what: `nothing is left in ${site}`, deadlineMs: 60_000 });
  const volumes = await volumesAt(site);
  for (const { metadata } of nodesOf(fleet, site))
    assert.ok(
      volumes.some((volume) => volume.startsWith(`data-${metadata.name}-0 `)),
      `${metadata.name} among ${volumes}`,
    );
  for (const volume of volumes) assert.match(volume, /kept until \d{4}-.*Z$/);
}

async function deleteAt(site: string): Promise<void> {
  await place.sites.kubectl(site, ["-n", namespace, "delete", "kms", cluster, "--wait=false"]);
}

async function copyAt(site: string): Promise<string> {
  const words = ["-n", namespace, "get", "kms", cluster, "--ignore-not-found", "-o", "name"];
  return (await place.sites.kubectl(site, words)).stdout.trim();
}

/** The pods of a site's nodes with their identifiers. */
async function podsAt(site: string): Promise<string[]> {
  const template = "jsonpath={range .items[*]}{.metadata.name}/{.metadata.uid} {end}";
  const words = ["-n", namespace, "get", "pods", "-l", "keyfleet.io/node", "-o", template];
  return (await place.sites.kubectl(site, words)).stdout.split(" ").filter(Boolean).sort();
}

async function volumesAt(site: string): Promise<string[]> {
  const mark = ".metadata.annotations.keyfleet\\.io/kept-until";
  const template = `jsonpath={range .items[*]}{.metadata.name} kept until {${mark}};{end}`;
  const words = ["-n", namespace, "get", "pvc", "-o", template];
  return (await place.sites.kubectl(site, words)).stdout.split(";").filter(Boolean);
}
