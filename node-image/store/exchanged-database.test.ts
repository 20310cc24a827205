import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { aCreate } from "../testing/mesh.ts";
import { type Stores, startStores } from "../testing/stores.ts";
import { LogicalClock } from "./clock.ts";
import { close, connectHere } from "./connection.ts";
import { Ledger } from "./ledger.ts";
import type { NodeStore } from "./types.ts";

// A database that is exchanged for an older one, or changed, under a running key server, which notices when the connection is back.
let stores: Stores;
let store: NodeStore;

before(async () => {
  stores = await startStores();
});
beforeEach(async () => {
  store = await stores.aNode();
  await store.write([aCreate()]);
});
afterEach(() => stores.close());
after(() => stores?.stop());

const tables = ["node_self", "settings", "import", "objects", "kept", "root", "ops", "bases"];
const all = async (statements: readonly string[]) => {
  for (const statement of statements) await store.query(statement);
};
const copyDisk = () =>
  all(["create schema copy", ...tables.map((table) => `create table copy.${table} as table keyfleet.${table}`)]);
const restoreDisk = () =>
  all(tables.flatMap((table) => [`truncate keyfleet.${table}`, `insert into keyfleet.${table} table copy.${table}`]));

/** What the node knows once its connections are new ones. */
async function reconnects(): Promise<void> {
  const isBack = new Promise<void>((resolve) =>
    store.onNotification((channel) => {
      if (channel === "connected") resolve();
    }),
  );
  await store.query(
    "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
  await isBack;
}

const aGrantReading = { touch: () => undefined, release: () => undefined };
const renew = () => store.renew({ former: store.incarnation, head: Number.MAX_SAFE_INTEGER, why: "setBack" });

test("a database that is as it was goes on with its log", async () => {
  const before = store.incarnation;
  await reconnects();
  assert.equal(store.incarnation, before);
});

test("a log of this node that an earlier process ended is not gone on with", async () => {
  const first = store.incarnation;
  await copyDisk();
  await renew();
  store = await stores.reopen(store);
  const second = store.incarnation;
  await restoreDisk();
  await reconnects();
  assert.ok(![first, second].includes(store.incarnation), `it goes on with ${store.incarnation}`);
  assert.equal(store.holder, store.incarnation, "it holds no rights of before");
});

test("a name that another hand has put there is not taken for this node's", async () => {
  const [own, other] = [store.incarnation, randomUUID()];
  await store.query("update keyfleet.node_self set incarnation = $1", [other]);
  await reconnects();
  assert.ok(![own, other].includes(store.incarnation), `it writes as ${store.incarnation}`);
});

test("who holds the rights of another node by its database alone holds its own from then on", async () => {
  const { incarnation, holder } = store;
  await store.renew({ former: incarnation, head: Number.MAX_SAFE_INTEGER, why: "notAsked" });
  assert.equal(store.holder, holder);
  await reconnects();
  store = await stores.reopen(store);
  assert.equal(store.holder, holder, "also for the next process");
  await store.query(
    `update keyfleet.settings set value = value || '{"holder": "${randomUUID()}"}' where key = 'continuedLogs'`,
  );
  await reconnects();
  assert.equal(store.holder, store.incarnation);
  store = await stores.reopen(store);
  assert.equal(store.holder, store.incarnation);
});

for (const [sentence, later] of [
  ["and is older than what was written", 1],
  ["and is all that was written", 0],
] as const)
  test(`a database in which a snapshot was being taken in ${sentence}`, async () => {
    const before = store.incarnation;
    const floor = JSON.stringify(Object.fromEntries(store.vector()));
    await copyDisk();
    await all([
      "truncate copy.ops, copy.objects, copy.root",
      `insert into copy.import (only_one, identity, heads, floor, after, stage, aside)
         values (true, 'CN=peer', '[]', '${floor}', '00000000-0000-0000-0000-000000000000', 'rows', true)`,
    ]);
    for (let count = 0; count < later; count += 1) await store.write([aCreate()]);
    await restoreDisk();
    await reconnects();
    assert.notEqual(store.intake.importing, undefined);
    assert.equal(store.incarnation === before, later === 0);
  });

test("a new name whose giving was not heard to end is this node's", async () => {
  const client = await connectHere(stores.placeOf(store), () => undefined);
  try {
    const { incarnation } = store;
    const clock = new LogicalClock(() => Date.now());
    const ledger = new Ledger({ incarnation, clock, damaged: () => undefined, grants: aGrantReading });
    await ledger.read(client);
    // The connection is lost behind the transaction.
    const query = async (text: string, values: unknown[]) => {
      await client.query(text, values);
      throw new Error("the connection was lost");
    };
    const renewal = { former: incarnation, head: Number.MAX_SAFE_INTEGER, why: "setBack" } as const;
    await assert.rejects(ledger.renew({ query } as never, renewal), /lost/);
    const [row] = await store.query("select incarnation from keyfleet.node_self");
    assert.notEqual(row?.incarnation, incarnation);
    await ledger.reread(client);
    assert.equal(ledger.incarnation, row?.incarnation);
  } finally {
    close(client);
  }
});
