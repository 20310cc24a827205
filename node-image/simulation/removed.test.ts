import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

test("a node that was removed acknowledges nothing any more, also to who has not heard that it was", async () => {
  const mesh = new SimulatedMesh(1, "EverySite");
  const nodes = mesh.begin(["dc1-a", "dc2-a", "dc3-a"]);
  const [writer, , removed] = nodes as [SimulatedNode, SimulatedNode, SimulatedNode];
  const write = async (count: number) => {
    for (let written = 0; written < count; written += 1) {
      void mesh.write(writer, [mesh.newObject()]);
      await mesh.time.runUntil(mesh.time.nowMs + 500);
    }
  };
  const outOfStep = () => (writer.exchange?.status().sites ?? []).filter(({ inStep }) => !inStep);
  await write(10);
  assert.deepEqual(outOfStep(), []);
  mesh.deaf.add(writer.site);
  mesh.list(removed.name, { standing: "Fenced" });
  await write(10);
  assert.deepEqual(
    outOfStep().map(({ site }) => site),
    [removed.site],
    "nobody counts on it",
  );
  for (const node of nodes) node.crash();
});
