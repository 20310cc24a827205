import "../stories/instance.ts";

import { after, before, type TestContext, test } from "node:test";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { nodesAt, statusLine, waitUntilEqual } from "../fleet/fleet.ts";
import { type Load, underLoad } from "../fleet/load.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { aSmallFleet, first, last, place, second, theFleet } from "../stories/world.ts";

before(() => aSmallFleet({ atAnyVersion: true }));
// A fleet of other nodes than a story expects: the next one makes its own.
after(() => place.sites.down());

/** What is changed, and which site is lost in the middle of it. */
interface Step {
  readonly node: string;
  readonly lost: string;
  readonly who: string;
}

const joins: readonly Step[] = [
  { node: `${second}-b`, lost: second, who: "the site of the node that joins" },
  { node: `${last}-b`, lost: first, who: "another site" },
];

for (const { node, lost, who } of joins)
  test(`${who} is lost in the middle of a join: clients write on, and when it is back the node joins and holds every key`, async (t) => {
    const load = await loadOf(t, `join-${node}`);
    await edit(({ nodes }) => nodes.push({ name: node }), node);
    await loseWhen(load, { lost, node, standing: /^Joining$/ });
    await load.more(60);
    await place.sites.start(lost);
    await becomes(node, "Member");
    const keys = await load.end((line) => t.diagnostic(line));
    const { nodes, call } = await theFleet();
    await waitUntilEqual(place, nodes, 300_000);
    await readEverywhere(place, call, { keys, nodes });
  });

const removals: readonly Step[] = [
  { node: `${last}-a`, lost: last, who: "the site of the node that leaves" },
  { node: `${second}-a`, lost: first, who: "another site" },
];

for (const { node, lost, who } of removals)
  test(`${who} is lost in the middle of a removal: clients write on, and when it is back the node departs and no key is lost`, async (t) => {
    const load = await loadOf(t, `removal-${node}`, node);
    await edit((site) => {
      site.nodes = site.nodes.filter(({ name }) => name !== node);
    }, node);
    await loseWhen(load, { lost, node, standing: /^(Leaving|Fenced)$/ });
    await load.more(60);
    await place.sites.start(lost);
    await becomes(node, "Departed");
    const gone = async () => (await nodesAt(place, siteOf(node))).every(({ metadata }) => metadata.name !== node);
    await until(gone, Boolean, { what: `${node} is removed`, deadlineMs: 600_000 });
    const keys = await load.end((line) => t.diagnostic(line));
    const { nodes, call } = await theFleet();
    await readEverywhere(place, call, { keys, nodes });
  });

/** Writers to the fleet as it is; nobody watches over a node that is to leave. */
async function loadOf(t: TestContext, title: string, leaving = ""): Promise<Load> {
  const fleet = await theFleet();
  const nodes = fleet.nodes.filter(({ metadata }) => metadata.name !== leaving);
  const load = await underLoad(place, { ...fleet, nodes }, title);
  t.after(() => load.cancel());
  return load;
}

type Site = Parameters<Parameters<typeof editDocument>[2]>[0]["sites"][number];

async function edit(change: (site: Site) => void, node: string): Promise<void> {
  await editDocument(place, siteOf(node), ({ sites }) => {
    for (const site of sites) if (site.name === siteOf(node)) change(site);
  });
}

/** Kills a site as soon as a node is seen so from another one. */
async function loseWhen(load: Load, { lost, node, standing }: { lost: string; node: string; standing: RegExp }) {
  const look = async () => (await standingAt(other(lost), node)) ?? "not listed";
  const what = `${other(lost)} says that ${node} is ${standing}`;
  await until(look, (seen) => standing.test(seen), { what, deadlineMs: 600_000, everyMs: 50 });
  load.lost(lost);
  await place.sites.kill(lost);
  await until(
    () => statusLine(place, other(lost)),
    (line) => line.includes(`site ${lost} is not reachable`),
    { what: `${other(lost)} tells of the loss`, deadlineMs: 600_000 },
  );
}

/** What the members of a site are told about a node. */
async function standingAt(site: string, name: string): Promise<string | undefined> {
  const [node] = await nodesAt(place, site);
  return listed(node, name);
}

/** Waits until every other node of the fleet is told so about a node. */
async function becomes(name: string, standing: string): Promise<void> {
  const look = async () => {
    const { nodes } = await theFleet();
    return nodes.filter(({ metadata }) => metadata.name !== name).map((node) => listed(node, name));
  };
  const everywhere = (seen: (string | undefined)[]) => seen.every((one) => one === standing);
  await until(look, everywhere, { what: `${name} is ${standing} everywhere`, deadlineMs: 600_000 });
}

function listed(node: KmsNode | undefined, name: string): string | undefined {
  return node?.spec.members.find((member) => member.name === name)?.standing;
}

function siteOf(node: string): string {
  return place.sites.names.find((site) => node.startsWith(`${site}-`)) ?? "";
}

/** A site that is not lost. */
function other(lost: string): string {
  return place.sites.names.find((site) => site !== lost) ?? "";
}
