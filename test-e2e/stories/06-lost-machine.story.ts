import "./instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { waitForAllServing, waitUntilEqual } from "../fleet/fleet.ts";
import { leaderAt } from "../fleet/operators.ts";
import { namespace } from "../fleet/places.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { watchStatus } from "../fleet/watch.ts";
import { startWriters } from "../fleet/writers.ts";
import { aRunningFleet, type Fleet, nodesOf, place, second } from "./world.ts";

let fleet: Fleet;
before(async () => {
  fleet = await aRunningFleet();
});

for (const { what, withOperator } of [
  { what: "one of its machines", withOperator: false },
  { what: "the machine of its leading operator", withOperator: true },
])
  test(`a site loses ${what}: its other node serves on, it is told, and the machine comes back equal`, async (t) => {
    const machines = new Map<string, string>();
    for (const { metadata } of nodesOf(fleet, second))
      machines.set(metadata.name, await machineOf(nodeLabel(metadata.name)));
    assert.equal(new Set(machines.values()).size, 2, "the nodes of a site run on different machines");
    const operator = (await leaderAt(place, second)).machine;
    const [lost = "", machine = ""] = [...machines].find(([, at]) => (at === operator) === withOperator) ?? [];
    const [survivor = ""] = [...machines.keys()].filter((node) => node !== lost);
    const worker = `${second}/${machine.split("-").at(-1)}`;
    const watch = watchStatus(place, second);
    t.after(() => watch.stop());
    const { call, endpoints } = fleet;
    const writers = startWriters(place, { endpoints, call, name: `machine-${Date.now()}`, startAt: [lost, survivor] });
    t.after(() => writers.stop());
    await writers.more(40);

    const sinceMs = performance.now();
    let off = true;
    t.after(async () => (off ? place.sites.start(worker) : undefined));
    await place.sites.kill(worker);
    const less = `${fleet.nodes.length - 1}/${fleet.nodes.length}`;
    const wanted = { sinceMs, deadlineMs: 90_000, what: "the status misses the node" };
    const sight = await watch.next((line) => line.split(" ")[1] === less, wanted);
    t.diagnostic(`told after ${Math.round(sight.atMs - sinceMs)} ms: ${sight.line}`);
    const only = new Map([[survivor, endpoints.get(survivor) ?? ""]]);
    const alone = startWriters(place, { endpoints: only, call, name: `alone-${Date.now()}`, startAt: [survivor] });
    t.after(() => alone.stop());
    await alone.more(20);

    await place.sites.start(worker);
    off = false;
    await waitForAllServing(place, { deadlineMs: 180_000 });
    const keys = [...(await writers.stop()), ...(await alone.stop())];
    await waitUntilEqual(place, fleet.nodes, 60_000);
    await readEverywhere(place, call, { keys, nodes: fleet.nodes });
  });

function nodeLabel(node: string): string {
  return `keyfleet.io/node=${node}`;
}

/** The machine of the pod with that label which is not on its way out. */
async function machineOf(label: string): Promise<string> {
  const words = ["-n", namespace, "get", "pods", "-l", label, "-o", "json"];
  const { items } = JSON.parse((await place.sites.kubectl(second, words)).stdout) as { items: Pod[] };
  return items.find(({ metadata }) => metadata.deletionTimestamp === undefined)?.spec.nodeName ?? "";
}

interface Pod {
  readonly metadata: { readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
}
