import "../stories/instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import type { KmsCluster } from "@keyfleet/crds/kms-cluster.ts";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { clusterAt, statusLine, waitForAllServing } from "../fleet/fleet.ts";
import { endedSince, livesOf, podsOf } from "../fleet/lives.ts";
import { type Load, underLoad } from "../fleet/load.ts";
import { waitUntilContent, waitUntilTold } from "../fleet/say.ts";
import { nextVersion } from "../sites/next-version.ts";
import { aSmallFleet, type Fleet, first, last, place } from "../stories/world.ts";
import { doubtful, harmful, refused } from "./field-values.ts";

let fleet: Fleet;
let load: Load;
let original: Spec;
let found: Spec;
before(async () => {
  fleet = await aSmallFleet();
  found = (await clusterAt(place, first)).spec;
  // Short, so that what is harmful is tried without a long wait.
  original = { ...found, upgrade: { ...found.upgrade, soakSeconds: 1 } };
  await write(original);
  load = await underLoad(place, fleet, "every-field", { mostAway: 0 });
});
after(async () => {
  await load?.cancel();
  await write(found);
});

test("a value that a field cannot have is refused by the name of the field, then a good one is taken, and reaches every site", async (t) => {
  // Paused, so that not every value restarts a node: what is tried here is what the document may say.
  const taken = structuredClone({ ...original, pause: "Orchestration" }) as Spec;
  await write(taken);
  for (const [path, bad, said, good] of refused) {
    const wrong = withValue(taken, path, bad);
    await assert.rejects(write(wrong), said, `${path}: ${JSON.stringify(bad)}`);
    if (good === undefined) continue;
    Object.assign(taken, withValue(taken, path, good));
    await write(taken).catch((error) => assert.fail(`${path}: ${JSON.stringify(good)} was refused: ${error.message}`));
  }
  for (const site of place.sites.names)
    await until(
      async () => (await clusterAt(place, site)).spec,
      (spec) => isDeepStrictEqual(spec, taken),
      { what: `${site} has every value`, deadlineMs: 600_000 },
    );
  t.diagnostic(
    `${refused.length} values refused, ${refused.filter(([, , , good]) => good !== undefined).length} taken`,
  );
  await write(original);
  await waitForAllServing(place, { deadlineMs: 600_000 });
});

for (const { what, change, status, remedy } of doubtful({ site: first, other: last, next: nextVersion("0.1.0") }))
  test(`${what} is told by the name of the field, nodes go on serving, and a good value is enough`, async () => {
    const wrong = structuredClone(original);
    change(wrong);
    await write(wrong);
    await waitUntilTold(place, first, { status, remedy, deadlineMs: 300_000 });
    assert.match(await statusLine(place, first), /^3\/3 nodes/);
    await write(original);
    await waitUntilContent(place);
  });

test("all the while every node served, and no request failed", async (t) => {
  await load.end((line) => t.diagnostic(line));
});

for (const { what, change, status, remedy } of harmful())
  test(`${what}: one node tries it and says so, the others keep theirs and serve, and a good value brings it back`, async (t) => {
    const trial = await underLoad(place, fleet, "harmful");
    t.after(() => trial.cancel());
    const lives = await livesOf(place, podsOf.nodes);
    const wrong = structuredClone(original);
    change(wrong);
    await write(wrong);
    await waitUntilTold(place, first, { status, remedy, deadlineMs: 300_000 });
    const touched = await endedSince(place, podsOf.nodes, lives);
    await trial.more(30);
    await write(original);
    await waitUntilContent(place);
    await trial.end((line) => t.diagnostic(`${touched} tried it; ${line}`));
    assert.deepEqual(await endedSince(place, podsOf.nodes, lives), touched);
    assert.equal(touched.length, 1);
  });

type Spec = KmsCluster["spec"];

/** Makes the document of the first site exactly this one. */
async function write(wanted: Spec): Promise<void> {
  await editDocument(place, first, (spec) => {
    for (const field of Object.keys(spec)) delete (spec as unknown as Record<string, unknown>)[field];
    Object.assign(spec, structuredClone(wanted));
  });
}

/** A copy with that value at that place, such as defaults.ntp.servers or sites.0.environment; what is above it is made. */
function withValue(spec: Spec, path: string, value: unknown): Spec {
  const copy = structuredClone(spec);
  const steps = path.split(".");
  let at = copy as unknown as Record<string, unknown>;
  for (const step of steps.slice(0, -1)) {
    at[step] ??= {};
    at = at[step] as Record<string, unknown>;
  }
  at[steps.at(-1) ?? ""] = value;
  return copy;
}
