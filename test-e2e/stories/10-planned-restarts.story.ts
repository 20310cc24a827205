import "./instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { allNodes, conditionOf, waitForAllServing } from "../fleet/fleet.ts";
import { underLoad } from "../fleet/load.ts";
import { namespace } from "../fleet/places.ts";
import { watchSettings } from "../fleet/watch.ts";
import { aRunningFleet, type Fleet, nodesOf, place, second } from "./world.ts";

let fleet: Fleet;
before(async () => {
  fleet = await aRunningFleet();
});

test("new resources restart all nodes, one at a time: each says before that it needs it and after that it has them, and no request of a client with three endpoints fails", async (t) => {
  const uids = new Map(
    await Promise.all(fleet.nodes.map(async (node) => [node.metadata.name, await uidOf(node)] as const)),
  );
  const load = await underLoad(place, fleet, "resources");
  t.after(() => load.cancel());
  const watches = place.sites.names.map((site) => watchSettings(place, site));
  t.after(() => watches.map((watch) => watch.stop()));
  await editDocument(place, second, (spec) => {
    spec.defaults = {
      ...spec.defaults,
      resources: { requests: { memory: `${128 + Math.floor(Math.random() * 64)}Mi` } },
    };
  });
  const pending = async () => {
    const now = await Promise.all(fleet.nodes.map(async (node) => [node.metadata.name, await uidOf(node)] as const));
    return now.filter(([name, uid]) => uid === "" || uid === uids.get(name)).map(([name]) => name);
  };
  const none = (names: string[]) => names.length === 0;
  await until(pending, none, { what: "every pod is a new one", deadlineMs: 900_000 });
  await load.end((line) => t.diagnostic(line));
  const applied = async () => (await reasons()).filter(([, reason]) => reason !== "Applied");
  await until(applied, (left) => left.length === 0, { what: "no node waits for a restart", deadlineMs: 60_000 });
  const said = watches.flatMap(({ seen }) => seen.map(({ line }) => line)).filter((line) => /RestartNeeded/.test(line));
  t.diagnostic(`RestartNeeded: ${[...new Set(said)]}`);
  for (const { metadata } of fleet.nodes)
    assert.ok(said.includes(`${metadata.name} RestartNeeded`), `${metadata.name} said so: ${said}`);
});

test("a worker is drained: its node leaves in order and comes back, and no request fails", async (t) => {
  const [node] = nodesOf(fleet, second);
  assert.ok(node);
  const machine = await machineOf(node);
  t.after(() => place.sites.kubectl(second, ["uncordon", machine]));
  const load = await underLoad(place, fleet, "drain");
  t.after(() => load.cancel());
  const before = await uidOf(node);
  const how = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s"];
  await place.sites.kubectl(second, ["drain", machine, ...how]);
  assert.notEqual(await uidOf(node), before, "the pod was evicted");
  await place.sites.kubectl(second, ["uncordon", machine]);
  await load.end((line) => t.diagnostic(line));
});

test("while a node of another site is down Kubernetes may evict none", async (t) => {
  const [down] = nodesOf(fleet, second);
  const other = fleet.nodes.find(({ spec }) => spec.site !== second);
  assert.ok(down && other);
  const machine = await machineOf(down);
  t.after(() => place.sites.kubectl(second, ["uncordon", machine]));
  await place.sites.kubectl(second, ["cordon", machine]);
  await place.sites.kubectl(second, ["-n", namespace, "delete", "pod", `${down.metadata.name}-0`, "--wait=false"]);
  const evict = () => evictionOf(other.metadata.name, other.spec.site);
  await until(evict, (said) => said.includes("429"), { what: "the eviction is refused", deadlineMs: 30_000 });
  await place.sites.kubectl(second, ["uncordon", machine]);
  await waitForAllServing(place, { deadlineMs: 120_000 });
  await until(evict, (said) => said === "allowed", { what: "the eviction is allowed again", deadlineMs: 30_000 });
});

type Node = Fleet["nodes"][number];

/** Each node and what it says of its settings. */
async function reasons(): Promise<[name: string, reason: string | undefined][]> {
  const nodes = await allNodes(place);
  return nodes.map(({ metadata, status }) => [metadata.name, conditionOf(status, "SettingsApplied")?.reason]);
}

async function uidOf({ metadata, spec }: Node): Promise<string> {
  const words = [
    "-n",
    namespace,
    "get",
    "pod",
    `${metadata.name}-0`,
    "--ignore-not-found",
    "-o",
    "jsonpath={.metadata.uid}",
  ];
  return (await place.sites.kubectl(spec.site, words)).stdout;
}

async function machineOf({ metadata, spec }: Node): Promise<string> {
  const words = ["-n", namespace, "get", "pod", `${metadata.name}-0`, "-o", "jsonpath={.spec.nodeName}"];
  return (await place.sites.kubectl(spec.site, words)).stdout;
}

/** What the API server says to an eviction that is only tried. */
async function evictionOf(node: string, site: string): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/pods/${node}-0/eviction`;
  const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: `${node}-0`, namespace } };
  const dry = { ...body, deleteOptions: { dryRun: ["All"] } };
  return place.sites.kubectl(site, ["create", "--raw", path, "-f", "-"], JSON.stringify(dry)).then(
    () => "allowed",
    (error: Error) => (/disruption budget/.test(error.message) ? "429" : error.message),
  );
}
