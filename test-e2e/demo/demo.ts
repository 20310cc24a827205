/**
 * The main job, as a story on three real Kubernetes sites: install, found, join, lose two sites while keys are written,
 * miss nothing, and come back equal. Leaves the sites running.
 */
import { join } from "node:path";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { exampleText, waitForCopies } from "../fleet/document.ts";
import { allNodes, endpoints, waitForAllServing, waitUntilEqual, writeServersCa } from "../fleet/fleet.ts";
import { installOperators, makeClientCertificates } from "../fleet/install.ts";
import { type Answer, ask, type Call, type ClientName, installClients } from "../fleet/kmip-clients.ts";
import { cache, type Place } from "../fleet/places.ts";
import { readKeys } from "../fleet/read-back.ts";
import { startWriters } from "../fleet/writers.ts";
import { sitesFromEnvironment } from "../sites/driver.ts";
import { explain, fail, step, summary } from "./screen.ts";

const place: Place = { sites: sitesFromEnvironment(), certificates: join(cache, "clients/demo") };
const { sites } = place;
const [first = "dc1"] = sites.names;
const last = sites.names.at(-1) ?? first;
const lost = sites.names.slice(0, -1);
const ownSites = process.env.SITES === undefined;

async function demo(): Promise<void> {
  await step("KMIP clients and their certificates", prepareClients);
  await step(
    `sites ${sites.names.join(", ")}${ownSites ? " (real Kubernetes, one process tree each)" : ""}`,
    freshSites,
  );
  await step("operator in each site, by Helm, with kubeconfigs of its peers", () => installOperators(place));
  await step(`kubectl apply -f examples/kmscluster.yaml, in ${first} only`, applyExample);
  await step("found, then join one by one", () => waitForAllServing(place, { deadlineMs: 300_000, tell: explain }));

  const nodes = await allNodes(place);
  const call: Call = { client: "PyKMIP", endpoints: [], ca: writeServersCa(place, nodes) };
  const keys = await step("create keys on every node with PyKMIP and kmip-go", () => createEverywhere(call, nodes));
  if (ownSites) keys.push(...(await loseAndReturn(call, nodes, keys)));
  else explain("sites of your own are not taken down; unset SITES to see the loss of two sites");
  const vector = await step("all nodes hold the same log", () => waitUntilEqual(place, nodes, 60_000));
  await step(`every key on every node`, () => readOn(nodes, { ...call, client: "kmip-go" }, keys));
  const operations = Object.values(vector).reduce((sum, count) => sum + count, 0);
  const endpoint = endpoints(nodes).get(nodes.at(-1)?.metadata.name ?? "") ?? "";
  summary({ keys: keys.length, nodes: nodes.length, operations, lost: ownSites ? lost : [], call, endpoint, place });
}

async function prepareClients(): Promise<void> {
  await installClients();
  await makeClientCertificates(place);
}

async function freshSites(): Promise<void> {
  await sites.down();
  await sites.up();
}

async function applyExample(): Promise<void> {
  await sites.kubectl(first, ["apply", "-f", "-"], exampleText(place));
  await waitForCopies(place);
}

/** The heart of the matter; answers with the keys that were acknowledged meanwhile. */
async function loseAndReturn(call: Call, nodes: readonly KmsNode[], before: readonly Answer[]): Promise<Answer[]> {
  const survivors = nodes.filter((node) => node.spec.site === last);
  const names = lost.join(" and ");
  const keys = [...(await step(`write at all sites; ${names} die in the middle`, () => writeThroughLoss(call, nodes)))];
  const all = [...before, ...keys];
  await step(`read all ${all.length} acknowledged keys on ${last}`, () => readOn(survivors, call, all));
  keys.push(...(await step(`create on ${last} while it is alone`, () => createOn(survivors, call))));
  await step(`power comes back to ${names}`, async () => {
    await Promise.all(lost.map((site) => sites.start(site)));
    await waitForAllServing(place, { deadlineMs: 180_000, tell: explain });
  });
  return keys;
}

async function writeThroughLoss(call: Call, nodes: readonly KmsNode[]): Promise<readonly Answer[]> {
  const name = `under-fire-${Date.now()}`;
  const writers = startWriters(place, { endpoints: endpoints(nodes), call, name, seconds: 60 });
  try {
    await writers.more(60, 30_000);
    await Promise.all(lost.map((site) => sites.kill(site)));
    explain(`${lost.join(" and ")} killed after ${writers.count()} acknowledged keys`);
    await writers.more(60, 30_000);
  } finally {
    await writers.stop();
  }
  const moved = writers.failures().length;
  explain(`${writers.count()} keys acknowledged, slowest ${writers.slowestMs()} ms; clients moved on ${moved} times`);
  return writers.stop();
}

async function createEverywhere(call: Call, nodes: readonly KmsNode[]): Promise<Answer[]> {
  const clients: readonly ClientName[] = ["PyKMIP", "kmip-go"];
  const made: Answer[] = [];
  for (const client of clients) made.push(...(await createOn(nodes, { ...call, client })));
  return made;
}

async function createOn(nodes: readonly KmsNode[], call: Call): Promise<Answer[]> {
  const keys: Answer[] = [];
  for (const [node, endpoint] of endpoints(nodes)) {
    const name = `demo-${call.client}-${node}-${Date.now()}`;
    const answers = await ask(place, { ...call, endpoints: [endpoint] }, ["--name", name, "create"]);
    const failed = answers.find(({ error }) => error !== undefined);
    if (failed !== undefined) throw new Error(`${call.client} at ${node}: ${failed.error}`);
    keys.push(...answers);
  }
  return keys;
}

async function readOn(nodes: readonly KmsNode[], call: Call, keys: readonly Answer[]): Promise<void> {
  for (const [, endpoint] of endpoints(nodes)) await readKeys(place, { ...call, endpoints: [endpoint] }, keys);
}

await demo().catch((error: Error) => fail(error, place));
