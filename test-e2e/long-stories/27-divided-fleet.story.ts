import "../stories/instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { clusterAt, endpoints, isServing, nodesAt, waitForAllServing, waitUntilEqual } from "../fleet/fleet.ts";
import { type Answer, ask } from "../fleet/kmip-clients.ts";
import { type Load, underLoad } from "../fleet/load.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { startWriters, type Writers } from "../fleet/writers.ts";
import { aSmallFleet, type Fleet, first, last, nodesOf, place, second, theFleet } from "../stories/world.ts";

const added = `${last}-b`;
const cutOff = second;

let fleet: Fleet;
let load: Load;
let inside: Writers;
let outside: Writers;
/** Keys of before, one that is destroyed in the site that is cut off, and one that is in the others. */
let destroyedInside: Answer;
let destroyedOutside: Answer;
before(async () => {
  fleet = await aSmallFleet();
  load = await underLoad(place, fleet, "divided");
  destroyedInside = await create();
  destroyedOutside = await create();
  const keys = [destroyedInside, destroyedOutside];
  await readEverywhere(place, fleet.call, { keys, nodes: fleet.nodes });
});
// A fleet of other nodes than a story expects: the next one makes its own.
after(async () => {
  await Promise.allSettled([load?.cancel(), inside?.stop(), outside?.stop()]);
  await place.sites.down();
});

test("a site is cut off, not burned, and named lost: both sides write on, and a node joins those that are left", async () => {
  for (const site of [first, last]) await place.sites.cut(cutOff, site);
  for (const site of [first, last]) await sitesSeen(site, "2/3");
  await sitesSeen(cutOff, "1/3");
  await editDocument(place, last, (spec) => {
    spec.recovery = { lostSites: [cutOff] };
    spec.sites.find(({ name }) => name === last)?.nodes.push({ name: added });
  });
  inside = writersIn("inside", nodesOf(fleet, cutOff));
  outside = writersIn("outside", [...nodesOf(fleet, first), ...nodesOf(fleet, last)]);
  const names = async () => (await nodesAt(place, last)).filter(isServing).map(({ metadata }) => metadata.name);
  await until(names, (serving) => serving.includes(added), { what: `${added} serves`, deadlineMs: 300_000 });
  await Promise.all([inside.more(60, 300_000), outside.more(60, 300_000)]);
  await told([cutOff], ["--id", idOf(destroyedInside), "destroy"]);
  await told([first], ["--id", idOf(destroyedOutside), "destroy"]);
});

test("neither side has heard of the other: what each was told meanwhile is still to be merged", async () => {
  const [within] = await writtenBy(inside);
  const [without] = await writtenBy(outside);
  await refused([first, last], within, unknown);
  await refused([cutOff], without, unknown);
  await refused([cutOff], destroyedInside, destroyed);
  await told([cutOff], ["--id", idOf(destroyedOutside), "get"]);
  await told([first, last], ["--id", idOf(destroyedInside), "get"]);
});

test("it is taken back: every node holds what both sides wrote, nobody serves what either destroyed, no request has failed", async (t) => {
  await place.sites.heal();
  for (const site of place.sites.names) await sitesSeen(site, "3/3");
  await editDocument(place, last, (spec) => {
    spec.recovery = { lostSites: [] };
  });
  await waitForAllServing(place, { deadlineMs: 300_000 });
  const keys = [...(await writtenBy(inside)), ...(await writtenBy(outside))];
  t.diagnostic(`${inside.count()} keys written in the site that was cut off, ${outside.count()} in the others`);
  assert.deepEqual([...inside.failures(), ...outside.failures()], []);
  await load.end((line) => t.diagnostic(line));
  const whole = await theFleet();
  assert.equal(whole.nodes.length, 4);
  await waitUntilEqual(place, whole.nodes, 120_000);
  await readEverywhere(place, whole.call, { keys, nodes: whole.nodes });
  for (const key of [destroyedInside, destroyedOutside]) await refused(place.sites.names, key, destroyed);
});

/** Clients that know the nodes of one side only. */
function writersIn(name: string, nodes: Fleet["nodes"]): Writers {
  const startAt = nodes.map(({ metadata }) => metadata.name);
  const at = { endpoints: endpoints(nodes), call: fleet.call, startAt, seconds: 1_200, tries: 2 };
  return startWriters(place, { ...at, name: `${name}-${Date.now()}` });
}

const written = new Map<Writers, readonly Answer[]>();

/** Ends writers; answers with their keys, also when asked again. */
async function writtenBy(writers: Writers): Promise<readonly Answer[]> {
  const keys = written.get(writers) ?? (await writers.stop());
  written.set(writers, keys);
  return keys;
}

async function sitesSeen(site: string, wanted: string): Promise<void> {
  const look = async () => (await clusterAt(place, site)).status?.sites;
  await until(look, (seen) => seen === wanted, { what: `${site} sees ${wanted} sites`, deadlineMs: 120_000 });
}

async function create(): Promise<Answer> {
  const [made] = await told([first], ["--name", `divided-${Date.now()}`, "create"]);
  assert.ok(made?.id);
  return made;
}

/** What the nodes of these sites answer, one after the other. */
async function answers(sites: readonly string[], words: readonly string[]): Promise<Answer[]> {
  const found: Answer[] = [];
  for (const endpoint of sites.flatMap((site) => [...endpoints(nodesOf(fleet, site)).values()]))
    found.push(...(await ask(place, { ...fleet.call, endpoints: [endpoint] }, words)));
  return found;
}

async function told(sites: readonly string[], words: readonly string[]): Promise<Answer[]> {
  const all = await answers(sites, words);
  assert.deepEqual(all.map(({ error }) => error).filter(Boolean), [], `${words} in ${sites}`);
  return all;
}

const unknown = /ItemNotFound/;
const destroyed = /destroyed/i;

/** Asserts that the nodes of these sites answer with such an error, not with a key. */
async function refused(sites: readonly string[], key: Answer | undefined, said: RegExp): Promise<void> {
  for (const { error, digest } of await answers(sites, ["--id", idOf(key), "get"])) {
    assert.equal(digest, undefined);
    assert.match(error ?? "", said);
  }
}

function idOf(key: Answer | undefined): string {
  assert.ok(key?.id, "there is a key");
  return key.id;
}
