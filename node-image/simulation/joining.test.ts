import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

const pauseMaxMs = 300;
const lateMs = 1_500;

/** Two sites that go on writing while a node of a third joins by a snapshot and is a member as soon as it has caught up. */
async function join(
  seed: number,
): Promise<{ readonly mesh: SimulatedMesh; readonly joiner: SimulatedNode; readonly before: readonly number[] }> {
  const mesh = new SimulatedMesh(seed, "EverySite");
  const nodes = mesh.begin(["dc1-a", "dc2-a"]);
  const objects = [mesh.newObject()];
  const run = (ms: number) => mesh.time.runUntil(mesh.time.nowMs + ms);
  const writing = async (ms: number, done = () => false) => {
    for (const untilMs = mesh.time.nowMs + ms; mesh.time.nowMs < untilMs && !done(); await run(10))
      for (const node of nodes) void mesh.write(node, objects);
  };
  await run(2_000);
  // Not so long that logs are pruned: then nobody could be tempted to pull them.
  await writing(1_000);
  const joiner = mesh.add("dc3-a");
  const members = (standing: "Joining" | "Member") => [
    ...nodes.map(({ member }) => member),
    { ...joiner.member, standing },
  ];
  mesh.tell(members("Joining"));
  joiner.start(mesh.members);
  // Of one peer nobody knows whether its clock is right: the snapshot waits for the other one, and both go on writing.
  const heal = mesh.cut(["dc2-a dc3-a", "dc3-a dc2-a"]);
  mesh.time.after(lateMs, heal);
  const before: number[] = [];
  await writing(20_000, () => {
    if (joiner.snapshots === 0 && joiner.store?.intake.importing === undefined)
      before.push(joiner.store?.vector().size ?? 0);
    return joiner.exchange?.caughtUp() === true;
  });
  mesh.tell(members("Member"));
  await writing(3_000);
  return { mesh, joiner, before };
}

test("a joiner takes a snapshot though members write before it has heard of both, and no write waits long for one that says it has caught up", async (t) => {
  for (let seed = 1; seed <= 5; seed += 1) {
    const { mesh, joiner, before } = await join(seed);
    assert.equal(joiner.snapshots, 1, "it joined by a snapshot");
    assert.ok(before.length > 0 && before.every((logs) => logs === 0), "it took nothing in by the logs before that");
    const longestMs = Math.max(...mesh.acknowledged.map(({ tookMs }) => tookMs));
    t.diagnostic(`seed ${seed}: ${mesh.acknowledged.length} writes, longest ${longestMs.toFixed(0)} ms`);
    assert.ok(longestMs < pauseMaxMs, `seed ${seed}: a write took ${longestMs} ms`);
    for (const node of mesh.nodes.values()) node.crash();
  }
});
