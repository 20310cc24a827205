import "../stories/instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { editDocument } from "../fleet/document.ts";
import { allNodes, isServing, nodesAt } from "../fleet/fleet.ts";
import { underLoad } from "../fleet/load.ts";
import { assertStruck, killAtPhases } from "../fleet/phases.ts";
import { nextVersion } from "../sites/next-version.ts";
import { aSmallFleet, type Fleet, first, place } from "../stories/world.ts";

// One that no other story names: what has departed comes back by consent only.
const added = `${first}-k`;
/** Each strike costs the fleet a change of leaders, on a slow machine a minute of it. */
const slowlyMs = 900_000;

let fleet: Fleet;
before(async () => {
  fleet = await aSmallFleet();
});

test("a node joins, and leaves again, while all leading operators are killed -9 after each phase: no request fails", async (t) => {
  const load = await underLoad(place, fleet, "join");
  t.after(() => load.cancel());
  await editDocument(
    place,
    first,
    ({ sites }) => void sites.find(({ name }) => name === first)?.nodes.push({ name: added }),
  );
  const about = new RegExp(`\\b${added}\\b`);
  const joined = await killAtPhases(place, { about, most: 8, done: () => isMember(added), deadlineMs: slowlyMs });
  t.diagnostic(`killed after: ${joined.join("; ")}`);
  assertStruck(joined, /is told Join at/, /is told Member at/, /serves/);
  await editDocument(place, first, ({ sites }) => {
    for (const site of sites) site.nodes = site.nodes.filter(({ name }) => name !== added);
  });
  const gone = async () => (await nodesAt(place, first)).every(({ metadata }) => metadata.name !== added);
  const left = await killAtPhases(place, { about, most: 12, done: gone, deadlineMs: slowlyMs });
  t.diagnostic(`killed after: ${left.join("; ")}`);
  assertStruck(left, /^lock: remove/, /is told Leave at/, /is Departed$/);
  for (const { metadata, spec } of await allNodes(place)) {
    const standings = spec.members.map(({ name, standing }) => `${name} ${standing}`);
    assert.ok(standings.includes(`${added} Departed`), `${metadata.name}: ${standings}`);
  }
  await load.end((line) => t.diagnostic(line));
});

test("two nodes are upgraded and taken back while all leading operators are killed -9 after each phase: never two are away", async (t) => {
  const old = fleet.nodes[0]?.status?.version ?? "";
  const next = nextVersion(old);
  const load = await underLoad(place, fleet, "struck");
  t.after(() => load.cancel());
  await wantVersion(next);
  const about = /^lock: \w+ |drains$|is told Member|serves/;
  const versions = async () => (await allNodes(place)).map(({ status }) => status?.version);
  const two = async () => (await versions()).filter((version) => version === next).length >= 2;
  const struck = await killAtPhases(place, { about, most: 12, done: two, deadlineMs: slowlyMs });
  t.diagnostic(`killed after: ${struck.join("; ")}`);
  assertStruck(struck, /^lock: /, /drains$/, new RegExp(`serves ${next}$`));
  await wantVersion(old);
  const back = async () => (await versions()).every((version) => version === old);
  const again = await killAtPhases(place, { about, most: 6, done: back, deadlineMs: slowlyMs });
  t.diagnostic(`killed after: ${again.join("; ")}`);
  await load.end((line) => t.diagnostic(line));
});

async function wantVersion(version: string): Promise<void> {
  await editDocument(place, first, (spec) => {
    spec.version = version;
    spec.upgrade = { ...spec.upgrade, soakSeconds: 2 };
  });
}

async function isMember(name: string): Promise<boolean> {
  const node = (await nodesAt(place, first)).find(({ metadata }) => metadata.name === name);
  return node?.spec.membership.action === "Member" && isServing(node);
}
