import "./instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { statusLine, waitForAllServing, waitUntilEqual } from "../fleet/fleet.ts";
import { type Answer, ask } from "../fleet/kmip-clients.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { type Watch, watchStatus } from "../fleet/watch.ts";
import { startWriters } from "../fleet/writers.ts";
import { aRunningFleet, type Fleet, first, last, nodesOf, place, second } from "./world.ts";

/** Loss and return of a site are in the STATUS within this time. */
const noticedWithinMs = 4_000;

let fleet: Fleet;
const keys: Answer[] = [];
before(async () => {
  fleet = await aRunningFleet();
});

test("a site that is cut off is gone from the status within 4 s, and back within 4 s", async (t) => {
  const watch = watchStatus(place, first);
  t.after(() => watch.stop());
  t.after(() => place.sites.heal());
  const lost = await seen(watch, { change: () => place.sites.isolate(second), sites: "2/3" });
  const back = await seen(watch, { change: () => place.sites.heal(), sites: "3/3" });
  t.diagnostic(`loss seen after ${lost} ms, return after ${back} ms`);
  assert.ok(lost <= noticedWithinMs, `the loss was seen after ${lost} ms`);
  assert.ok(back <= noticedWithinMs, `the return was seen after ${back} ms`);
  await waitForAllServing(place, { deadlineMs: 60_000 });
});

test("two sites burn down in the middle of writes: every acknowledged key is on the third, which writes on", async (t) => {
  const { call, endpoints } = fleet;
  const writers = startWriters(place, { endpoints, call, name: `fire-${Date.now()}` });
  t.after(() => writers.stop());
  await writers.more(100);
  await Promise.all([place.sites.kill(first), place.sites.kill(second)]);
  const before = writers.count();
  await writers.more(50);
  keys.push(...(await writers.stop()));
  t.diagnostic(`${before} keys before the loss, ${keys.length} in all, slowest ${writers.slowestMs()} ms`);
  await readEverywhere(place, call, { keys, nodes: nodesOf(fleet, last) });
});

test("the site that is left says whom it misses, and creates keys on both of its nodes", async () => {
  for (const node of nodesOf(fleet, last)) {
    const at = { ...fleet.call, endpoints: [`${node.spec.clientAddress}:5696`] };
    const [made] = await ask(place, at, ["--name", `alone-${node.metadata.name}-${Date.now()}`, "create"]);
    assert.equal(made?.error, undefined);
    if (made !== undefined) keys.push(made);
  }
  const told = /^\d+\/\d+ nodes, 1\/3 sites: .*not reachable/;
  const look = () => statusLine(place, last);
  await until(look, (line) => told.test(line), {
    what: "the status misses two sites",
    deadlineMs: 2 * noticedWithinMs,
  });
});

test("power comes back: all nodes hold the same, and every key is read on each", async () => {
  await Promise.all([place.sites.start(first), place.sites.start(second)]);
  await waitForAllServing(place, { deadlineMs: 180_000 });
  await waitUntilEqual(place, fleet.nodes, 60_000);
  await readEverywhere(place, fleet.call, { keys, nodes: fleet.nodes });
});

async function seen(watch: Watch, { change, sites }: { change: () => Promise<void>; sites: string }): Promise<number> {
  await change();
  const sinceMs = performance.now();
  const what = `the status shows SITES ${sites}`;
  const sight = await watch.next((line) => line.startsWith(`${sites} `), { sinceMs, deadlineMs: 30_000, what });
  return Math.round(sight.atMs - sinceMs);
}
