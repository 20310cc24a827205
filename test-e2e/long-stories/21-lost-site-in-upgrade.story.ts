import "../stories/instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { allNodes, servingWith } from "../fleet/fleet.ts";
import { type Load, underLoad } from "../fleet/load.ts";
import { servingAt } from "../fleet/outages.ts";
import { waitUntilTold } from "../fleet/say.ts";
import { nextVersion } from "../sites/next-version.ts";
import { aSmallFleet, type Fleet, first, place } from "../stories/world.ts";

let fleet: Fleet;
let load: Load;
let next = "";
before(async () => {
  fleet = await aSmallFleet();
  next = nextVersion(fleet.nodes[0]?.spec.version ?? "");
  load = await underLoad(place, fleet, "lost-in-upgrade");
});
after(() => load?.cancel());

test("the site whose node is being upgraded is lost: nobody else is taken down, clients write on, and back, its node is upgraded", async () => {
  await editDocument(place, first, (spec) => {
    spec.version = next;
    spec.upgrade = { ...spec.upgrade, soakSeconds: 2 };
  });
  const site = await siteInHand();
  await lose(site);
  const other = others(site)[0] ?? "";
  await waitUntilTold(place, other, {
    status: new RegExp(`waiting: site ${site} is not reachable`),
    remedy: new RegExp(`bring ${site} back`),
    deadlineMs: 300_000,
  });
  await load.more(60);
  assert.equal((await upgraded(others(site))).length, 0, "nobody else was upgraded meanwhile");
  await place.sites.start(site);
  await until(
    () => upgraded(),
    (names) => names.includes(`${site}-a`),
    {
      what: `${site}-a runs ${next}`,
      deadlineMs: 600_000,
    },
  );
});

test("another site is lost while a node is being upgraded: that one comes back, the third waits until all are there", async () => {
  const site = await siteInHand();
  const done = await upgraded();
  const lost = others(site).find((name) => !done.includes(`${name}-a`)) ?? "";
  await lose(lost);
  await until(
    () => upgraded(others(lost)),
    (names) => names.length === 2,
    {
      what: `${site}-a runs ${next} while ${lost} is lost`,
      deadlineMs: 600_000,
    },
  );
  await waitUntilTold(place, site, {
    status: new RegExp(`site ${lost} is not reachable`),
    remedy: new RegExp(`bring ${lost} back`),
    deadlineMs: 300_000,
  });
  await load.more(60);
  await place.sites.start(lost);
});

test("then the upgrade ends by itself: every node runs the new version at its level, and no request has failed", async (t) => {
  const look = async () => (await allNodes(place)).map(({ status }) => [status?.version, status?.featureLevel]);
  const done = (seen: (string | undefined)[][]) => seen.flat().every((version) => version === next);
  await until(look, done, { what: `every node runs ${next} and writes at that level`, deadlineMs: 600_000 });
  await load.end((line) => t.diagnostic(line));
});

/** Waits until a node that lacks the new version is down; answers with its site. */
async function siteInHand(): Promise<string> {
  const look = async () => {
    const done = await upgraded();
    const serving = (await Promise.all(place.sites.names.map((site) => servingAt(place, site)))).flat();
    return place.sites.names.find(
      (site) => !done.includes(`${site}-a`) && serving.every(({ node }) => node !== `${site}-a`),
    );
  };
  const seen = (site: string | undefined) => site !== undefined;
  const found = await until(look, seen, { what: "a node is being upgraded", deadlineMs: 600_000, everyMs: 100 });
  return found ?? "";
}

/** Nodes that run the next version and serve, in these sites. */
function upgraded(sites: readonly string[] = place.sites.names): Promise<string[]> {
  return servingWith(place, next, sites);
}

function others(site: string): string[] {
  return place.sites.names.filter((name) => name !== site);
}

async function lose(site: string): Promise<void> {
  load.lost(site);
  await place.sites.kill(site);
}
