import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

const pauseMaxMs = 300;

/** Two sites that go on writing while a node of a third joins by a snapshot and is a member as soon as it has caught up. */
async function join(seed: number): Promise<{ readonly mesh: SimulatedMesh; readonly joiner: SimulatedNode }> {
  const mesh = new SimulatedMesh(seed, "EverySite");
  const nodes = mesh.begin(["dc1-a", "dc2-a"]);
  const objects = [mesh.newObject()];
  const run = (ms: number) => mesh.time.runUntil(mesh.time.nowMs + ms);
  const writing = async (ms: number, done = () => false) => {
    for (const untilMs = mesh.time.nowMs + ms; mesh.time.nowMs < untilMs && !done(); await run(10))
      for (const node of nodes) void mesh.write(node, objects);
  };
  await run(2_000);
  await writing(2_000);
  const joiner = mesh.add("dc3-a");
  const members = (standing: "Joining" | "Member") => [
    ...nodes.map(({ member }) => member),
    { ...joiner.member, standing },
  ];
  mesh.tell(members("Joining"));
  joiner.start(mesh.members);
  await writing(20_000, () => joiner.exchange?.caughtUp() === true);
  mesh.tell(members("Member"));
  await writing(3_000);
  return { mesh, joiner };
}

test("no write waits long for a joiner that says it has caught up", async (t) => {
  for (let seed = 1; seed <= 5; seed += 1) {
    const { mesh, joiner } = await join(seed);
    assert.equal(joiner.snapshots, 1, "it joined by a snapshot");
    const longestMs = Math.max(...mesh.acknowledged.map(({ tookMs }) => tookMs));
    t.diagnostic(`seed ${seed}: ${mesh.acknowledged.length} writes, longest ${longestMs.toFixed(0)} ms`);
    assert.ok(longestMs < pauseMaxMs, `seed ${seed}: a write took ${longestMs} ms`);
    for (const node of mesh.nodes.values()) node.crash();
  }
});
