import "../stories/instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { clusterAt, statusLine } from "../fleet/fleet.ts";
import { endedSince, livesOf, podsOf } from "../fleet/lives.ts";
import { underLoad } from "../fleet/load.ts";
import { waitUntilContent, waitUntilTold } from "../fleet/say.ts";
import { aSmallFleet, type Fleet, first, last, place, second } from "../stories/world.ts";

let fleet: Fleet;
before(async () => {
  fleet = await aSmallFleet({ atAnyVersion: true });
  await waitUntilContent(place);
});
after(() => place.sites.heal());

for (const [from, to] of [
  [first, second],
  [second, first],
] as const)
  test(`what ${from} sends no longer reaches ${to}, the way back works: it is told, clients are served, nothing is restarted, healing is seen`, async (t) => {
    const load = await underLoad(place, fleet, "one-way", { mostAway: 0 });
    t.after(() => load.cancel());
    const nodes = await livesOf(place, podsOf.nodes);
    const operators = await livesOf(place, podsOf.operators);
    await place.sites.cutOneWay(from, to);
    // TCP needs both directions: each of the two misses the other, the third site sees both and names the link.
    for (const [site, other] of [
      [from, to],
      [to, from],
    ] as const)
      await waitUntilTold(place, site, {
        status: new RegExp(`2/3 sites: .*site ${other} is not reachable`),
        remedy: new RegExp(`${other} .*(timed out|no answer|not reachable|not seen)`, "i"),
        deadlineMs: 120_000,
      });
    const line = await until(
      () => statusLine(place, last),
      (seen) => seen.includes(`${from}-a does not reach ${to}-a`) && seen.includes(`${to}-a does not reach ${from}-a`),
      { what: `STATUS in ${last} names the link`, deadlineMs: 120_000 },
    );
    t.diagnostic(`${last} says: ${line}`);
    assert.match(line, /^3\/3 nodes, 3\/3 sites: all nodes serve, but /);
    await load.more(120);
    await place.sites.heal();
    const sites = () =>
      Promise.all(place.sites.names.map(async (site) => (await clusterAt(place, site)).status?.sites));
    await until(sites, (seen) => seen.every((one) => one === "3/3"), { what: "3/3 sites", deadlineMs: 60_000 });
    await waitUntilContent(place);
    await load.end((text) => t.diagnostic(text));
    assert.deepEqual(await endedSince(place, podsOf.nodes, nodes), []);
    assert.deepEqual(await endedSince(place, podsOf.operators, operators), []);
  });
