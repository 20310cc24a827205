import assert from "node:assert/strict";
import { test } from "node:test";
import { patienceMs } from "../replication/patience.ts";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

/** Below the silence at which a connection is given up. */
const trickleMs = 2_000;
const objectsMin = 200;

/** Two nodes with objects, of which the first trickles its snapshot, and a joiner that has begun to take it from there. */
async function aJoiner() {
  const mesh = new SimulatedMesh(1, "Local");
  const [slow, quick] = mesh.begin(["dc1-a", "dc2-a"]) as [SimulatedNode, SimulatedNode];
  const run = (ms: number, done?: () => boolean) => mesh.time.runUntil(mesh.time.nowMs + ms, done);
  await run(2_000);
  while (slow.disk.objects.size < objectsMin) {
    void mesh.write(slow, [mesh.newObject()]);
    await run(20);
  }
  await run(5_000);
  slow.trickleMs = trickleMs;
  const joiner = mesh.add("dc3-a");
  const heal = mesh.cut([`${quick.name} ${joiner.name}`, `${joiner.name} ${quick.name}`]);
  mesh.tell([...mesh.members, { ...joiner.member, standing: "Joining" }]);
  joiner.start(mesh.members);
  await run(20_000, () => (joiner.disk.importing?.after ?? "0") > "1");
  assert.equal(joiner.disk.importing?.identity, slow.identity);
  const hasAll = () => joiner.disk.importing === undefined && joiner.disk.objects.size === slow.disk.objects.size;
  const end = () => {
    for (const node of mesh.nodes.values()) node.crash();
  };
  return { slow, run, heal, hasAll, end };
}

test("a peer that trickles its snapshot holds a joiner for a minute, then another's is taken", async () => {
  const { run, heal, hasAll, end } = await aJoiner();
  heal();
  await run(patienceMs / 2, hasAll);
  assert.equal(hasAll(), false, "one that is slow for a while is waited for");
  await run(patienceMs, hasAll);
  assert.ok(hasAll());
  end();
});

test("where nobody else is there, one that is slow is waited for to the end", async () => {
  const { run, hasAll, end } = await aJoiner();
  await run(30 * patienceMs, hasAll);
  assert.ok(hasAll());
  end();
});
