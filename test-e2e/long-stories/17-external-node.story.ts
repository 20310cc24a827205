import "../stories/instance.ts";

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, test } from "node:test";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { allNodes, isServing, nodesAt, statusLine, waitForAllServing } from "../fleet/fleet.ts";
import { type Load, underLoad } from "../fleet/load.ts";
import { aMachine, type Machine } from "../fleet/machine.ts";
import { namespace } from "../fleet/places.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { waitUntilTold } from "../fleet/say.ts";
import { startWriters } from "../fleet/writers.ts";
import { aSmallFleet, type Fleet, first, last, place, theFleet } from "../stories/world.ts";

const name = `${first}-x`;
const address = "172.31.0.240";
let managed: Fleet;
let machine: Machine;
before(async () => {
  managed = await aSmallFleet();
  machine = await aMachine(place, { name, site: first, address, version: managed.nodes[0]?.spec.version ?? "" });
});
// The appliance stays on the lists of its members: the next story makes a fleet of its own.
after(async () => {
  await machine?.end();
  await place.sites.down();
});

test("an appliance joins: its request is brought to the operator, its document to the machine, its key goes nowhere", async (t) => {
  const load = await loadOf(t, "appliance");
  await editDocument(place, first, (spec) => {
    const settings = { hsm: { token: { label: name } } };
    spec.sites[0]?.nodes.push({ name, management: "External", address, settings });
  });
  await waitUntilTold(place, first, {
    status: /waits for the certificate request of its machine/,
    remedy: new RegExp(`annotate --overwrite kmsnode ${name} keyfleet.io/certificate-request=`),
  });
  machine.follow();
  await until(document, (text) => text !== "", { what: "the operator shows its document", deadlineMs: 30_000 });
  machine.node.start();
  await machine.node.reached("a request", (status) => status.certificateRequest);
  await bring(requestOfAnother());
  await waitUntilTold(place, first, { status: /certificate request is for/, remedy: /make the request anew/ });
  await bring(await machine.request());
  await waitForAllServing(place, { deadlineMs: 180_000 });
  assert.ok(isServing(await own()));
  const pods = ["-n", namespace, "get", "pods,services", "-l", `keyfleet.io/node=${name}`, "-o", "name"];
  assert.equal((await place.sites.kubectl(first, pods)).stdout, "", "nothing runs in Kubernetes for it");
  await load.end((line) => t.diagnostic(line));
});

test("it writes and reads like every other node", async () => {
  const { endpoints, call } = await theFleet();
  const writers = startWriters(place, { endpoints, call, name: `of-${name}-${Date.now()}`, startAt: [name] });
  await writers.more(30);
  const keys = await writers.stop();
  assert.deepEqual(writers.failures(), []);
  assert.ok(keys.every(({ endpoint }) => endpoint === undefined || endpoint.startsWith(address)));
  await readEverywhere(place, call, { keys, nodes: await allNodes(place) });
});

test("it is lost, which is told, while the others go on; it returns and holds everything", async (t) => {
  const load = await loadOf(t, "lost-appliance");
  await machine.node.killAll();
  const told = () => statusLine(place, last);
  await until(told, (line) => /^3\/4 .*dc1-x/.test(line), { what: `${last} tells of the loss`, deadlineMs: 30_000 });
  await load.more(60);
  machine.node.start();
  await waitForAllServing(place, { deadlineMs: 120_000 });
  await load.end((line) => t.diagnostic(line));
  const { endpoints, call } = await theFleet();
  const writers = startWriters(place, { endpoints, call, name: `back-${Date.now()}`, startAt: [last] });
  await writers.more(10);
  await readEverywhere(place, call, { keys: await writers.stop(), nodes: await allNodes(place) });
});

test("hardware for virtual in one document: the new node has joined before the appliance leaves, and no request fails", async (t) => {
  const load = await loadOf(t, "swap");
  const lives = await own();
  await editDocument(place, first, (spec) => {
    const [site] = spec.sites;
    if (site) site.nodes = [...site.nodes.filter((node) => node.name !== name), { name: `${first}-b` }];
  });
  let fewest = Number.POSITIVE_INFINITY;
  const look = async () => {
    const nodes = await allNodes(place);
    fewest = Math.min(fewest, nodes.filter(({ spec }) => spec.membership.action === "Member").length);
    return nodes.map((node) => node.metadata.name);
  };
  const swapped = (names: string[]) => !names.includes(name) && names.includes(`${first}-b`);
  await until(look, swapped, { what: "the appliance is out", deadlineMs: 240_000 });
  assert.ok(fewest >= 4, `at least four members at any look, not ${fewest}`);
  const left = machine.node.condition("Serving");
  assert.equal(left?.status, "False", JSON.stringify(left));
  await load.end((line) => t.diagnostic(line));
  const [node] = await nodesAt(place, last);
  const entry = node?.spec.members.find((member) => member.name === name);
  assert.deepEqual([entry?.standing, entry?.incarnation], ["Departed", lives?.status?.incarnation]);
});

async function loadOf(t: { after(run: () => Promise<void>): void }, title: string): Promise<Load> {
  const load = await underLoad(place, managed, title);
  t.after(() => load.cancel());
  return load;
}

async function own(): Promise<KmsNode | undefined> {
  return (await nodesAt(place, first)).find(({ metadata }) => metadata.name === name);
}

async function document(): Promise<string> {
  return (await own())?.status?.document ?? "";
}

async function bring(request: string): Promise<void> {
  const annotation = `keyfleet.io/certificate-request=${request}`;
  await place.sites.kubectl(first, ["-n", namespace, "annotate", "kmsnode", name, annotation, "--overwrite"]);
}

/** A good request, but for the name of another node. */
function requestOfAnother(): string {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
  const subject = `/O=bank/OU=${first}/CN=${first}-a`;
  return spawnSync("openssl", ["req", "-new", ...key, "-subj", subject], { encoding: "utf8" }).stdout;
}
