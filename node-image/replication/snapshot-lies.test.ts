import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { envelope } from "../store/operation.ts";
import type { NodeStore, Operation } from "../store/types.ts";
import { toWire } from "../store/wire.ts";
import { aCreate } from "../testing/mesh.ts";
import { type Stores, startStores, takes } from "../testing/stores.ts";

const doors = readFileSync(join(import.meta.dirname, "mesh.sql"), "utf8");
const hourMs = 3_600_000;
let stores: Stores;

before(async () => {
  stores = await startStores();
});
afterEach(() => stores.close());
after(() => stores?.stop());

const aNode = () => stores.aNode();

/** A node with objects whose log is pruned, so that it can give nothing but a snapshot. */
async function aPeer(): Promise<{ readonly peer: NodeStore; readonly id: string }> {
  const peer = await aNode();
  await peer.query(doors);
  const creates = Array.from({ length: 40 }, () => aCreate());
  await peer.write(creates);
  const id = creates[7]?.id ?? "";
  await peer.query("create table public.old as select * from keyfleet.objects");
  await peer.write([{ kind: "change", id, facts: 1, attributes: { "x-a": [1] } }]);
  await peer.prune(peer.vector(), -1_000);
  return { peer, id };
}

async function isTaken(store: NodeStore, peer: NodeStore): Promise<void> {
  assert.equal(store.intake.importing, undefined);
  const objects = "select * from keyfleet.objects order by id";
  assert.deepEqual(await store.query(objects), await peer.query(objects));
  assert.deepEqual((await store.audit()).findings, []);
  await store.write([aCreate()]);
}

// What a hostile peer's database does, and what the joiner says of it.
const lies: readonly (readonly [string, string, RegExp])[] = [
  [
    "changes an object",
    "update keyfleet.objects set state = replace(state, 'CN=app', 'CN=bad') where id = $1",
    /changed/,
  ],
  ["gives other material", "update keyfleet.objects set sealed = sha256(sealed) where id = $1", /changed/],
  ["leaves an object out", "delete from keyfleet.objects where id = $1", /not all/],
  [
    "gives an older state of an object",
    "update keyfleet.objects o set state = b.state, mac = b.mac from public.old b where o.id = b.id and o.id = $1",
    /other objects/,
  ],
  ["says to hold more than it does", "update keyfleet.bases set seq = seq + 5 where $1::text <> ''", /root/],
  ["says to hold less than it does", "update keyfleet.bases set seq = seq - 5 where $1::text <> ''", /root/],
  [
    "says that its logs end in the far future",
    "update keyfleet.bases set hlc = hlc + (1::bigint << 50) where $1::text <> ''",
    /future/,
  ],
  ["gives a root of its own", "update keyfleet.root set sealed = sha256(sealed) where $1::text <> ''", /root/],
];

for (const [sentence, statement, reason] of lies) {
  test(`a peer that ${sentence} is not believed; then another's snapshot is taken`, async () => {
    const { peer: liar, id } = await aPeer();
    await liar.query(statement, [id]);
    const joiner = await aNode();
    await assert.rejects(takes(joiner, liar), { code: "invalid", message: reason });
    const { peer: honest } = await aPeer();
    await takes(joiner, honest);
    await isTaken(joiner, honest);
  });
}

const answers: readonly (readonly [
  string,
  (rows: readonly Record<string, unknown>[]) => Record<string, unknown>[],
  RegExp,
])[] = [
  ["no JSON", () => [{ s: "no" }], /JSON/],
  ["something that is no object", () => [{ s: "{}" }], /order|no object/],
  ["objects out of order", (rows) => rows.toReversed(), /out of order/],
  ["an object twice", (rows) => [...rows.slice(0, 1), ...rows], /out of order/],
  ["another object in its place", (rows) => rows.map((row, at) => renamed(row, at)), /changed/],
];

function renamed(row: Record<string, unknown>, at: number): Record<string, unknown> {
  const [, ...rest] = JSON.parse(row.s as string);
  return { s: JSON.stringify([`00000000-0000-4000-8000-${String(at).padStart(12, "0")}`, ...rest]) };
}

for (const [sentence, change, reason] of answers) {
  test(`a peer that answers with ${sentence} is not believed`, async () => {
    const { peer } = await aPeer();
    const joiner = await aNode();
    const lying = async (text: string, values?: readonly unknown[]) => {
      const rows = await peer.query(text, values);
      return text.includes("mesh.snapshot") && rows.length > 0 ? change(rows) : rows;
    };
    await assert.rejects(takes(joiner, peer, lying), { message: reason });
    await takes(joiner, peer);
    await isTaken(joiner, peer);
  });
}

test("operations that the peer keeps for later come with its snapshot", async () => {
  const { peer } = await aPeer();
  await peer.ingest([anOperation("of a later version")]);
  await peer.prune(peer.vector(), -1_000);
  const joiner = await aNode();
  await takes(joiner, peer);
  assert.equal(joiner.status().unappliedOperations, 1);
  await isTaken(joiner, peer);
});

test("a node tells its machine's time, and its log's where that runs more than a day ahead", async () => {
  const { peer } = await aPeer();
  const aheadMs = async () =>
    Number((await peer.query("select clock_ms from mesh.vector()"))[0]?.clock_ms ?? Number.NaN) - Date.now();
  for (const [offMs, toldMs] of [
    [0, 0],
    [20 * hourMs, 0],
    [10 * hourMs, 30 * hourMs],
  ] as const) {
    await peer.query(`update keyfleet.bases set hlc = hlc + (${offMs}::bigint << 16)`);
    assert.ok(Math.abs((await aheadMs()) - toldMs) < hourMs, `${offMs} ms more`);
  }
});

/** A joiner that has a peer's objects, while the peer has gone on: what is lacking is the log behind them. */
async function anUnfinished(): Promise<{ readonly peer: NodeStore; readonly joiner: NodeStore }> {
  const { peer } = await aPeer();
  const joiner = await aNode();
  let marks = 0;
  const breaksOff = async (text: string, values?: readonly unknown[]) => {
    marks += text.includes("mesh.mark") ? 1 : 0;
    if (marks > 1) throw new Error("the connection was lost");
    return peer.query(text, values);
  };
  await assert.rejects(takes(joiner, peer, breaksOff), /lost/);
  assert.equal(joiner.intake.importing?.stage, "tail");
  await peer.write([aCreate()]);
  return { peer, joiner };
}

test("a snapshot goes on where it was broken off, by the log behind it", async () => {
  const { peer, joiner } = await anUnfinished();
  await takes(joiner, peer);
  await isTaken(joiner, peer);
});

test("a snapshot is begun anew when the peer no longer has the log behind what was taken of it", async () => {
  const { peer, joiner } = await anUnfinished();
  await peer.prune(peer.vector(), -1_000);
  await takes(joiner, peer);
  await isTaken(joiner, peer);
});

for (const [sentence, log, reason] of [
  ["never sends the log that it says to have", () => [], /does not send the log/],
  ["sends another log instead", () => [anotherLog()], /another log/],
] as const) {
  test(`a peer that ${sentence} is not believed`, async () => {
    const { peer, joiner } = await anUnfinished();
    const lying = async (text: string, values?: readonly unknown[]) => {
      if (text.includes("mesh.snapshot")) await peer.write([aCreate()]);
      return text.includes("mesh.pull") ? log() : peer.query(text, values);
    };
    await assert.rejects(takes(joiner, peer, lying), { code: "invalid", message: reason });
    await takes(joiner, peer);
    await isTaken(joiner, peer);
  });
}

/** An operation of nobody's, as mesh.pull gives it. */
function anotherLog(): Record<string, unknown> {
  return { p: toWire(anOperation("none")) };
}

/** The first operation of a log that nobody knows. */
function anOperation(kind: string): Operation {
  const [origin, object, payload] = [randomUUID(), randomUUID(), Buffer.from("?")];
  const unsigned = { origin, seq: 1, hlc: 1n << 16n, kind, object, payload };
  return { ...unsigned, mac: stores.keyring.mac(envelope(unsigned)) };
}
