import "../stories/instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { allNodes, clusterAt, conditionOf } from "../fleet/fleet.ts";
import { endedSince, livesOf, podsOf } from "../fleet/lives.ts";
import { underLoad } from "../fleet/load.ts";
import { cluster, namespace } from "../fleet/places.ts";
import { waitUntilContent, waitUntilTold } from "../fleet/say.ts";
import { nextVersion } from "../sites/next-version.ts";
import { aSmallFleet, type Fleet, first, last, place, second } from "../stories/world.ts";

/** The site whose copy Argo CD owns; here the story is Argo CD. */
const owned = second;
const mark = "argocd.argoproj.io/tracking-id";
const trackingId = `bank-keys:keyfleet.io/KmsCluster:${namespace}/${cluster}`;

let fleet: Fleet;
let old = "";
let next = "";
before(async () => {
  fleet = await aSmallFleet();
  old = fleet.nodes[0]?.spec.version ?? "";
  next = nextVersion(old);
  await waitUntilContent(place);
  await annotate(`${mark}=${trackingId}`);
});
after(() => annotate(`${mark}-`));

test("a copy that Argo CD owns is not overwritten: every site names the field and the owner, the upgrade waits, clients are served", async (t) => {
  const load = await underLoad(place, fleet, "owned", { mostAway: 0 });
  t.after(() => load.cancel());
  const lives = await livesOf(place, podsOf.nodes);
  const before = await copy();
  await want(first, next);
  const words = { remedy: new RegExp(`make spec\\.version the same in ${owned}`) };
  await waitUntilTold(place, first, { status: new RegExp(`ArgoCD owns the copy in ${owned}`), ...words });
  await waitUntilTold(place, last, { status: new RegExp(`ArgoCD owns the copy in ${owned}`), ...words });
  const here = /all nodes serve, but .* differ in spec\.version; ArgoCD owns the copy here: make its source the same/;
  t.diagnostic(`${owned} says: ${await waitUntilTold(place, owned, { status: here, remedy: /SpecDiffers/ })}`);
  for (const site of place.sites.names) {
    const told = conditionOf((await clusterAt(place, site)).status, "SpecSynced");
    assert.deepEqual([told?.status, told?.reason], ["False", "SpecDiffers"], site);
  }
  assert.equal((await clusterAt(place, last)).spec.version, next, "the copy that nobody owns follows");
  await load.more(120);
  assert.deepEqual(await copy(), before, "the owned copy was not written");
  assert.deepEqual(await versions(), [old]);
  await load.end((line) => t.diagnostic(line));
  assert.deepEqual(await endedSince(place, podsOf.nodes, lives), []);
});

test("Argo CD syncs another commit: the sites follow it, nobody complains any more, and the mark is still there", async () => {
  // The commit goes back to the version before, and changes something that the other sites do not have yet.
  await want(first, old);
  await edited(owned, 7);
  const soaks = () =>
    Promise.all(place.sites.names.map(async (site) => (await clusterAt(place, site)).spec.upgrade?.soakSeconds));
  await until(soaks, (seen) => seen.every((seconds) => seconds === 7), { what: "all have it", deadlineMs: 60_000 });
  await waitUntilContent(place);
  for (const site of place.sites.names)
    assert.equal(conditionOf((await clusterAt(place, site)).status, "SpecSynced")?.status, "True", site);
  assert.equal((await clusterAt(place, owned)).metadata.annotations?.[mark], trackingId);
  assert.deepEqual(await versions(), [old]);
});

async function want(site: string, version: string): Promise<void> {
  await editDocument(place, site, (spec) => {
    spec.version = version;
  });
}

async function edited(site: string, soakSeconds: number): Promise<void> {
  await editDocument(place, site, (spec) => {
    spec.upgrade = { ...spec.upgrade, soakSeconds };
  });
}

async function annotate(words: string): Promise<void> {
  const target = ["-n", namespace, "annotate", "kmscluster", cluster, "--overwrite"];
  await place.sites.kubectl(owned, [...target, words]);
}

/** What of the owned copy people and operators write, its status left out. */
async function copy() {
  const { metadata, spec } = await clusterAt(place, owned);
  return { generation: metadata.generation, annotations: metadata.annotations, spec };
}

/** The versions that the nodes are told and run. */
async function versions(): Promise<(string | undefined)[]> {
  const seen = (await allNodes(place)).flatMap(({ spec, status }) => [spec.version, status?.version]);
  return [...new Set(seen)];
}
