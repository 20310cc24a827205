import "../stories/instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { allNodes } from "../fleet/fleet.ts";
import { underLoad } from "../fleet/load.ts";
import { nextVersion } from "../sites/next-version.ts";
import { aSmallFleet, type Fleet, last, place } from "../stories/world.ts";

let fleet: Fleet;
let next = "";
before(async () => {
  fleet = await aSmallFleet();
  next = nextVersion(fleet.nodes[0]?.spec.version ?? "");
});

test("each node leaves, is wiped and joins anew with the next version, and no request fails", async (t) => {
  const lives = new Map(fleet.nodes.map(({ metadata, status }) => [metadata.name, status?.incarnation]));
  const load = await underLoad(place, fleet, "rebuild");
  t.after(() => load.cancel());
  await editDocument(place, last, (spec) => {
    spec.version = next;
    spec.upgrade = { strategy: "RemoveAndRebuild", soakSeconds: 2 };
  });
  const look = async () => (await allNodes(place)).map(({ status }) => status);
  const what = `every node runs ${next} and writes at that level`;
  await until(look, (seen) => seen.every((status) => status?.version === next && status.featureLevel === next), {
    what,
    deadlineMs: 600_000,
  });
  await load.more(30);
  await load.end((line) => t.diagnostic(line));
  for (const { metadata, spec, status } of await allNodes(place)) {
    assert.notEqual(status?.incarnation, lives.get(metadata.name), `${metadata.name} is a new incarnation`);
    assert.ok(spec.members.every(({ standing }) => standing === "Member"));
    const marks = Object.keys(metadata.annotations ?? {});
    assert.deepEqual(
      marks,
      ["keyfleet.io/begun-at"],
      "no mark of the rebuilding is left, only since when it is a member",
    );
  }
});
