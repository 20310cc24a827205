import { randomUUID } from "node:crypto";
import { join } from "node:path";
import pg from "pg";
import { connectHsm } from "../../node-image/hsm/client.ts";
import { loadKeyring } from "../../node-image/keys/keyring.ts";
import type { MasterKeyring } from "../../node-image/keys/master-keyring.ts";
import { kmipHandler } from "../../node-image/kmip/handler.ts";
import { sealContext } from "../../node-image/objects/material.ts";
import { claimRows } from "../../node-image/objects/names.ts";
import type { Change, Store } from "../../node-image/objects/types.ts";
import { LogicalClock } from "../../node-image/store/clock.ts";
import { rowColumns } from "../../node-image/store/commit-batch.ts";
import { Ledger } from "../../node-image/store/ledger.ts";
import { type Changed, Merge } from "../../node-image/store/merge.ts";
import { digestOf, leafOf } from "../../node-image/store/row.ts";
import { message } from "./messages.ts";

/** What to put into whose store. */
export interface Filling {
  /** The node's folder; its PostgreSQL and HSM sidecar run, its key server does not. */
  readonly folder: string;
  readonly objects: number;
  /** The name of each object. */
  readonly nameOf: (number: number) => string;
  /** Identity of the owner. */
  readonly owner: string;
}

const rowsOfOneInsert = 2_000;
/** Every so many objects one is asked for later. */
const sampleEvery = 500;

/**
 * Fills a node's store without its log, as a snapshot from another node does: each object is like one of the real Create, sealed
 * and under its MAC by the node's own master key, and summed up in the sealed root. Resolves with some identifiers.
 */
export async function fill({ folder, objects, nameOf, owner }: Filling): Promise<readonly string[]> {
  const client = new pg.Client({
    host: join(folder, "run/postgres"),
    port: 5432,
    database: "keyfleet",
    user: "keyfleet",
  });
  await client.connect();
  const keyring = await keyringOf(client, folder);
  try {
    const { rows } = await client.query("select incarnation from keyfleet.node_self");
    const incarnation = rows[0].incarnation as string;
    const clock = new LogicalClock(() => Date.now());
    const grants = { touch: () => undefined, release: () => undefined };
    const ledger = new Ledger({ incarnation, clock, damaged: () => undefined, grants });
    await ledger.read(client);
    await ledger.trust(client, keyring);
    const indexed = await withoutNames(client);
    const filler = { ...(await createdOnce(keyring, owner)), keyring, incarnation, clock };
    const sample: string[] = [];
    let inserted: Promise<void> = Promise.resolve();
    for (let first = 0; first < objects; first += rowsOfOneInsert) {
      const count = Math.min(rowsOfOneInsert, objects - first);
      const changed = rowsOf(
        Array.from({ length: count }, (_, at) => nameOf(first + at)),
        filler,
      );
      sample.push(...changed.filter((_, at) => (first + at) % sampleEvery === 0).map(({ row }) => row.id));
      const leaves = changed.map(({ row }) => leafOf(ledger.root, row));
      const prepared = { leaves, columns: rowColumns(changed) };
      await inserted;
      inserted = ledger.insert(client, prepared);
      if ((first / rowsOfOneInsert) % 50 === 0) console.error(`${first} of ${objects} objects`);
    }
    await inserted;
    await client.query(indexed);
    // What autovacuum has done to a store that grew over months.
    await client.query("vacuum (analyze) keyfleet.objects");
    await client.query("checkpoint");
    return sample;
  } finally {
    keyring.close();
    await client.end();
  }
}

/** Takes the index of names away until all are there, which builds it much faster; gives the statement that makes it again. */
async function withoutNames(client: pg.Client): Promise<string> {
  const { rows } = await client.query("select pg_get_indexdef('keyfleet.objects_names'::regclass) as text");
  await client.query("drop index keyfleet.objects_names");
  // The checkpoint at the end makes everything durable.
  await client.query("set synchronous_commit = off");
  await client.query("set maintenance_work_mem = '96MB'");
  return rows[0].text as string;
}

async function keyringOf(client: pg.Client, folder: string): Promise<MasterKeyring> {
  const hsm = connectHsm({ socketPath: join(folder, "run/hsm/hsm.sock") });
  try {
    const cluster = await client.query("select value from keyfleet.settings where key = 'clusterId'");
    const { rows } = await client.query("select version, sealed from keyfleet.master_keys order by version");
    return await loadKeyring(hsm, cluster.rows[0].value, rows);
  } finally {
    hsm.close();
  }
}

/** What the real Create asks a store to write for one object: the others are made like it, with the same key bytes. */
async function createdOnce(keyring: MasterKeyring, owner: string): Promise<Created> {
  const changes: Change[] = [];
  const store: Store = {
    holder: "00000000-0000-4000-8000-000000000001",
    onRemote: () => undefined,
    object: async () => undefined,
    objects: async () => [],
    descriptions: async function* () {},
    locate: async () => [],
    write: async (wanted) => void changes.push(...wanted),
  };
  const handler = kmipHandler({ store, keyring, log: () => undefined });
  await handler(message.create("bench-object"), { identity: owner, subject: owner });
  const [change] = changes;
  if (change?.kind !== "create") throw new Error("the Create was refused");
  return { change, packed: keyring.unseal(change.sealed, sealContext(change)) };
}

interface Created {
  readonly change: Extract<Change, { kind: "create" }>;
  /** The material before it is sealed for an object. */
  readonly packed: Buffer;
}

interface Filler extends Created {
  readonly keyring: MasterKeyring;
  readonly incarnation: string;
  readonly clock: LogicalClock;
}

/** Rows of new objects with these names, each sealed for itself and under its own MAC. */
function rowsOf(names: readonly string[], { change, packed, keyring, incarnation, clock }: Filler): readonly Changed[] {
  const { owner, objectType, facts } = change;
  const merge = new Merge(new Map());
  const nowMs = Date.now();
  const kept = Object.entries(change.attributes).filter(([attribute]) => !attribute.startsWith(".named "));
  for (const text of names) {
    const id = randomUUID();
    const sealed = keyring.seal(packed, sealContext({ id, owner, objectType }));
    const stamp = { hlc: clock.tick().toString(), origin: incarnation };
    const name = { nameValue: text, nameType: 1 };
    const own = Object.entries({ Name: [name], ...claimRows([name], nowMs) });
    const attributes = new Map([...kept, ...own].map(([attribute, value]) => [attribute, { stamp, value }]));
    merge.join(id, { born: { stamp, owner, objectType, sealedDigest: digestOf(sealed) }, facts, attributes }, sealed);
  }
  return merge.changed(keyring);
}
