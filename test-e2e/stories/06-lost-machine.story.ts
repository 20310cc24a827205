import assert from "node:assert/strict";
import { before, test } from "node:test";
import { waitForAllServing, waitUntilEqual } from "../fleet/fleet.ts";
import { namespace } from "../fleet/places.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { watchStatus } from "../fleet/watch.ts";
import { startWriters } from "../fleet/writers.ts";
import { aRunningFleet, type Fleet, place, second } from "./world.ts";

let fleet: Fleet;
before(async () => {
  fleet = await aRunningFleet();
});

test("a site with two machines loses one: its other node serves on, and the lost one comes back equal", async (t) => {
  const machine = await machineOf(`${second}-b-0`);
  assert.notEqual(machine, await machineOf(`${second}-a-0`), "the nodes of a site run on different machines");
  const worker = `${second}/${machine.split("-").at(-1)}`;
  const watch = watchStatus(place, second);
  t.after(() => watch.stop());
  const { call, endpoints } = fleet;
  const name = `machine-${Date.now()}`;
  const writers = startWriters(place, { endpoints, call, name, startAt: [`${second}-a`, `${second}-b`] });
  t.after(() => writers.stop());
  await writers.more(40);

  const sinceMs = performance.now();
  await place.sites.kill(worker);
  let off = true;
  t.after(async () => (off ? place.sites.start(worker) : undefined));
  const told = { sinceMs, deadlineMs: 60_000, what: "the status misses one node" };
  const sight = await watch.next(
    (line) => line.split(" ")[1] === `${fleet.nodes.length - 1}/${fleet.nodes.length}`,
    told,
  );
  t.diagnostic(`one node less in the status after ${Math.round(sight.atMs - sinceMs)} ms: ${sight.line}`);
  await writers.more(40);
  const survivor = [...endpoints].filter(([node]) => node === `${second}-a`);
  const alone = startWriters(place, { endpoints: new Map(survivor), call, name: `${name}-alone`, startAt: [second] });
  t.after(() => alone.stop());
  await alone.more(10);

  await place.sites.start(worker);
  off = false;
  await waitForAllServing(place, { deadlineMs: 180_000 });
  const keys = [...(await writers.stop()), ...(await alone.stop())];
  await waitUntilEqual(place, fleet.nodes, 60_000);
  await readEverywhere(place, call, { keys, nodes: fleet.nodes });
});

async function machineOf(pod: string): Promise<string> {
  const words = ["-n", namespace, "get", "pod", pod, "-o", "jsonpath={.spec.nodeName}"];
  return (await place.sites.kubectl(second, words)).stdout;
}
