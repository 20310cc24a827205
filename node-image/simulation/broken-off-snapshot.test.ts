import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

// Stories that schedules come to hardly ever.

/** Three nodes of one site each, and what a story does with them. */
async function threeNodes() {
  const mesh = new SimulatedMesh(1, "EverySite");
  const { time } = mesh;
  const [first, second, third] = ["dc1-a", "dc2-a", "dc3-a"].map((name) => mesh.add(name)) as [
    SimulatedNode,
    SimulatedNode,
    SimulatedNode,
  ];
  mesh.members = [first, second, third].map(({ member }) => member);
  for (const node of [first, second, third]) node.start(mesh.members);
  const objects = [mesh.newObject()];
  const run = (ms: number, done?: () => boolean) => time.runUntil(time.nowMs + ms, done);
  const write = async (node: SimulatedNode, count: number) => {
    for (let left = count; left > 0; left -= 1) {
      void mesh.write(node, objects);
      await run(50);
    }
  };
  await run(2_000);
  await write(first, 60);
  return { mesh, first, second, third, run, write };
}

const vectorOf = ({ disk }: SimulatedNode) => JSON.stringify([...disk.vector()].sort());
const base = ({ disk }: SimulatedNode, origin: string) => disk.bases.get(origin)?.seq ?? 0;

// Found as seed 4183.
test("a snapshot is begun anew when its peer has pruned the log behind what is taken of it", async () => {
  const { mesh, first, second, third, run, write } = await threeNodes();
  const late = mesh.add("dc3-b");
  mesh.tell([...mesh.members, late.member]);
  late.start(mesh.members);
  await run(5_000, () => late.disk.importing?.stage === "tail");
  const begun = late.disk.importing;
  assert.equal(begun?.stage, "tail", "it has the rows, and nothing of the log behind them");
  const heal = mesh.cut(mesh.around([late]));
  await write(first, 60);
  const { origin = "", seq = 0 } = begun.heads[0] ?? {};
  const isPruned = () => [first, second, third].every((node) => base(node, origin) > seq);
  await run(10_000, isPruned);
  assert.ok(isPruned(), "the others have given it up");
  heal();
  const isDone = () => late.disk.importing === undefined && vectorOf(late) === vectorOf(first);
  await run(10_000, isDone);
  assert.ok(isDone(), `it holds ${vectorOf(late)}, the others ${vectorOf(first)}`);
  for (const node of mesh.nodes.values()) node.crash();
});

// Found as seed 5597.
test("a snapshot that nobody is left to finish with is given up, and what was held before is served again", async () => {
  const { mesh, first, second, third, run, write } = await threeNodes();
  const heal = mesh.cut(mesh.around([third]));
  await write(third, 5);
  const held = vectorOf(third);
  await write(first, 60);
  const mine = third.disk.position(first.disk.incarnation);
  const isGivenUp = () => [first, second].every((node) => base(node, first.disk.incarnation) > mine);
  await run(10_000, isGivenUp);
  assert.ok(isGivenUp());
  heal();
  await run(10_000, () => third.disk.importing !== undefined);
  assert.ok(third.disk.importing !== undefined, "it cannot follow the logs any more");
  for (const node of [first, second]) node.crash();
  await run(20_000, () => third.disk.importing === undefined);
  assert.deepEqual([third.disk.importing, vectorOf(third)], [undefined, held]);
  assert.equal(third.exchange?.status().snapshot, undefined, "nothing keeps it from serving");
  const before = mesh.acknowledged.length;
  await write(third, 40);
  assert.ok(mesh.acknowledged.length > before, "it goes on alone");
  third.crash();
});
