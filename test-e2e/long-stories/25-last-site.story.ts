import "../stories/instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import {
  allNodes,
  clusterAt,
  endpoints,
  isServing,
  nodesAt,
  servingWith,
  waitForAllServing,
  waitUntilEqual,
} from "../fleet/fleet.ts";
import type { Answer } from "../fleet/kmip-clients.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { startWriters } from "../fleet/writers.ts";
import { nextVersion } from "../sites/next-version.ts";
import { aSmallFleet, type Fleet, first, last, place, second, theFleet } from "../stories/world.ts";

const added = `${last}-b`;
const keys: Answer[] = [];
let fleet: Fleet;
let next = "";
before(async () => {
  fleet = await aSmallFleet();
  next = nextVersion(fleet.nodes[0]?.spec.version ?? "");
});
// A fleet of other nodes than a story expects: the next one makes its own.
after(() => place.sites.down());

test("two sites are lost in the middle of writes and named lost: the last one lets a node join", async (t) => {
  const writers = startWriters(place, { endpoints: fleet.endpoints, call: fleet.call, name: `last-${Date.now()}` });
  t.after(() => writers.stop());
  await writers.more(60);
  await Promise.all([place.sites.kill(first), place.sites.kill(second)]);
  await writers.more(30);
  keys.push(...(await writers.stop()));
  await editDocument(place, last, (spec) => {
    spec.recovery = { lostSites: [first, second] };
    spec.sites.find(({ name }) => name === last)?.nodes.push({ name: added });
  });
  const names = async () => (await nodesAt(place, last)).filter(isServing).map(({ metadata }) => metadata.name);
  await until(names, (serving) => serving.includes(added), { what: `${added} serves`, deadlineMs: 300_000 });
  await readEverywhere(place, fleet.call, { keys, nodes: await nodesAt(place, last) });
});

test("then both of its nodes are upgraded, one at a time, and no request of their clients fails", async (t) => {
  const nodes = await nodesAt(place, last);
  const writers = startWriters(place, {
    ...{ endpoints: endpoints(nodes), call: fleet.call, name: `upgraded-${Date.now()}` },
    ...{ startAt: [`${last}-a`, added], tries: 3, seconds: 900 },
  });
  t.after(() => writers.stop());
  await writers.more(30);
  await editDocument(place, last, (spec) => {
    spec.version = next;
    spec.upgrade = { ...spec.upgrade, soakSeconds: 2 };
  });
  await until(
    () => upgraded([last]),
    (names) => names.length === 2,
    { what: `both run ${next}`, deadlineMs: 600_000 },
  );
  await writers.more(30);
  keys.push(...(await writers.stop()));
  t.diagnostic(`${writers.count()} requests answered, ${writers.failures().length} failed`);
  assert.deepEqual(writers.failures(), []);
  await readEverywhere(place, fleet.call, { keys, nodes: await nodesAt(place, last) });
});

test("both sites come back with the older version and the older document: they are upgraded, and hold every key", async () => {
  await Promise.all([place.sites.start(first), place.sites.start(second)]);
  const sites = async () => (await clusterAt(place, last)).status?.sites;
  await until(sites, (seen) => seen === "3/3", { what: "3/3 sites", deadlineMs: 300_000 });
  await editDocument(place, last, (spec) => {
    spec.recovery = { lostSites: [] };
  });
  await until(
    () => upgraded(),
    (names) => names.length === 4,
    { what: `all run ${next}`, deadlineMs: 600_000 },
  );
  const levels = async () => (await allNodes(place)).map(({ status }) => status?.featureLevel);
  const risen = (seen: (string | undefined)[]) => seen.every((level) => level === next);
  await until(levels, risen, { what: `all write at ${next}`, deadlineMs: 300_000 });
  await waitForAllServing(place, { deadlineMs: 240_000 });
  fleet = await theFleet();
  await waitUntilEqual(place, fleet.nodes, 120_000);
  await readEverywhere(place, fleet.call, { keys, nodes: fleet.nodes });
});

/** Nodes that run the next version and serve, in these sites. */
function upgraded(sites: readonly string[] = place.sites.names): Promise<string[]> {
  return servingWith(place, next, sites);
}
