import "../stories/instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { allNodes, clusterAt, waitUntilEqual } from "../fleet/fleet.ts";
import type { Answer } from "../fleet/kmip-clients.ts";
import { underLoad } from "../fleet/load.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { aSmallFleet, type Fleet, first, last, place, second, theFleet } from "../stories/world.ts";

const begun = [`${first}-a`, `${second}-a`];
const added = [`${first}-b`, `${second}-b`, `${last}-a`, `${last}-b`];
/** The one that made the fleet is among them: nothing of it is needed any more. */
const dropped = [`${first}-a`, `${last}-b`];

let fleet: Fleet;
const keys: Answer[] = [];
before(async () => {
  fleet = await aSmallFleet({ names: begun });
});
// A fleet of other nodes than a story expects: the next one makes its own.
after(() => place.sites.down());

test("two nodes become six in one edit, one after the other, while clients write: no request fails, and all six hold every key", async (t) => {
  const load = await underLoad(place, fleet, "grow");
  t.after(() => load.cancel());
  await editDocument(place, last, ({ sites }) => {
    for (const site of sites)
      site.nodes.push(...added.filter((name) => name.startsWith(`${site.name}-`)).map((name) => ({ name })));
  });
  const most = { joining: 0 };
  await until(
    async () => {
      const nodes = await allNodes(place);
      most.joining = Math.max(most.joining, nodes.filter(({ spec }) => spec.membership.action === "Join").length);
      return nodesSaid();
    },
    (said) => said.every((nodes) => nodes === "6/6"),
    { what: "every site says that six nodes serve", deadlineMs: 600_000 },
  );
  assert.equal(most.joining, 1, "nodes join one by one");
  keys.push(...(await load.end((line) => t.diagnostic(line))));
  fleet = await theFleet();
  await waitUntilEqual(place, fleet.nodes, 300_000);
  await readEverywhere(place, fleet.call, { keys, nodes: fleet.nodes });
});

test("six become four in one edit, the founder is not among them: no request fails, and what stays holds every key", async (t) => {
  const staying = { ...fleet, nodes: fleet.nodes.filter(({ metadata }) => !dropped.includes(metadata.name)) };
  const load = await underLoad(place, staying, "shrink");
  t.after(() => load.cancel());
  await editDocument(place, second, ({ sites }) => {
    for (const site of sites) site.nodes = site.nodes.filter(({ name }) => !dropped.includes(name));
  });
  const names = async () => (await allNodes(place)).map(({ metadata }) => metadata.name);
  const gone = (seen: string[]) => dropped.every((name) => !seen.includes(name));
  await until(names, gone, { what: `${dropped.join(" and ")} are removed`, deadlineMs: 600_000 });
  keys.push(...(await load.end((line) => t.diagnostic(line))));
  assert.deepEqual(new Set(await nodesSaid()), new Set(["4/4"]));
  await readEverywhere(place, fleet.call, { keys, nodes: staying.nodes });
  for (const { metadata, spec } of await allNodes(place))
    for (const name of dropped) {
      const entry = spec.members.find((member) => member.name === name);
      assert.equal(entry?.standing, "Departed", `${name} as ${metadata.name} sees it`);
    }
});

/** NODES as each site shows it. */
async function nodesSaid(): Promise<(string | undefined)[]> {
  return Promise.all(place.sites.names.map(async (site) => (await clusterAt(place, site)).status?.nodes));
}
