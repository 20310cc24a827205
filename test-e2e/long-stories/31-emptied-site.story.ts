import "../stories/instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { objectsAt } from "../fleet/api.ts";
import { statusLine } from "../fleet/fleet.ts";
import { endedSince, livesOf, podsOf } from "../fleet/lives.ts";
import { underLoad } from "../fleet/load.ts";
import { operatorsAt } from "../fleet/operators.ts";
import { namespace } from "../fleet/places.ts";
import { waitUntilContent, waitUntilTold } from "../fleet/say.ts";
import { aSmallFleet, type Fleet, first, last, place } from "../stories/world.ts";

/** The site has this machine only. */
const machine = `${first}-1`;
const drain = ["drain", machine, "--ignore-daemonsets", "--delete-emptydir-data", "--force"];
const node = `${first}-a`;

let fleet: Fleet;
before(async () => {
  fleet = await aSmallFleet({ atAnyVersion: true });
  await waitUntilContent(place);
});

test("the only machine of a site is drained: its node leaves in order, the others serve, and each site says that it is down", async (t) => {
  t.after(() => uncordon());
  const before = await livesOf(place, podsOf.nodes);
  const load = await underLoad(place, fleet, "drained");
  t.after(() => load.cancel());
  await place.sites.kubectl(first, [...drain, "--pod-selector=keyfleet.io/node", "--timeout=120s"]);
  await waitUntilTold(place, first, {
    status: new RegExp(`2/3 nodes, 3/3 sites: ${node}: no machine of the site can take the pod: .*unschedulable`),
    remedy: /kubectl uncordon the machine when its work is done/,
    deadlineMs: 180_000,
  });
  t.diagnostic(`${last} says: ${await waitUntilTold(place, last, { status: /2\/3 nodes/, remedy: new RegExp(node) })}`);
  assert.equal((await operatorsAt(place, first)).length, 2, "the operators are still there to tell");
  await load.more(60);
  await uncordon();
  await load.end((line) => t.diagnostic(line));
  await waitUntilContent(place);
  assert.deepEqual(await endedSince(place, podsOf.nodes, before), [`${node}-0`], "only that pod was evicted");
});

test("with its operators too the drain does not end, as the budget keeps one of them; the way of the manual empties the machine", async (t) => {
  t.after(() => uncordon());
  const load = await underLoad(place, fleet, "emptied");
  t.after(() => load.cancel());
  await assert.rejects(place.sites.kubectl(first, [...drain, "--timeout=60s"]), /disruption budget/);
  assert.equal((await running()).filter((name) => name.startsWith("keyfleet-operator")).length, 1);
  const names = "app.kubernetes.io/name in (keyfleet-node, keyfleet-operator)";
  const ours = ["--field-selector", `spec.nodeName=${machine}`, "-l", names];
  await place.sites.kubectl(first, ["-n", namespace, "delete", "pod", ...ours]);
  assert.deepEqual(await running(), []);
  await load.more(60);
  // Nobody in the site can tell any more; what was told before stands.
  assert.match(await statusLine(place, last), new RegExp(`2/3 nodes, 3/3 sites: ${node}`));
  await uncordon();
  await load.end((line) => t.diagnostic(line));
  await waitUntilContent(place);
});

async function uncordon(): Promise<void> {
  await place.sites.kubectl(first, ["uncordon", machine]);
}

/** Pods of nodes and operators that are on the machine. */
async function running(): Promise<string[]> {
  const labels = [podsOf.nodes, podsOf.operators];
  const pods = (await Promise.all(labels.map((label) => objectsAt<Pod>(place, first, "pods", label)))).flat();
  return pods.filter(({ spec }) => spec.nodeName !== undefined).map(({ metadata }) => metadata.name);
}

interface Pod {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly nodeName?: string };
}
