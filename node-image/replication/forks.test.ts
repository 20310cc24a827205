import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { close, connect, localConnection } from "../store/connection.ts";
import { openStore } from "../store/store.ts";
import type { NodeStore } from "../store/types.ts";
import { testKeyring } from "../testing/keyring.ts";
import { aCreate, type MeshFleet, type MeshNode, meshFleet, until } from "../testing/mesh.ts";
import { startReplication } from "./replication.ts";
import type { MeshMember, Replication } from "./types.ts";

// Two members that stay, and one that is started from older copies of its disk.
let fleet: MeshFleet;
let nodes: [MeshNode, MeshNode, MeshNode];
let staying: readonly Replication[];
let life: { readonly store: NodeStore; readonly exchange: Replication | undefined };

before(async () => {
  fleet = await meshFleet(["dc1", "dc2", "dc3"], testKeyring());
  nodes = await Promise.all([fleet.start("dc1-a", "dc1"), fleet.start("dc2-a", "dc2"), fleet.start("dc3-a", "dc3")]);
  const members = nodes.map(({ member }) => member);
  staying = await Promise.all(nodes.slice(0, 2).map((node) => node.join(members)));
  life = { store: nodes[2].store, exchange: await nodes[2].join(members) };
});
after(async () => {
  await end();
  await fleet?.stop();
});

/** Ends the third node's key server; its PostgreSQL stays. */
async function end(): Promise<void> {
  await life?.exchange?.stop();
  await life?.store.close();
}

/** Ends its PostgreSQL as well and starts it again, as it is when a machine starts or its disk was exchanged. */
async function restartDatabase(): Promise<void> {
  await nodes[2].postgres.terminate();
  await nodes[2].postgres.start();
}

/** Starts it again; alone, it has no replication at all; without one, it cannot reach the second node. */
async function start(
  how: "alone" | "without one" | "with the others",
  others: readonly MeshMember[] = [],
): Promise<void> {
  const [, , { postgres, member, tls }] = nodes;
  const { socketDirectory, port } = postgres;
  const log = () => undefined;
  const store = await openStore({ socketDirectory, port, keyring: fleet.keyring, nowMs: () => Date.now(), log });
  const options = {
    store,
    self: member,
    members: nodes.map(({ member: each }, at) => {
      const listed = others.find(({ name }) => name === each.name) ?? each;
      return how === "without one" && at === 1 ? { ...listed, meshPort: 1 } : listed;
    }),
    tls,
    durability: "EverySite" as const,
    wrapFor: async () => ({ refusal: "no" }),
    nowMs: () => performance.now(),
    log,
  };
  life = { store, exchange: how === "alone" ? undefined : startReplication(options) };
}

const tables = ["objects", "kept", "root", "ops", "bases"].map(
  (table) => [`copy.${table}`, `keyfleet.${table}`] as const,
);

/** Runs statements on the third node's database. */
async function change(statements: readonly string[]): Promise<void> {
  const { socketDirectory, port } = nodes[2].postgres;
  const client = await connect(localConnection({ socketDirectory, port, database: "keyfleet" }), () => undefined);
  for (const statement of statements) await client.query(statement);
  close(client);
}

const copyDisk = () =>
  change([
    "drop schema if exists copy cascade",
    "create schema copy",
    ...tables.map(([copy, table]) => `create table ${copy} as select * from ${table}`),
  ]);
const restoreDisk = () =>
  change(tables.flatMap(([copy, table]) => [`truncate ${table}`, `insert into ${table} select * from ${copy}`]));

const vectorOf = (store: NodeStore) => JSON.stringify([...store.vector()].sort());
const stores = () => [nodes[0].store, nodes[1].store, life.store];
const equal = () => until("all hold the same", () => new Set(stores().map(vectorOf)).size === 1, 15_000);

test("a node that was started from an older disk and has not written since begins a new log; nothing is lost", async () => {
  await life.store.write([aCreate()]);
  await equal();
  await copyDisk();
  const lost = [aCreate(), aCreate()];
  for (const create of lost) await life.store.write([create]);
  await equal();
  const before = life.store.incarnation;
  await end();
  await restoreDisk();
  await restartDatabase();
  await start("with the others");
  assert.equal(life.store.incarnation, before);
  await until("it has a new incarnation", () => life.store.incarnation !== before, 15_000);
  const create = aCreate();
  await life.store.write([create]);
  await equal();
  const ids = [create, ...lost].map(({ id }) => id);
  for (const store of stores()) assert.equal((await store.objects(ids)).length, 3);
  assert.equal(life.exchange?.status().forked, undefined);
  assert.deepEqual((await life.store.audit()).findings, []);
});

test("a node that cannot ask every member goes on in a new log with its first write, and holds what it held", async () => {
  const { incarnation: before, holder } = life.store;
  await life.store.write([aCreate()]);
  await equal();
  await end();
  await restartDatabase();
  await start("without one");
  await until(
    "it hears the other",
    () => life.exchange?.status().peers.some((peer) => peer.lagOperations === 0) === true,
  );
  assert.equal(life.store.incarnation, before);
  const create = aCreate();
  await life.store.write([create]);
  assert.notEqual(life.store.incarnation, before);
  assert.equal(life.store.holder, holder);
  await equal();
  await end();
  await restartDatabase();
  await start("with the others");
  const { incarnation } = life.store;
  await until("it has asked all", () => life.store.ownEndKnown, 15_000);
  await life.store.write([aCreate()]);
  assert.deepEqual([life.store.incarnation, life.store.holder], [incarnation, holder]);
  await equal();
  for (const store of stores()) assert.equal((await store.object(create.id))?.id, create.id);
});

test("a key server that is started again without its PostgreSQL goes on with its log, whoever is away", async () => {
  const { incarnation: before } = life.store;
  await end();
  await start("without one");
  await life.store.write([aCreate()]);
  assert.equal(life.store.incarnation, before);
  await end();
  await start("with the others");
  await equal();
});

test("a database that is exchanged for an older one under a running key server goes on in a new log", async () => {
  await copyDisk();
  const [before, create] = [life.store.incarnation, aCreate()];
  await life.store.write([create]);
  await equal();
  await restoreDisk();
  await change([
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'keyfleet' and pid <> pg_backend_pid()",
  ]);
  const isBack = () => life.store.status().available && life.store.incarnation !== before;
  await until("it is back with a new incarnation", isBack, 15_000);
  assert.equal(life.store.holder, life.store.incarnation);
  await life.store.write([aCreate()]);
  await equal();
  assert.equal((await life.store.object(create.id))?.id, create.id);
  assert.equal(life.exchange?.status().forked, undefined);
});

test("a node in whose database another member's log is named as its own leaves that alone and begins one; who made it goes on", async () => {
  const [{ store: other }] = nodes;
  const before = { own: life.store.incarnation, other: other.incarnation };
  await other.write([aCreate()]);
  await equal();
  await end();
  await change([`update keyfleet.node_self set incarnation = '${before.other}'`]);
  await start("with the others");
  assert.equal(life.store.ownEndKnown, true, "its PostgreSQL has run ever since");
  await until("its log is another one", () => !Object.values(before).includes(life.store.incarnation));
  await life.store.write([aCreate()]);
  await other.write([aCreate()]);
  await equal();
  assert.equal(other.incarnation, before.other);
  const { incarnation } = life.store;
  await end();
  await start("with the others");
  await life.store.write([aCreate()]);
  await equal();
  assert.equal(life.store.incarnation, incarnation);
});

test("what its members say of themselves takes no name away from the node that was given it", async () => {
  const { incarnation } = life.store;
  const liar = { ...nodes[0].member, incarnation };
  await end();
  await start("with the others", [liar]);
  await equal();
  await life.store.write([aCreate()]);
  await equal();
  assert.equal(life.store.incarnation, incarnation);
});

test("a node that has written since is refused by itself and by its peers; all else goes on", async () => {
  await copyDisk();
  for (let count = 0; count < 3; count += 1) await life.store.write([aCreate()]);
  await equal();
  await end();
  await restoreDisk();
  await start("alone");
  const only = aCreate();
  await life.store.write([only]);
  await end();
  await start("with the others");
  const { incarnation } = life.store;
  await until("it stands by itself", () => life.exchange?.status().forked !== undefined, 15_000);
  assert.equal(life.store.incarnation, incarnation);
  await assert.rejects(life.store.write([aCreate()]), {
    code: "unavailable",
    message: /older than what it has written/,
  });
  assert.equal(life.exchange?.caughtUp(), false);
  const refused = (exchange: Replication) =>
    exchange.status().peers.find(({ name }) => name === "dc3-a")?.refusedOrigins;
  for (const exchange of staying)
    await until("its peers refuse its log", () => refused(exchange)?.[incarnation] === "forked", 15_000);
  const create = aCreate();
  await nodes[0].store.write([create]);
  for (const { store } of nodes.slice(0, 2)) assert.equal((await store.object(create.id))?.id, create.id);
  for (const exchange of staying) await until("nobody waits for it", () => exchange.caughtUp());
  const told = () => staying[0]?.status().peers.find(({ name }) => name === "dc3-a")?.ownLogRefused;
  assert.equal(told(), "forked");
  const held = nodes[0].store.vector().get(incarnation);
  const itself = () => life.exchange?.status().ownLogRefused;
  await until("it knows how far the others hold its log", () => itself()?.held === held);
  assert.equal(itself()?.reason, "forked");
});

test("also when its new log is longer than the one of before, nothing of it is taken", async () => {
  await end();
  await start("alone");
  const others = Array.from({ length: 8 }, () => aCreate());
  await life.store.write(others);
  await end();
  await start("with the others");
  await until("it stands by itself", () => life.exchange?.status().forked !== undefined, 15_000);
  const position = nodes[0].store.vector().get(life.store.incarnation) ?? 0;
  assert.ok(position < life.store.status().head);
  assert.equal((await nodes[0].store.objects(others.map(({ id }) => id))).length, 0);
});
