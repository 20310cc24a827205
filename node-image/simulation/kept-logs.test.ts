import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

/** Longer than logs are kept for nobody's sake, and shorter than a member is waited for: see `limits` in node.ts. */
const shortlyMs = 3_000;
/** Longer than a member is waited for. */
const tooLongMs = 12_000;

/** Three nodes in three sites; the last is the one that goes away. */
function aMesh() {
  const mesh = new SimulatedMesh(1, "Local");
  const nodes = mesh.begin(["dc1-a", "dc2-a", "dc3-a"]);
  const [writer, other, away] = nodes as [SimulatedNode, SimulatedNode, SimulatedNode];
  const write = async (node: SimulatedNode, count: number, overMs: number) => {
    for (let written = 0; written < count; written += 1) {
      void mesh.write(node, [mesh.newObject()]);
      await mesh.time.runUntil(mesh.time.nowMs + overMs / count);
    }
  };
  /** It is cut off for so long, while the writer goes on. */
  const goAway = async (forMs: number) => {
    await write(writer, 10, 5_000);
    const heal = mesh.cut(mesh.around([away]));
    await write(writer, 30, forMs);
    heal();
  };
  const end = () => {
    for (const node of nodes) node.crash();
  };
  return { writer, other, away, write, goAway, end };
}

test("logs are kept for a member that is away, which needs no snapshot when it is back", async () => {
  const { writer, away, write, goAway, end } = aMesh();
  await goAway(shortlyMs);
  await write(writer, 10, 10_000);
  const { incarnation } = writer.disk;
  assert.equal(away.disk.position(incarnation), writer.disk.position(incarnation));
  assert.equal(away.snapshots, 0, "no snapshot was taken");
  assert.ok(writer.disk.bases.has(incarnation), "what all hold is pruned");
  end();
});

test("a member that was given up takes a snapshot although it writes all the time, so that no peer holds all that it does", async () => {
  const { writer, away, write, goAway, end } = aMesh();
  await goAway(tooLongMs);
  await write(away, 700, 7_000);
  const { incarnation } = writer.disk;
  assert.equal(away.disk.position(incarnation), writer.disk.position(incarnation), "it holds what was pruned");
  assert.ok(away.snapshots > 0, "by a snapshot");
  end();
});

test("a peer that says to have what it has pruned, and gives nothing, keeps nobody from another's snapshot", async () => {
  const { writer, other, away, write, goAway, end } = aMesh();
  other.lie = { of: "vector", tell: (truth) => truth.map((row) => ({ ...row, base: "0" })) };
  await goAway(tooLongMs);
  await write(writer, 10, 15_000);
  const { incarnation } = writer.disk;
  assert.ok((writer.disk.bases.get(incarnation)?.seq ?? 0) > 0, "the log that it lacks is pruned");
  assert.equal(away.disk.position(incarnation), writer.disk.position(incarnation));
  assert.equal(away.snapshots, 1);
  end();
});
