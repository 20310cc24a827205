import "../stories/instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { editDocument } from "../fleet/document.ts";
import { nodesAt, waitForAllServing } from "../fleet/fleet.ts";
import { pinSecret } from "../fleet/install.ts";
import { namespace } from "../fleet/places.ts";
import { waitUntilTold } from "../fleet/say.ts";
import { aSmallFleet, first, last, place } from "../stories/world.ts";

const removed = `${last}-a`;
const claim = `data-${removed}-0`;
const secret = `${last}-hsm-pin`;
let pin = "";

before(async () => {
  await aSmallFleet();
  pin = Buffer.from((await kubectl("get", "secret", secret, "-o", "jsonpath={.data.pin}")).trim(), "base64").toString();
});
// A fleet of other nodes than a story expects: the next one makes its own.
after(() => place.sites.down());

test("a node is removed: its volume stays for the time that was asked for, with a mark of how its key is destroyed", async () => {
  await editDocument(place, first, (spec) => {
    spec.defaults = { ...spec.defaults, storage: { ...spec.defaults?.storage, retainAfterRemoval: "1m" } };
  });
  const told = async () => (await nodesAt(place, last))[0]?.spec.settings.storage?.retainAfterRemoval;
  await until(told, (time) => time === "1m", { what: `${removed} is told the time`, deadlineMs: 120_000 });
  await editDocument(place, first, ({ sites }) => {
    for (const site of sites) site.nodes = site.nodes.filter(({ name }) => name !== removed);
  });
  const gone = async () => (await nodesAt(place, last)).length === 0;
  await until(gone, Boolean, { what: `${removed} has departed`, deadlineMs: 300_000 });
  const marks = JSON.parse(await kubectl("get", "pvc", claim, "-o", "jsonpath={.metadata.annotations}"));
  assert.ok(Date.parse(marks["keyfleet.io/kept-until"]) > 0, "kept until a time");
  assert.ok(!marks["keyfleet.io/erase"].includes(pin), "the mark tells no PIN");
});

test("while the HSM cannot be opened the volume stays, and its site says so and what to do", async () => {
  await kubectl("delete", "secret", secret);
  await waitUntilTold(place, last, {
    status: new RegExp(
      `the key of ${removed}, which was removed, is not destroyed in its HSM yet, so its volume stays`,
    ),
    remedy: new RegExp(`kubectl describe pod ${removed}-erase`),
    deadlineMs: 300_000,
  });
  assert.match(await kubectl("get", "pvc", claim, "-o", "jsonpath={.status.phase}"), /Bound/);
});

test("with the PIN there again the key is destroyed, then the volume, and nothing of the node is left", async (t) => {
  await place.sites.kubectl(last, ["create", "-f", "-"], pinSecret(secret, pin));
  const left = () =>
    kubectl("get", "pods,pvc,secrets,services,statefulsets", "-l", `keyfleet.io/node=${removed}`, "-o", "name");
  await until(left, (names) => names.trim() === "", { what: "nothing of it is left", deadlineMs: 300_000 });
  const events = await kubectl("get", "events", "-o", "jsonpath={range .items[*]}{.message}{'\\n'}{end}");
  const said = events.split("\n").filter((line) => line.includes("key in the HSM is destroyed"));
  t.diagnostic(said.join("; "));
  assert.ok(said.length > 0, "an event tells that the key was destroyed");
  await waitForAllServing(place, { deadlineMs: 120_000 });
});

async function kubectl(...words: string[]): Promise<string> {
  return (await place.sites.kubectl(last, ["-n", namespace, ...words])).stdout;
}
