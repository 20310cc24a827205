import assert from "node:assert/strict";
import { test } from "node:test";
import { silenceMaxMs } from "../replication/durability.ts";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

const names = ["dc1-a", "dc2-a", "dc3-a", "dc1-b", "dc2-b", "dc3-b"];
const toleranceMs = 1_500;

/** A fleet of six, one write old, in which nothing was written for half a minute. */
async function atRest() {
  const mesh = new SimulatedMesh(1, "EverySite");
  const nodes = mesh.begin(names);
  const run = (ms: number) => mesh.time.runUntil(mesh.time.nowMs + ms);
  await run(5_000);
  void mesh.write(node(nodes, "dc1-a"), [mesh.newObject()]);
  await run(30_000);
  assert.equal(mesh.acknowledged.length, 1);
  const end = () => {
    for (const each of nodes) each.crash();
  };
  return { mesh, nodes, run, end };
}

function node(nodes: readonly SimulatedNode[], name: string): SimulatedNode {
  return nodes.find((each) => each.name === name) as SimulatedNode;
}

function outOfStep(of: SimulatedNode): readonly string[] {
  return (of.exchange?.status().sites ?? []).filter(({ inStep }) => !inStep).map(({ site }) => site);
}

test("at rest each node asks one question in two seconds, however many peers it has", async () => {
  const { nodes, run, end } = await atRest();
  let asked = 0;
  for (const each of nodes) {
    const answer = each.answer.bind(each);
    each.answer = (...question) => {
      asked += 1;
      return answer(...question);
    };
  }
  await run(60_000);
  assert.ok(asked <= 30 * nodes.length && asked > 20 * nodes.length, `${asked} questions in a minute`);
  assert.deepEqual(nodes.flatMap(outOfStep), [], "and nobody is missed");
  end();
});

test("a site that goes dark at rest is told before anything is written, and costs no slow answer", async () => {
  const { mesh, nodes, run, end } = await atRest();
  mesh.cut(mesh.around(nodes.filter(({ site }) => site === "dc3")));
  await run(silenceMaxMs(nodes.length) + toleranceMs);
  for (const name of ["dc1-a", "dc2-b"]) {
    const { peers = [] } = node(nodes, name).exchange?.status() ?? {};
    const away = peers.filter(({ connected }) => !connected).map((peer) => peer.name);
    assert.deepEqual(away.sort(), ["dc3-a", "dc3-b"], `as ${name} sees it`);
    assert.deepEqual(outOfStep(node(nodes, name)), ["dc3"], `as ${name} sees it`);
  }
  void mesh.write(node(nodes, "dc1-a"), [mesh.newObject()]);
  await run(500);
  assert.equal(mesh.acknowledged.length, 2, "a write is answered at once");
  end();
});

test("a site that goes dark at rest costs the first writes a second, and no later one", async () => {
  const { mesh, nodes, run, end } = await atRest();
  mesh.cut(mesh.around(nodes.filter(({ site }) => site === "dc3")));
  for (let count = 0; count < 4; count += 1) {
    void mesh.write(node(nodes, "dc1-a"), [mesh.newObject()]);
    await run(2_000);
  }
  const tookMs = mesh.acknowledged.slice(1).map((write) => write.tookMs);
  assert.equal(tookMs.length, 4);
  assert.ok((tookMs[0] ?? 0) <= 1_200 && tookMs.slice(1).every((ms) => ms < 500), `answers took ${tookMs} ms`);
  end();
});

test("key servers that are stopped at rest, their machines running, are told", async () => {
  const { nodes, run, end } = await atRest();
  for (const each of nodes.filter(({ site }) => site === "dc3")) each.pause(60_000);
  await run(silenceMaxMs(nodes.length) + toleranceMs);
  assert.deepEqual(outOfStep(node(nodes, "dc1-a")), ["dc3"]);
  await run(70_000);
  assert.deepEqual(nodes.flatMap(outOfStep), [], "and that they are back");
  end();
});

test("what a peer was told of by nobody it finds at rest, from whomever it asks next", async () => {
  const { mesh, nodes, run, end } = await atRest();
  const [writer, deaf] = [node(nodes, "dc1-a"), node(nodes, "dc2-b")];
  // Its link to the writer stands, and nothing comes over it: no notification and no answer.
  const heal = mesh.cut([`${writer.name} ${deaf.name}`]);
  void mesh.write(writer, [mesh.newObject()]);
  await run(4_000);
  const { incarnation } = writer.disk;
  assert.equal(deaf.disk.position(incarnation), writer.disk.position(incarnation));
  heal();
  end();
});

test("the first write of a node that began a log of a new name is heard at rest, at once", async () => {
  const { mesh, nodes, run, end } = await atRest();
  const [away, writer] = [node(nodes, "dc3-b"), node(nodes, "dc1-a")];
  const former = writer.disk.incarnation;
  away.crash();
  writer.crash();
  writer.start(mesh.members);
  await run(30_000);
  void mesh.write(writer, [mesh.newObject()]);
  await run(500);
  const { incarnation } = writer.disk;
  assert.notEqual(incarnation, former, "a member that is away could not say how much it holds of the former one");
  const without = nodes.filter((each) => each !== away && each.disk.position(incarnation) !== 1);
  assert.deepEqual(
    without.map(({ name }) => name),
    [],
    "who does not hold it",
  );
  assert.equal(mesh.acknowledged.length, 2);
  end();
});
