import "../stories/instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { objectAt } from "../fleet/api.ts";
import { until } from "../fleet/await.ts";
import { nodesAt } from "../fleet/fleet.ts";
import { type CallCounts, callsOf, leaderAt } from "../fleet/operators.ts";
import { cluster } from "../fleet/places.ts";
import { waitUntilContent } from "../fleet/say.ts";
import { aRunningFleet, place } from "../stories/world.ts";

const idleMs = 180_000;
const writing = /^(POST|PUT|PATCH|DELETE)$/;

before(async () => {
  await aRunningFleet();
  await waitUntilContent(place);
  for (const site of place.sites.names)
    await until(
      () => objectAt<Written>(place, site, "kmsclusters", cluster),
      // A node tells the lowest round trip of the last minute, and its first ones were taken while the machine was busy.
      ({ status }) => status.conditions.some(({ type, status: is }) => type === "LatencyWithinBounds" && is === "True"),
      { what: `${site} knows how long a round trip takes at rest`, deadlineMs: 300_000 },
    );
});

test("while nobody changes anything, the operators write nothing but their Leases, and what they ask is told", async (t) => {
  const before = await look();
  const began = performance.now();
  const now = async () => performance.now() - began;
  await until(now, (ms) => ms >= idleMs, { what: "three minutes are over", deadlineMs: 2 * idleMs, everyMs: 5_000 });
  const after = await look();
  for (const site of place.sites.names) {
    const [was, is] = [before.get(site), after.get(site)];
    assert.ok(was !== undefined && is !== undefined);
    assert.equal(is.leader, was.leader, "one operator led all the time, so its counts can be compared");
    assert.deepEqual(is.document, was.document, `the KmsCluster in ${site} was not written`);
    assert.deepEqual(is.nodes, was.nodes, `no KmsNode in ${site} was told anything`);
    const calls = hourly(was.calls, is.calls);
    t.diagnostic(`${site}: ${[...calls].map(([verb, count]) => `${verb} ${count}`).join(", ")} an hour of its leader`);
    for (const [verb] of calls) assert.ok(!writing.test(verb) || verb === "PUT", `${verb} writes more than a Lease`);
  }
});

/** What of each site shows that something was written, and what its leading operator has called so far. */
async function look() {
  const sites = place.sites.names.map(async (site) => {
    const leader = await leaderAt(place, site);
    const { metadata, status } = await objectAt<Written>(place, site, "kmsclusters", cluster);
    const nodes = (await nodesAt(place, site)).map((node) => [node.metadata.name, node.metadata.generation]);
    return [site, { leader: leader.uid, document: { metadata, status }, nodes, calls: await callsOf(place, leader) }];
  });
  return new Map((await Promise.all(sites)) as [string, Seen][]);
}

/** Of a KmsCluster what tells that it was written, and what. */
interface Written {
  readonly metadata: { readonly resourceVersion: string };
  readonly status: { readonly conditions: readonly { readonly type: string; readonly status: string }[] };
}

interface Seen {
  readonly leader: string;
  readonly document: Written;
  readonly nodes: readonly unknown[];
  readonly calls: CallCounts;
}

/** Verbs that were called meanwhile, as often as they would be in an hour. */
function hourly(was: CallCounts, is: CallCounts): CallCounts {
  const grown = [...is].map(([verb, count]): [string, number] => [verb, count - (was.get(verb) ?? 0)]);
  return new Map(
    grown.filter(([, more]) => more > 0).map(([verb, more]) => [verb, Math.round((more * 3_600_000) / idleMs)]),
  );
}
