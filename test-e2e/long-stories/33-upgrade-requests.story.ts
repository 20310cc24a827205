import "../stories/instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { KmsCluster } from "@keyfleet/crds/kms-cluster.ts";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { allNodes, clusterAt, servingWith } from "../fleet/fleet.ts";
import { endedSince, livesOf, podsOf } from "../fleet/lives.ts";
import { type Load, underLoad } from "../fleet/load.ts";
import { waitUntilContent, waitUntilTold } from "../fleet/say.ts";
import { nextVersion } from "../sites/next-version.ts";
import { aSmallFleet, type Fleet, first, last, place, second } from "../stories/world.ts";

type Requests = NonNullable<NonNullable<KmsCluster["spec"]["upgrade"]>["requests"]>;

/** Long enough that a request comes in the middle, between the second node and the third. */
const soakSeconds = 20;
/** The site has this machine only. */
const machine = `${first}-1`;
const node = `${first}-a`;

let fleet: Fleet;
let old = "";
let next = "";
before(async () => {
  fleet = await aSmallFleet();
  old = fleet.nodes[0]?.spec.version ?? "";
  next = nextVersion(old);
  await waitUntilContent(place);
});

test("values of rollback that were handled before the upgrade do not hold it up, also when Git puts the older one back; a new one takes it back, once", async (t) => {
  const load = await underLoad(place, fleet, "requests");
  t.after(() => load.cancel());
  for (const rollback of ["before-1", "before-2"]) {
    await request(first, { rollback });
    await handled("rollback", rollback);
  }
  await edit(first, (spec) => {
    spec.version = next;
    spec.upgrade = { ...spec.upgrade, soakSeconds };
  });
  await upgraded(1);
  await request(last, { rollback: "before-1" });
  await upgraded(2);
  await request(last, { rollback: "change-4711" });
  await runs(old);
  await stays(load, "with the document of before applied again", () => request(second, { rollback: "change-4711" }));
  const { spec, status } = await clusterAt(place, first);
  assert.equal(spec.version, next, "the document still asks for the next version");
  t.diagnostic(`${first} says: ${status?.message}`);
  await load.end((line) => t.diagnostic(line));
});

test("the request is taken out and the upgrade goes on; a node that is stuck gets one new pod for each new value of retry, none for one that was handled", async (t) => {
  t.after(() => place.sites.kubectl(first, ["uncordon", machine]));
  const load = await underLoad(place, fleet, "retry");
  t.after(() => load.cancel());
  await place.sites.kubectl(first, ["cordon", machine]);
  await edit(second, (spec) => {
    spec.upgrade = { soakSeconds: 2 };
  });
  await waitUntilTold(place, first, {
    status: new RegExp(`${node} does not serve yet: no machine of the site can take the pod`),
    remedy: /kubectl uncordon the machine when its work is done/,
    deadlineMs: 240_000,
  });
  for (const retry of ["try-1", "try-2"]) {
    const lives = await livesOf(place, podsOf.nodes);
    await request(last, { retry });
    await handled("retry", retry);
    const ended = () => endedSince(place, podsOf.nodes, lives);
    await until(ended, (pods) => pods.includes(`${node}-0`), { what: `${node} is tried again`, deadlineMs: 60_000 });
    await stays(load, retry, () => request(second, { retry }));
    assert.deepEqual(await ended(), [`${node}-0`], "no other node was touched");
  }
  await stays(load, "the older value put back", () => request(second, { retry: "try-1" }));
  await place.sites.kubectl(first, ["uncordon", machine]);
  await runs(next);
  const levels = async () => (await allNodes(place)).map(({ status }) => status?.featureLevel);
  const raised = (seen: unknown[]) => seen.every((level) => level === next);
  await until(levels, raised, { what: `every node writes at level ${next}`, deadlineMs: 120_000 });
  await waitUntilContent(place);
  await load.end((line) => t.diagnostic(line));
});

test("all soaked, there is no way back: the request of before, put back from Git, fires nothing", async (t) => {
  const load = await underLoad(place, fleet, "late", { mostAway: 0 });
  t.after(() => load.cancel());
  await stays(load, "the request of before", () => request(first, { rollback: "change-4711", retry: "try-2" }));
  await waitUntilContent(place);
  await load.end((line) => t.diagnostic(line));
});

/** `kubectl edit`, also while an operator takes the document over. */
async function edit(site: string, change: (spec: KmsCluster["spec"]) => void): Promise<void> {
  await editDocument(place, site, change);
  const wanted = JSON.stringify((await clusterAt(place, site)).spec);
  const same = async () =>
    (await Promise.all(place.sites.names.map((one) => clusterAt(place, one)))).map(({ spec }) => spec);
  const all = (specs: readonly unknown[]) => specs.every((spec) => JSON.stringify(spec) === wanted);
  await until(same, all, { what: "every site has the document", deadlineMs: 60_000 });
}

/** Writes exactly these requests into the document of a site. */
async function request(site: string, requests: Requests): Promise<void> {
  await edit(site, (spec) => {
    spec.upgrade = { ...spec.upgrade, requests };
  });
}

async function handled(kind: keyof Requests, value: string): Promise<void> {
  const look = async () =>
    (await Promise.all(place.sites.names.map((site) => clusterAt(place, site)))).map(
      ({ status }) => status?.upgrade?.[kind]?.value,
    );
  const all = (seen: unknown[]) => seen.every((one) => one === value);
  await until(look, all, { what: `every site has handled ${kind} ${value}`, deadlineMs: 60_000 });
}

async function upgraded(count: number): Promise<void> {
  const look = () => servingWith(place, next, place.sites.names);
  const what = `${count} of the nodes run ${next}`;
  await until(look, (names) => names.length >= count, { what, deadlineMs: 300_000 });
}

async function runs(version: string): Promise<void> {
  const look = () => servingWith(place, version, place.sites.names);
  const all = (names: string[]) => names.length === fleet.nodes.length;
  await until(look, all, { what: `all nodes run ${version}`, deadlineMs: 400_000 });
}

/** Does something that must change nothing, and looks, some dozen writes later, that no pod of a node is another one. */
async function stays(load: Load, what: string, act: () => Promise<void>): Promise<void> {
  const lives = await livesOf(place, podsOf.nodes);
  await act();
  await load.more(60);
  assert.deepEqual(await endedSince(place, podsOf.nodes, lives), [], what);
}
