import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

/** Longer than logs are kept for nobody's sake, and shorter than a member is waited for: see `limits` in node.ts. */
const awayMs = 3_000;

test("logs are kept for a member that is away, which needs no snapshot when it is back", async () => {
  const mesh = new SimulatedMesh(1, "Local");
  const nodes = ["dc1-a", "dc2-a", "dc3-a"].map((name) => mesh.add(name));
  const [writer, , away] = nodes as [SimulatedNode, SimulatedNode, SimulatedNode];
  mesh.members = nodes.map(({ member }) => member);
  for (const node of nodes) node.start(mesh.members);
  const write = async (count: number, overMs: number) => {
    for (let written = 0; written < count; written += 1) {
      void mesh.write(writer, [mesh.newObject()]);
      await mesh.time.runUntil(mesh.time.nowMs + overMs / count);
    }
  };
  await write(10, 5_000);
  const heal = mesh.cut(mesh.around([away]));
  await write(30, awayMs);
  heal();
  await write(10, 10_000);
  const { incarnation } = writer.disk;
  assert.equal(away.disk.position(incarnation), writer.disk.position(incarnation));
  assert.equal(away.snapshots, 0, "no snapshot was taken");
  assert.ok(writer.disk.bases.has(incarnation), "what all hold is pruned");
  for (const node of nodes) node.crash();
});
