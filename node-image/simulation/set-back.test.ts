import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedMesh } from "./mesh.ts";

const names = ["dc1-a", "dc2-a", "dc3-a"];

// Found as seed 6509: between the database of a member and its key server.
test("a node that was set back writes under no sequence that a stopped key server has yet to take in", async () => {
  const mesh = new SimulatedMesh(1, "EverySite");
  const { time } = mesh;
  const nodes = mesh.begin(names);
  const [setBack, stopped, cutOff] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]];
  const objects = [mesh.newObject()];
  const run = (ms: number) => time.runUntil(time.nowMs + ms);
  await run(2_000);
  void mesh.write(setBack, objects);
  await run(1_000);
  const image = setBack.disk.copy();
  const { incarnation } = image;
  // What it writes now comes to the one member's key server, which is stopped, and to the other not at all.
  stopped.pause(6_000);
  const heal = mesh.cut(mesh.around([cutOff]));
  void mesh.write(setBack, objects);
  await run(100);
  setBack.crash();
  setBack.setBack(image);
  setBack.start(mesh.members);
  heal();
  assert.deepEqual(
    [stopped, cutOff].map(({ disk }) => disk.position(incarnation)),
    [1, 1],
    "their databases hold no more than the image",
  );
  for (let left = 4_000; left > 0; left -= 100) {
    void mesh.write(setBack, objects);
    await run(100);
  }
  await run(10_000);
  assert.equal(mesh.versions(incarnation, 2).length, 1, "what was written as the second operation");
  assert.notEqual(setBack.disk.incarnation, incarnation);
  for (const { disk } of nodes) assert.equal(disk.position(incarnation), 2, "what was in flight has come to all");
  const vectors = nodes.map(({ disk }) => JSON.stringify([...disk.vector()].sort()));
  assert.equal(new Set(vectors).size, 1, vectors.join());
  for (const node of nodes) node.crash();
});

for (const hears of ["nobody", "all members"]) {
  test(`a node that was set back and hears ${hears} writes under a log of a new name`, async () => {
    const mesh = new SimulatedMesh(1, "EverySite");
    const { time } = mesh;
    const nodes = mesh.begin(names);
    const [setBack] = nodes as [(typeof nodes)[0]];
    const run = (ms: number) => time.runUntil(time.nowMs + ms);
    const write = async () => {
      void mesh.write(setBack, [mesh.newObject()]);
      await run(2_000);
    };
    await run(2_000);
    await write();
    const image = setBack.disk.copy();
    const { incarnation } = image;
    await write();
    setBack.crash();
    setBack.setBack(image);
    const heal = mesh.cut(hears === "nobody" ? mesh.around([setBack]) : []);
    setBack.start(mesh.members);
    for (let count = 0; count < 5; count += 1) await write();
    assert.equal(mesh.versions(incarnation, 2).length, 1, `written as the second operation, hearing ${hears}`);
    assert.ok(setBack.disk.position(setBack.disk.incarnation) > 0, "and it writes");
    heal();
    await run(10_000);
    for (const { disk } of nodes) assert.equal(disk.position(incarnation), 2, "what it had lost has come back");
    for (const node of nodes) node.crash();
  });
}
