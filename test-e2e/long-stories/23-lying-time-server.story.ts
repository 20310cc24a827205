import "../stories/instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { allNodes, clusterAt, conditionOf, isServing, metricsOf, nodesAt } from "../fleet/fleet.ts";
import { underLoad } from "../fleet/load.ts";
import { namespace } from "../fleet/places.ts";
import { waitUntilContent, waitUntilTold } from "../fleet/say.ts";
import { aSmallFleet, type Fleet, place, second } from "../stories/world.ts";

const node = `${second}-a`;
const [, , liar = ""] = place.sites.timeServers;
/** An address that nobody has. */
const nobody = "172.31.0.249";

let fleet: Fleet;
before(async () => {
  fleet = await aSmallFleet();
});
/** Also after a failure: the next story expects right clocks and the servers of the example. */
after(async () => {
  await place.sites.skewTime(0);
  await measureBy(undefined);
});

const lies: readonly { what: string; server: string; seconds: number; said: RegExp }[] = [
  {
    what: "is five seconds ahead",
    server: liar,
    seconds: 5,
    said: /off by more than 250 ms; mend the machine's clock/,
  },
  {
    what: "is an hour behind",
    server: liar,
    seconds: -3_600,
    said: /off by more than 250 ms; mend the machine's clock/,
  },
  { what: "does not answer", server: nobody, seconds: 0, said: /none of 172\.31\.0\.249 answers; check/ },
];

for (const { what, server, seconds, said } of lies)
  test(`the time server of a node ${what}: every site says so and what to do, all go on serving, and mending it is enough`, async (t) => {
    const load = await underLoad(place, fleet, "time");
    t.after(() => load.cancel());
    const pods = await podsAt(second);
    await place.sites.skewTime(seconds);
    await measureBy([server]);
    const status = new RegExp(`all nodes serve, but ${node}: ${said.source}`);
    for (const site of place.sites.names)
      await waitUntilTold(place, site, { status, remedy: /settings\.ntp\.servers/, deadlineMs: 600_000 });
    const own = (await nodesAt(place, second)).find(({ metadata }) => metadata.name === node);
    assert.equal(conditionOf(own?.status, "TimeSynchronised")?.status, "False");
    assert.ok(isServing(own), "it serves: keys do not wait for clocks");
    if (own && seconds !== 0) assert.ok(Math.abs((await offsetOf(own)) - Math.abs(seconds) * 1_000) < 1_000);
    await load.more(60);
    await place.sites.skewTime(0);
    await measureBy(undefined);
    await waitUntilContent(place);
    assert.deepEqual(await podsAt(second), pods, "nothing was restarted for it");
    await load.end((line) => t.diagnostic(line));
  });

test("one of three time servers lies to all nodes: each says so and which one, all go on serving, and leaving it out is enough", async (t) => {
  const load = await underLoad(place, fleet, "one-liar");
  t.after(() => load.cancel());
  await place.sites.skewTime(5);
  const honest = await fleetMeasuresBy([...place.sites.timeServers]);
  t.after(() => fleetMeasuresBy(honest));
  const off = async () =>
    (await allNodes(place)).map(({ status }) => ({
      clock: conditionOf(status, "TimeSynchronised")?.reason,
      wrong: status?.time?.servers.filter(({ offsetMs = 0 }) => offsetMs > 250).map(({ address }) => address),
    }));
  const told = (seen: Awaited<ReturnType<typeof off>>) =>
    seen.every(({ clock, wrong }) => clock === "OffsetTooLarge" && wrong?.join() === liar);
  await until(off, told, { what: `every node says that ${liar} differs`, deadlineMs: 600_000 });
  await load.more(60);
  await fleetMeasuresBy(honest);
  const site = place.sites.names[0] ?? "";
  const reason = async () => conditionOf((await clusterAt(place, site)).status, "TimeSynchronised")?.reason;
  await until(reason, (seen) => seen === "AsWanted", { what: "every clock is within its bound", deadlineMs: 600_000 });
  await load.end((line) => t.diagnostic(line));
});

/** Gives one node time servers of its own, or takes them away again. */
async function measureBy(servers: string[] | undefined): Promise<void> {
  await editDocument(place, second, ({ sites }) => {
    for (const entry of sites.flatMap(({ nodes }) => nodes).filter(({ name }) => name === node)) {
      if (servers === undefined) delete entry.settings;
      else entry.settings = { ntp: { servers } };
    }
  });
}

/** Gives all nodes other time servers; answers with those that they had. */
async function fleetMeasuresBy(servers: string[]): Promise<string[]> {
  let before: string[] = [];
  await editDocument(place, second, (spec) => {
    before = spec.defaults?.ntp?.servers ?? [];
    spec.defaults = { ...spec.defaults, ntp: { ...spec.defaults?.ntp, servers } };
  });
  return before;
}

/** By how many milliseconds a node says that its clock is off, at most. */
async function offsetOf(own: Fleet["nodes"][number]): Promise<number> {
  const lines = (await metricsOf(place, own)).matchAll(/^keyfleet_clock_offset_milliseconds\S* (\S+)$/gm);
  return Math.max(...[...lines].map(([, text]) => Math.abs(Number(text))));
}

async function podsAt(site: string): Promise<string> {
  const words = ["-n", namespace, "get", "pods", "-l", "keyfleet.io/node", "-o", "jsonpath={.items[*].metadata.uid}"];
  return (await place.sites.kubectl(site, words)).stdout;
}
