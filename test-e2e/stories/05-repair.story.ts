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
const objects = [
  { kind: "pod", name: `${node}-0` },
  { kind: "service", name: `${node}-kmip` },
  { kind: "service", name: `${node}-mesh` },
  { kind: "statefulset", name: node },
];

for (const { kind, name } of objects) {
  test(`the ${kind} ${name} is deleted: it is made again, and nobody who writes is harmed`, async (t) => {
    const { call, endpoints, nodes } = await theFleet();
    const writers = startWriters(place, { endpoints, call, name: `repair-${kind}-${Date.now()}`, startAt: [node] });
    t.after(() => writers.stop());
    await writers.more(10);
    const before = await uidOf(kind, name);
    await place.sites.kubectl(first, ["-n", namespace, "delete", kind, name, "--wait=false"]);
    const uid = () => uidOf(kind, name);
    const again = (seen: string) => seen !== "" && seen !== before;
    await until(uid, again, { what: `${kind} ${name} is made again`, deadlineMs: 60_000 });
    await waitForAllServing(place, { deadlineMs: 120_000 });
    await writers.more(10);
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

test(`the service account of ${node} is deleted: it is made again, and the node gets a pod whose token is good`, async () => {
  const before = { account: await uidOf("serviceaccount", node), pod: await uidOf("pod", `${node}-0`) };
  await place.sites.kubectl(first, ["-n", namespace, "delete", "serviceaccount", node]);
  const look = async () => ({ account: await uidOf("serviceaccount", node), pod: await uidOf("pod", `${node}-0`) });
  const again = (seen: typeof before) =>
    ["", before.account].every((old) => seen.account !== old) && ["", before.pod].every((old) => seen.pod !== old);
  await until(look, again, { what: "account and pod are made again", deadlineMs: 120_000 });
  await waitForAllServing(place, { deadlineMs: 120_000 });
});
