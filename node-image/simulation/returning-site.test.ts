import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

// What it takes is rare in schedules: a site that was away holds more of the log, and the name has come back meanwhile.
test("the end of a departed log rises to what a returning site holds, although the name is another's by then", async () => {
  const mesh = new SimulatedMesh(1, "EverySite");
  const { time } = mesh;
  const nodes = mesh.begin(["dc1-a", "dc2-a", "dc3-a", "dc3-b"]);
  const [near, away, , dies] = nodes as [SimulatedNode, SimulatedNode, SimulatedNode, SimulatedNode];
  const run = (ms: number) => time.runUntil(time.nowMs + ms);
  await run(2_000);
  const objects = [mesh.newObject()];
  const { incarnation } = dies.disk;
  void mesh.write(dies, objects);
  await run(1_000);
  // Its last write comes to the site alone that is away from then on.
  const heal = mesh.cut(mesh.around([away, dies]));
  mesh.deaf.add(away.site);
  void mesh.write(dies, objects);
  await run(3_000);
  assert.deepEqual([near.disk.position(incarnation), away.disk.position(incarnation)], [1, 2]);
  assert.equal(mesh.acknowledged.length, 2);
  mesh.list(dies.name, { standing: "Fenced", incarnation });
  await run(500);
  dies.crash();
  mesh.nodes.delete(dies.name);
  mesh.lose(dies.name);
  mesh.list(dies.name, { standing: "Departed", lastSequence: 1 });
  await run(500);
  const again = mesh.add(dies.name);
  mesh.tell([...mesh.members.filter(({ name }) => name !== again.name), again.member]);
  again.start(mesh.members);
  await run(2_000);
  mesh.deaf.delete(away.site);
  heal();
  mesh.tell(mesh.members);
  await run(10_000);
  for (const { name, disk } of mesh.nodes.values())
    assert.equal(disk.position(incarnation), 2, `${name} holds what was acknowledged`);
  for (const node of mesh.nodes.values()) node.crash();
});
