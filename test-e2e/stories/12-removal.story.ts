import "./instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { KmsCluster } from "@keyfleet/crds/kms-cluster.ts";
import type { KmsNode, Member } from "@keyfleet/crds/kms-node.ts";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { allNodes, isServing, nodesAt, waitForAllServing, waitUntilEqual } from "../fleet/fleet.ts";
import type { Answer } from "../fleet/kmip-clients.ts";
import { underLoad } from "../fleet/load.ts";
import { cluster, namespace } from "../fleet/places.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { startWriters } from "../fleet/writers.ts";
import { aRunningFleet, type Fleet, first, last, place, second, theFleet } from "./world.ts";

const removed = `${last}-b`;
const buried = `${first}-b`;
const added = `${last}-c`;

let fleet: Fleet;
let keys: readonly Answer[] = [];
before(async () => {
  fleet = await aRunningFleet();
});

test("a node is removed while clients write: no request fails, every key is on those that stay, its volume is kept", async (t) => {
  const staying = { ...fleet, nodes: fleet.nodes.filter(({ metadata }) => metadata.name !== removed) };
  const load = await underLoad(place, staying, "removal");
  t.after(() => load.cancel());
  const { call, endpoints } = fleet;
  const own = startWriters(place, {
    call,
    endpoints,
    name: `of-${removed}`,
    seconds: 300,
    startAt: [removed],
    tries: 3,
  });
  t.after(() => own.stop());
  await own.more(10);
  await editDocument(place, first, (spec) => drop(spec, removed));
  await gone(last, removed);
  assert.deepEqual(own.failures(), [], "clients of the removed node go on at another");
  await own.stop();
  await load.more(30);
  await load.end((line) => t.diagnostic(line));
  for (const node of await allNodes(place)) {
    const entry = listed(node, removed);
    assert.equal(entry?.standing, "Departed");
    assert.ok((entry?.lastSequence ?? 0) > 0, "what it wrote counts up to its last operation");
  }
  assert.match(await volumeOf(last, removed), /^\d{4}-.*Z$/);
});

test("it does not come back with its old volume before somebody consents, and then as a new one that holds everything", async () => {
  const before = listed((await nodesAt(place, first))[0], removed)?.incarnation;
  await editDocument(place, first, (spec) => put(spec, last, removed));
  const remedies = async () => (await clusterStatus(last))?.blockedBy?.map(({ gate, subject }) => `${gate} ${subject}`);
  const what = "the status asks for consent";
  await until(remedies, (seen) => seen?.includes(`rejoinConsent ${removed}`) ?? false, { what, deadlineMs: 120_000 });
  const consent = ["-n", namespace, "annotate", "kms", cluster, `keyfleet.io/rejoin=${removed}`, "--overwrite"];
  await place.sites.kubectl(second, consent);
  await waitForAllServing(place, { deadlineMs: 240_000 });
  fleet = await theFleet();
  const now = fleet.nodes.find(({ metadata }) => metadata.name === removed)?.status?.incarnation;
  assert.notEqual(now, before);
  await waitUntilEqual(place, fleet.nodes, 60_000);
});

test("two sites are lost and named so: the last one lets a node join, and removes one that burned", async (t) => {
  const writers = startWriters(place, { endpoints: fleet.endpoints, call: fleet.call, name: `glass-${Date.now()}` });
  t.after(() => writers.stop());
  await writers.more(60);
  await Promise.all([place.sites.kill(first), place.sites.kill(second)]);
  await writers.more(30);
  keys = await writers.stop();
  await editDocument(place, last, (spec) => {
    spec.recovery = { lostSites: [first, second] };
    put(spec, last, added);
    drop(spec, buried);
  });
  const look = () => nodesAt(place, last);
  const departed = (nodes: KmsNode[]) =>
    nodes.every((node) => listed(node, buried)?.standing === "Departed") && serves(nodes, added);
  await until(look, departed, { what: `${added} serves and ${buried} has departed`, deadlineMs: 240_000 });
  await readEverywhere(place, fleet.call, { keys, nodes: await nodesAt(place, last) });
});

test("both sites return: the removed node stays out, all others hold every key, and the document is whole again", async () => {
  await Promise.all([place.sites.start(first), place.sites.start(second)]);
  await until(
    () => clusterStatus(last),
    (status) => status?.sites === "3/3",
    { what: "3/3 sites", deadlineMs: 180_000 },
  );
  await editDocument(place, last, (spec) => {
    spec.recovery = { lostSites: [] };
  });
  await gone(first, buried);
  await waitForAllServing(place, { deadlineMs: 240_000 });
  assert.match(await volumeOf(first, buried), /^\d{4}-.*Z$/);
  fleet = await theFleet();
  await waitUntilEqual(place, fleet.nodes, 60_000);
  await readEverywhere(place, fleet.call, { keys, nodes: fleet.nodes });
});

test("a swap in one document: what comes has joined before what goes has left", async (t) => {
  const consent = ["-n", namespace, "annotate", "kms", cluster, `keyfleet.io/rejoin=${buried}`, "--overwrite"];
  await place.sites.kubectl(first, consent);
  await editDocument(place, second, (spec) => {
    put(spec, first, buried);
    drop(spec, added);
  });
  const fewest = { members: Number.POSITIVE_INFINITY };
  const look = async () => {
    const nodes = await allNodes(place);
    fewest.members = Math.min(fewest.members, nodes.filter(({ spec }) => spec.membership.action === "Member").length);
    return nodes.map(({ metadata }) => metadata.name);
  };
  await until(look, (names) => !names.includes(added), { what: `${added} is removed`, deadlineMs: 240_000 });
  t.diagnostic(`at least ${fewest.members} members at any look`);
  assert.ok(fewest.members >= 6);
  await waitForAllServing(place, { deadlineMs: 120_000 });
});

type Spec = KmsCluster["spec"];

function drop(spec: Spec, name: string): void {
  for (const site of spec.sites) site.nodes = site.nodes.filter((node) => node.name !== name);
}

function put(spec: Spec, site: string, name: string): void {
  spec.sites.find((entry) => entry.name === site)?.nodes.push({ name });
}

function listed(node: KmsNode | undefined, name: string): Member | undefined {
  return node?.spec.members.find((member) => member.name === name);
}

function serves(nodes: readonly KmsNode[], name: string): boolean {
  return isServing(nodes.find(({ metadata }) => metadata.name === name));
}

async function gone(site: string, name: string): Promise<void> {
  const look = async () => (await nodesAt(place, site)).map(({ metadata }) => metadata.name);
  await until(look, (names) => !names.includes(name), { what: `${name} is removed`, deadlineMs: 240_000 });
}

async function clusterStatus(site: string): Promise<KmsCluster["status"]> {
  const words = ["-n", namespace, "get", "kms", cluster, "-o", "json"];
  return (JSON.parse((await place.sites.kubectl(site, words)).stdout) as KmsCluster).status;
}

/** Until when the volume of a removed node is kept. */
async function volumeOf(site: string, name: string): Promise<string> {
  const path = "jsonpath={.metadata.annotations.keyfleet\\.io/kept-until}";
  return (await place.sites.kubectl(site, ["-n", namespace, "get", "pvc", `data-${name}-0`, "-o", path])).stdout;
}
