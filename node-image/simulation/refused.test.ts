import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

test("a log that one peer gave wrong and another one right is not told of for ever, and the links rest again", async () => {
  const mesh = new SimulatedMesh(1, "Local");
  const [first, second, third] = mesh.begin(["dc1-a", "dc2-a", "dc3-a"]) as [
    SimulatedNode,
    SimulatedNode,
    SimulatedNode,
  ];
  const run = (ms: number) => mesh.time.runUntil(mesh.time.nowMs + ms);
  await run(5_000);
  const refused = () => second.exchange?.status().peers.find(({ name }) => name === third.name)?.refusedOrigins;
  // The third is the only way from the first to the second, and gives other operations than the first has made.
  const heal = mesh.cut([`${first.name} ${second.name}`, `${second.name} ${first.name}`]);
  const changed = (text: string) => JSON.stringify(JSON.parse(text).with(5, "e30="));
  third.lie = { of: "pull", tell: (rows) => rows.map(({ p }) => ({ p: changed(p as string) })) };
  void mesh.write(first, [mesh.newObject()]);
  await run(10_000);
  assert.deepEqual(refused(), { [first.disk.incarnation]: "badMac" });
  heal();
  await run(30_000);
  const { incarnation } = first.disk;
  assert.equal(second.disk.position(incarnation), first.disk.position(incarnation));
  assert.deepEqual(refused(), {});
  let asked = 0;
  const answer = third.answer.bind(third);
  third.answer = (...question) => {
    asked += 1;
    return answer(...question);
  };
  await run(60_000);
  // Its two peers look at it by turns with the other.
  assert.ok(asked <= 35, `it is asked ${asked} times in a minute`);
  for (const node of [first, second, third]) node.crash();
});
