import "./instance.ts";

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { waitForAllServing } from "../fleet/fleet.ts";
import { namespace } from "../fleet/places.ts";
import { readEverywhere } from "../fleet/read-back.ts";
import { startWriters } from "../fleet/writers.ts";
import { aRunningFleet, first, nodesOf, place, theFleet } from "./world.ts";

before(aRunningFleet);

const node = `${first}-a`;
const pod = { kind: "pod", name: `${node}-0` };
/** What is deleted, and whether the node's pod goes with it and has to be made again too, some time later. */
const objects = [
  { ...pod, takesPod: true },
  { kind: "service", name: `${node}-kmip`, takesPod: false },
  { kind: "service", name: `${node}-mesh`, takesPod: false },
  { kind: "statefulset", name: node, takesPod: true },
  { kind: "serviceaccount", name: node, takesPod: true },
];

for (const { kind, name, takesPod } of objects) {
  test(`the ${kind} ${name} is deleted: it is made again, and nobody who writes is harmed`, async (t) => {
    const { call, endpoints, nodes } = await theFleet();
    const writers = startWriters(place, {
      endpoints,
      call,
      name: `repair-${kind}-${Date.now()}`,
      startAt: [node],
      tries: 3,
    });
    t.after(() => writers.stop());
    await writers.more(10);
    const again = [{ kind, name }, ...(takesPod ? [pod] : [])];
    const uids = () => Promise.all(again.map((object) => uidOf(object.kind, object.name)));
    const before = new Set(["", ...(await uids())]);
    await place.sites.kubectl(first, ["-n", namespace, "delete", kind, name, "--wait=false"]);
    const made = (seen: string[]) => seen.every((uid) => !before.has(uid));
    await until(uids, made, { what: `${kind} ${name} is made again`, deadlineMs: 120_000 });
    await waitForAllServing(place, { deadlineMs: 120_000 });
    await writers.more(10);
    assert.deepEqual(writers.failures(), [], "a request is answered at one of three endpoints");
    const keys = await writers.stop();
    assert.ok(keys.length >= 20);
    await readEverywhere(place, call, { keys, nodes: nodesOf(await theFleet(), first) });
    assert.equal((await theFleet()).nodes.length, nodes.length);
  });
}

async function uidOf(kind: string, name: string): Promise<string> {
  const words = ["-n", namespace, "get", kind, name, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}"];
  return (await place.sites.kubectl(first, words)).stdout;
}
