import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { type Change, fact } from "../objects/types.ts";
import { close, connectHere } from "../store/connection.ts";
import { roomMinBytes } from "../store/disk-room.ts";
import { headsFrom } from "../store/head.ts";
import { envelope } from "../store/operation.ts";
import type { NodeStore, Operation } from "../store/types.ts";
import { fromWire } from "../store/wire.ts";
import { aCreate, until } from "../testing/mesh.ts";
import { type Stores, startStores, takes } from "../testing/stores.ts";

// What a node held before it took a peer's snapshot, and the peer does not hold.
const doors = readFileSync(join(import.meta.dirname, "mesh.sql"), "utf8");
let stores: Stores;
let member: NodeStore;
let peer: NodeStore;
/** Known to both before they went apart. */
let shared: readonly string[];

/** Room on the volume of every node. */
const free = { bytes: Number.POSITIVE_INFINITY };

before(async () => {
  stores = await startStores(() => free.bytes);
});
afterEach(() => stores.close());
after(() => stores?.stop());

/** Operations of the node's own log behind a sequence. */
async function log(store: NodeStore, seq = 0): Promise<readonly Operation[]> {
  const rows = await store.query("select p from mesh.pull($1, $2, 1000) p", [store.incarnation, seq]);
  return rows.flatMap((row) => fromWire(JSON.parse(row.p as string)) ?? []);
}

const note = (id: string, name: string): Change => ({ kind: "change", id, facts: 0, attributes: { [name]: [1] } });
const destroy = (id: string): Change => ({ kind: "change", id, facts: fact.destroyed, attributes: {} });

/** Two that knew the same, and have each gone on without the other, whose log it has pruned meanwhile. */
async function apart(): Promise<void> {
  [member, peer] = await Promise.all([stores.aNode(), stores.aNode()]);
  for (const store of [member, peer]) await store.query(doors);
  const creates = Array.from({ length: 5 }, () => aCreate());
  shared = creates.map(({ id }) => id);
  await peer.write(creates);
  await member.ingest(await log(peer));
  await peer.write([destroy(id(0)), note(id(1), "x-peer")]);
  await peer.prune(peer.vector(), -1_000);
}

const id = (at: number) => shared[at] ?? "";

/** Of a later version: it is kept beside the log. */
function later(): Operation {
  const unsigned = { origin: randomUUID(), seq: 1, hlc: 1n << 16n, kind: "later", object: randomUUID() };
  const operation = { ...unsigned, payload: Buffer.from("?") };
  return { ...operation, mac: stores.keyring.mac(envelope(operation)) };
}

/** That it holds what both held, and that the database is as this node has written it. */
async function isJoined(own: Change, attribute: string): Promise<void> {
  assert.equal(member.intake.importing, undefined);
  assert.equal((await member.object(own.id))?.id, own.id);
  assert.equal((await member.object(id(0)))?.sealed, undefined, "destroyed at the peer");
  const object = await member.object(id(1));
  assert.deepEqual(
    ["x-peer", attribute].map((name) => object?.attributes.get(name)),
    [[1], [1]],
  );
  for (const [origin, seq] of peer.vector()) assert.ok((member.vector().get(origin) ?? 0) >= seq);
  const found = await member.audit();
  assert.deepEqual([found.findings, found.whole, member.status().damage], [[], true, undefined]);
}

for (const [sentence, isPruned] of [
  ["its own log is whole", false],
  ["its own log is pruned, so that neither could follow the other", true],
] as const) {
  test(`a node that takes a snapshot loses nothing that the peer lacks: ${sentence}`, async () => {
    await apart();
    const own = aCreate();
    await member.write([own, note(id(1), "x-own"), destroy(id(2))]);
    await member.ingest([later()]);
    if (isPruned) await member.prune(member.vector(), -1_000);
    const head = member.vector().get(member.incarnation);
    await takes(member, peer);
    await isJoined(own, "x-own");
    assert.equal((await member.object(id(2)))?.sealed, undefined, "destroyed here");
    assert.equal(member.vector().get(member.incarnation), head);
    assert.equal(member.status().unappliedOperations, 1);
    assert.equal((await log(member)).length, isPruned ? 0 : 3, "its log goes on to be had from it");
    await member.write([aCreate()]);
    // The peer takes what it lacks in the same way, and then both are one.
    await takes(peer, member);
    const objects = "select id, state, mac, sealed from keyfleet.objects order by id";
    assert.deepEqual(await peer.query(objects), await member.query(objects));
    assert.deepEqual([...peer.vector()].sort(), [...member.vector()].sort());
  });
}

/** A snapshot that breaks off behind the rows. */
async function breaksOff(): Promise<void> {
  let marks = 0;
  const query = async (text: string, values?: readonly unknown[]) => {
    marks += text.includes("mesh.mark") ? 1 : 0;
    if (marks > 1) throw new Error("the connection was lost");
    return peer.query(text, values);
  };
  await assert.rejects(takes(member, peer, query), /lost/);
  assert.equal(member.intake.importing?.stage, "tail");
}

test("a snapshot that nobody is left to finish with is given up: the node is again what it was", async () => {
  await apart();
  const own = aCreate();
  await member.write([own]);
  const objects = "select * from keyfleet.objects order by id";
  const [before, vector] = [await member.query(objects), [...member.vector()].sort()];
  await breaksOff();
  await assert.rejects(member.object(own.id), { code: "unavailable" });
  assert.equal(await member.intake.abandon(), true);
  assert.deepEqual([await member.query(objects), [...member.vector()].sort()], [before, vector]);
  await member.write([aCreate()]);
  assert.deepEqual((await member.audit()).findings, []);
  assert.equal(await member.intake.abandon(), false, "nothing is taken in any more");
  await takes(member, peer);
  assert.equal((await member.object(own.id))?.id, own.id);
});

test("a snapshot that is begun anew with another peer goes on from what was set aside first", async () => {
  await apart();
  const own = aCreate();
  await member.write([own, note(id(1), "x-own")]);
  await breaksOff();
  const other = await stores.aNode();
  await other.query(doors);
  await takes(other, peer);
  await takes(member, other);
  await isJoined(own, "x-own");
});

for (const [sentence, statement] of [
  ["changed", "update keyfleet.aside_objects set state = replace(state, 'CN=app', 'CN=bad')"],
  ["taken away", "delete from keyfleet.aside_objects"],
  [
    "exchanged for other material",
    "update keyfleet.aside_objects set sealed = sha256(sealed) where sealed is not null",
  ],
] as const) {
  test(`what was set aside and is ${sentence} in the database is not joined, and nothing is served`, async () => {
    await apart();
    const own = aCreate();
    await member.write([own]);
    await breaksOff();
    await member.query(statement);
    await assert.rejects(takes(member, peer), { code: "damaged" });
    await assert.rejects(member.object(own.id), { code: "unavailable" });
  });
}

test("a snapshot that software before this one has begun, for which all was thrown away, is only taken from who holds all", async () => {
  await apart();
  await member.write([aCreate()]);
  await breaksOff();
  await member.query("update keyfleet.import set aside = false, identity = 'another'");
  const again = await stores.reopen(member);
  assert.equal(await again.intake.abandon(), false);
  await assert.rejects(takes(again, peer), { code: "unavailable", message: /does not hold all/ });
});

/** What the peer says of itself. */
async function mark() {
  const [row] = await peer.query("select root, heads from mesh.mark()");
  return { root: row?.root as Buffer, heads: headsFrom(row?.heads as never) };
}

const zero = "00000000-0000-0000-0000-000000000000";

test("objects behind ones that a crash has taken from the disk are not taken", async () => {
  await apart();
  await member.intake.begin(peer.incarnation, await mark());
  const page = await member.intake.checked([], randomUUID());
  await assert.rejects(member.intake.rows(page), { code: "unavailable", message: /not here/ });
  await takes(member, peer);
  assert.equal((await member.object(id(1)))?.id, id(1));
});

test("what an earlier try has left and is not whole is had anew, and the peer is not distrusted for it", async () => {
  await apart();
  await member.intake.begin(peer.incarnation, await mark());
  await member.intake.rowsDone([]);
  await takes(member, peer);
  assert.equal((await member.object(id(1)))?.id, id(1));
});

test("what comes of a snapshot that was given up meanwhile is not taken", async () => {
  await apart();
  const own = aCreate();
  await member.write([own]);
  await member.intake.begin(peer.incarnation, await mark());
  const page = await member.intake.checked([], zero);
  await member.intake.abandon();
  for (const step of [
    () => member.intake.rows(page),
    () => member.intake.rowsDone([]),
    async () => member.intake.confirm(await mark()),
  ])
    await assert.rejects(step, { code: "unavailable", message: /not taken in any more/ });
  assert.equal((await member.object(own.id))?.id, own.id);
});

test("nothing is set aside without room for it: the node goes on as it was", async () => {
  await apart();
  free.bytes = roomMinBytes + 1_000;
  try {
    await assert.rejects(takes(member, peer), { code: "unavailable", message: /needs \d+ MiB .* more room/ });
    assert.equal(member.intake.importing, undefined);
    assert.equal((await member.object(id(1)))?.id, id(1));
  } finally {
    free.bytes = Number.POSITIVE_INFINITY;
  }
});

test("a member that reads all the time, in transactions as long as it may have them, keeps nobody from a snapshot", async () => {
  await apart();
  const reader = await connectHere(stores.placeOf(member), () => undefined);
  const watcher = await connectHere(stores.placeOf(member), () => undefined);
  try {
    await reader.query("begin");
    await reader.query("select from mesh.vector()");
    const begun = member.intake.begin(peer.incarnation, await mark());
    // After 15 s, and the two until the next look, the key server ends who overstays.
    const hasWaited = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
      and query like 'truncate%' and clock_timestamp() - query_start > interval '16 seconds'`;
    const ends = until("it waits", async () => (await watcher.query(hasWaited)).rowCount === 1, 30_000);
    await Promise.race([ends, begun]);
    await reader.query("rollback");
    await begun;
    await takes(member, peer);
    assert.equal((await member.object(id(1)))?.id, id(1));
  } finally {
    close(reader);
    close(watcher);
  }
});

test("giving up while PostgreSQL is away is refused, not thrown", async () => {
  await apart();
  await member.close();
  const givesUp = member.intake.abandon();
  await assert.rejects(givesUp, { code: "unavailable" });
});
