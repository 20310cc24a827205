import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

const yearMs = 365 * 86_400_000;

/** Three nodes of one site each that hold an object, the first with a clock that is to be wrong. */
async function threeNodes() {
  const mesh = new SimulatedMesh(1, "Local");
  const nodes = mesh.begin(["dc1-a", "dc2-a", "dc3-a"]) as readonly [SimulatedNode, SimulatedNode, SimulatedNode];
  const [object] = [mesh.newObject()];
  const run = (ms: number) => mesh.time.runUntil(mesh.time.nowMs + ms);
  const note = async (node: SimulatedNode, text: string) => {
    const written = node.store?.write([{ kind: "change", id: object, facts: 0, attributes: { "x-note": [text] } }]);
    await run(2_000);
    await written;
  };
  const notes = () => nodes.map(({ disk }) => disk.objects.get(object)?.attributes.get("x-note")?.value);
  const end = () => {
    for (const each of nodes) each.crash();
  };
  await run(3_000);
  return { mesh, nodes, run, note, notes, end };
}

for (const [sentence, offMs] of [
  ["ten years ahead", 10 * yearMs],
  ["two days ahead", 2 * 86_400_000],
  ["two years behind", -2 * yearMs],
] as const) {
  test(`what a node writes whose clock is set ${sentence} reaches all, and what is written after it wins`, async () => {
    const { nodes, note, notes, end } = await threeNodes();
    const [wrong, other] = nodes;
    wrong.clockOffMs = offMs;
    await note(wrong, "of the wrong clock");
    assert.deepEqual(notes(), Array(3).fill(["of the wrong clock"]));
    await note(other, "later");
    assert.deepEqual(notes(), Array(3).fill(["later"]));
    await note(wrong, "last");
    wrong.clockOffMs = 0;
    assert.deepEqual(notes(), Array(3).fill(["last"]));
    end();
  });
}

test("so does what it writes after a start with such a clock at which it hears nobody", async () => {
  const { mesh, nodes, run, note, notes, end } = await threeNodes();
  const [wrong, other] = nodes;
  await note(other, "before");
  const heal = mesh.cut(mesh.around([wrong]));
  for (const text of ["alone", "alone again"]) {
    wrong.crash();
    wrong.clockOffMs = 10 * yearMs;
    wrong.start(mesh.members);
    await note(wrong, text);
  }
  wrong.clockOffMs = 0;
  heal();
  await run(5_000);
  assert.deepEqual(notes(), Array(3).fill(["alone again"]));
  end();
});
