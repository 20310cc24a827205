import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fact } from "../objects/types.ts";
import { audit } from "../store/audit.ts";
import { close, connect, localConnection } from "../store/connection.ts";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate, type MeshFleet, type MeshNode, meshFleet, until } from "../testing/mesh.ts";
import { seeded } from "../testing/random.ts";
import type { MeshMember, Replication, ReplicationLimits } from "./types.ts";

const keyring = testKeyring();
// Logs are pruned as soon as all members hold them, whatever their clocks say.
const limits: Partial<ReplicationLimits> = { keepMs: -1_000, pruneEveryMs: 50, emptyTakesFrom: 100 };
let fleet: MeshFleet;
let nodes: [MeshNode, MeshNode, MeshNode];
let exchanges: readonly Replication[];

before(async () => {
  fleet = await meshFleet(["dc1", "dc2", "dc3"], keyring);
  nodes = await Promise.all([fleet.start("dc1-a", "dc1"), fleet.start("dc2-a", "dc2"), fleet.start("dc3-a", "dc3")]);
});
after(() => fleet?.stop());

/** All these nodes with this list of members; the third as it is told. */
async function together(some: readonly MeshNode[], third: Partial<MeshMember> = {}): Promise<void> {
  const members = nodes.map(({ member }) => (member.name === "dc3-a" ? { ...member, ...third } : member));
  exchanges = await Promise.all(some.map((node) => node.join(members, { limits })));
}

async function write(node: MeshNode, count: number): Promise<readonly string[]> {
  const creates = Array.from({ length: count }, (_, index) => aCreate(`key ${index}`));
  for (let at = 0; at < count; at += 500) await node.store.write(creates.slice(at, at + 500));
  return creates.map(({ id }) => id);
}

const logLength = async ({ store }: MeshNode) =>
  Number((await store.query("select count(*) as n from keyfleet.ops"))[0]?.n);
const pruned = (nodes: readonly MeshNode[]) =>
  until("the logs are pruned", async () => (await Promise.all(nodes.map(logLength))).every((length) => length === 0));
const vectorOf = ({ store }: MeshNode) => JSON.stringify([...store.vector()].sort());
const sameVectors = (nodes: readonly MeshNode[]) =>
  until("all hold the same", () => new Set(nodes.map(vectorOf)).size === 1, 20_000);

async function equal(nodes: readonly MeshNode[]): Promise<void> {
  await sameVectors(nodes);
  const rows = await Promise.all(nodes.map(({ store }) => store.query("select * from keyfleet.objects order by id")));
  for (const other of rows) assert.deepEqual(other, rows[0]);
  for (const { store, postgres } of nodes) {
    const place = { socketDirectory: postgres.socketDirectory, port: postgres.port, database: "keyfleet" };
    const client = await connect(localConnection(place), () => undefined);
    const found = await audit(client, keyring);
    close(client);
    assert.deepEqual([found.findings, found.whole, store.status().damage], [[], true, undefined]);
  }
}

test("what all members hold leaves their logs, and with it destroyed material; nothing while one was never heard", async () => {
  const [first, second] = nodes;
  // There is no third one yet that could be reached.
  await together([first, second], { meshPort: 1 });
  const [id = ""] = await write(first, 10);
  await second.store.write([{ kind: "change", id, facts: fact.destroyed, attributes: {} }]);
  await sameVectors([first, second]);
  await delay(300);
  assert.deepEqual([await logLength(first), await logLength(second)], [11, 11]);
  const without = [first.member, second.member];
  await Promise.all([first.join(without), second.join(without)]);
  await pruned([first, second]);
  await equal([first, second]);
  for (const { store } of [first, second]) assert.equal((await store.object(id))?.sealed, undefined);
  await write(second, 10);
  await pruned([first, second]);
  await equal([first, second]);
});

test("a joiner takes a snapshot under load and through kill -9, serves nothing before, and equals the members in the end", async () => {
  const [first, second, third] = nodes;
  const ids = await write(first, 4_000);
  await pruned([first, second]);
  let stop = false;
  const random = seeded(1);
  const writers = [first, second].map(async ({ store }) => {
    for (; !stop; await delay(5)) {
      const id = ids[random(ids.length)] ?? "";
      await store.write([aCreate(), { kind: "change", id, facts: 1, attributes: { "x-note": [random(1_000_000)] } }]);
    }
  });
  await together(nodes, { standing: "Joining" });
  const after = () => third.store.intake.importing?.after ?? "";
  await until("some objects are in", () => after() > "1", 20_000);
  assert.equal(exchanges[2]?.caughtUp(), false);
  await assert.rejects(third.store.object(ids[0] ?? ""), { code: "unavailable" });
  await assert.rejects(third.store.write([aCreate()]), { code: "unavailable" });
  const begunWith = third.store.intake.importing?.identity;
  await third.postgres.kill();
  await third.postgres.start();
  await until("it is connected", () => third.store.status().available);
  // Pages do not wait for the disk one by one, so the last ones may have to come again.
  assert.equal(third.store.intake.importing?.identity, begunWith, "it goes on with the peer that it began with");
  await until("the snapshot is in", () => third.store.intake.importing === undefined, 30_000);
  assert.ok((await logLength(first)) > 0, "the log is kept while somebody joins");
  stop = true;
  await Promise.all(writers);
  await equal(nodes);
  await until("the joiner knows", () => exchanges[2]?.caughtUp() === true);
  // A member from now on, it writes and is written to, and logs are pruned again.
  await together(nodes);
  await write(third, 10);
  await pruned(nodes);
  await equal(nodes);
});

test("a member that was away longer than the logs were kept comes back by a snapshot and loses none of its own writes", async () => {
  const [first, second, third] = nodes;
  const own = await write(third, 20);
  await sameVectors(nodes);
  await third.postgres.kill();
  await until(
    "it is missed",
    () => exchanges[0]?.status().peers.every(({ name, connected }) => name === "dc3-a" || connected) === true,
  );
  const ids = await write(first, 300);
  await first.store.write([{ kind: "change", id: ids[0] ?? "", facts: fact.destroyed, attributes: {} }]);
  await delay(300);
  assert.ok((await logLength(first)) >= 301, "the logs are kept for it");
  for (const { store } of [first, second])
    await store.query("update keyfleet.members set heard = heard - interval '8 days' where identity like 'CN=dc3-a,%'");
  await until("it is away", () => exchanges.slice(0, 2).every((one) => one.status().away.includes("dc3-a")));
  await pruned([first, second]);
  await third.postgres.start();
  const isBack = () => third.store.intake.importing === undefined && vectorOf(third) === vectorOf(first);
  await until("its gap is closed", isBack, 30_000);
  await until("it is no longer away", () => exchanges[0]?.status().away.length === 0);
  assert.equal((await third.store.objects(own)).length, own.length);
  await write(third, 10);
  await equal(nodes);
});
