import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedMesh } from "./mesh.ts";
import type { SimulatedNode } from "./node.ts";

// Logs that already run far ahead of every clock, by software that stamped with any: nobody can take that back.
const yearMs = 365 * 86_400_000;
const aheadMs = 10 * yearMs;

function aMesh(names: readonly string[], seed = 1) {
  const mesh = new SimulatedMesh(seed, "Local");
  const nodes = names.map((name) => mesh.add(name));
  mesh.members = nodes.map(({ member }) => member);
  const run = (ms: number) => mesh.time.runUntil(mesh.time.nowMs + ms);
  const object = mesh.newObject();
  /** Writes and waits until all could have it. */
  const note = async (node: SimulatedNode, text: string) => {
    const written = node.store?.write([{ kind: "change", id: object, facts: 0, attributes: { "x-note": [text] } }]);
    await run(3_000);
    await written;
  };
  const join = async (name: string) => {
    const joiner = mesh.add(name);
    mesh.tell([...mesh.members, { ...joiner.member, standing: "Joining" }]);
    joiner.start(mesh.members);
    await run(15_000);
    mesh.list(name, { standing: "Member" });
    await run(1_000);
    return joiner;
  };
  const noteOf = ({ disk }: SimulatedNode) => disk.objects.get(object)?.attributes.get("x-note")?.value?.[0];
  const end = () => {
    for (const node of mesh.nodes.values()) node.crash();
  };
  return { mesh, nodes, run, note, join, noteOf, end };
}

/** Its clock is set right, which a process notices at its next start at the latest. */
function mend(mesh: SimulatedMesh, node: SimulatedNode): void {
  node.crash();
  node.clockOffMs = 0;
  node.start(mesh.members);
}

const stampedMs = ({ disk }: SimulatedNode) => Number((disk.head(disk.incarnation)?.hlc ?? 0n) >> 16n);

test("a fleet all of whose logs run ahead goes on, what is written last wins, and a new node joins it", async () => {
  const { mesh, nodes, run, note, join, noteOf, end } = aMesh(["dc1-a", "dc2-a", "dc3-a"]);
  for (const node of nodes) node.clockOffMs = aheadMs;
  for (const node of nodes) node.start(mesh.members);
  await run(3_000);
  for (const node of nodes) await note(node, `${node.name} with a wrong clock`);
  for (const node of nodes) mend(mesh, node);
  await run(3_000);
  for (const node of nodes) {
    await note(node, node.name);
    assert.deepEqual(nodes.map(noteOf), Array(3).fill(node.name));
  }
  const joiner = await join("dc1-b");
  await note(joiner, "of the new one");
  assert.deepEqual([...nodes, joiner].map(noteOf), Array(4).fill("of the new one"));
  end();
});

test("a fleet whose founder's log runs ahead takes others in, and goes on", async () => {
  const { mesh, nodes, run, note, join, noteOf, end } = aMesh(["dc1-a"]);
  const [founder] = nodes as [SimulatedNode];
  founder.clockOffMs = aheadMs;
  founder.start(mesh.members);
  await run(2_000);
  await note(founder, "of the founder");
  mend(mesh, founder);
  const others = [await join("dc2-a"), await join("dc3-a")];
  assert.deepEqual(others.map(noteOf), Array(2).fill("of the founder"));
  for (const node of others) await note(node, node.name);
  assert.deepEqual([founder, ...others].map(noteOf), Array(3).fill("dc3-a"));
  end();
});

/** Of which peer a joiner hears first is chance. */
const seeds = Array.from({ length: 12 }, (_, at) => at + 1);
for (const seed of seeds)
  test(`one log that runs ahead is taken by nobody, stops nobody, and is not followed by who joins (seed ${seed})`, async () => {
    const { mesh, nodes, run, note, join, noteOf, end } = aMesh(["dc1-a", "dc2-a", "dc3-a"], seed);
    const [ahead, ...others] = nodes as [SimulatedNode, ...SimulatedNode[]];
    ahead.clockOffMs = aheadMs;
    const heal = mesh.cut(mesh.around([ahead]));
    for (const node of nodes) node.start(mesh.members);
    await run(3_000);
    await note(ahead, "ahead");
    for (const node of others) await note(node, node.name);
    mend(mesh, ahead);
    heal();
    await run(5_000);
    await note(ahead, "still ahead");
    for (const node of others) await note(node, `${node.name} later`);
    assert.deepEqual(nodes.map(noteOf), ["still ahead", "dc3-a later", "dc3-a later"]);
    const toldOf = ({ exchange }: SimulatedNode) =>
      exchange?.status().peers.find(({ name }) => name === ahead.name)?.ownLogRefused;
    assert.deepEqual(others.map(toldOf), Array(2).fill("clockTooFarAhead"));
    assert.deepEqual(ahead.exchange?.status().ownLogRefused, { reason: "clockTooFarAhead", held: 0 });
    for (const { exchange } of others) assert.equal(exchange?.status().ownLogRefused, undefined);
    // Also while it is asked for again whether its time has come, nobody waits for it.
    for (let looks = 0; looks < 100; looks += 1) {
      await run(333);
      assert.deepEqual(
        nodes.map(({ exchange }) => exchange?.caughtUp()),
        Array(3).fill(true),
      );
      assert.deepEqual(others.map(toldOf), Array(2).fill("clockTooFarAhead"));
    }
    for (const { disk } of others) assert.equal(ahead.disk.position(disk.incarnation), disk.position(disk.incarnation));
    const joiner = await join("dc1-b");
    await note(joiner, "of the new one");
    assert.deepEqual([...others, joiner].map(noteOf), Array(3).fill("of the new one"));
    for (const node of [...others, joiner]) assert.ok(stampedMs(node) < stampedMs(ahead) - aheadMs / 2, node.name);
    end();
  });
