import type pg from "pg";
import { emptying, lasting } from "./connection.ts";
import { StoreError } from "./error.ts";
import type { Ledger } from "./ledger.ts";
import { verified } from "./operation.ts";
import { beforeAll, objectsBehind, operationsIn } from "./pages.ts";
import { Root } from "./root.ts";
import { checkMaterial, leafOf, stateOf } from "./row.ts";
import type { Operation, Vector } from "./types.ts";

const rowsMax = 1_000;
const tables = ["ops", "kept", "bases", "root", "objects"] as const;
const empty = (name: (table: string) => string) => emptying(tables.map(name));
const here = (table: string) => `keyfleet.${table}`;
const aside = (table: string) => `keyfleet.aside_${table}`;

/** What that takes on the disk once more. */
export async function bytesHere(client: pg.Client): Promise<number> {
  const sizes = tables.map((table) => `pg_total_relation_size('${here(table)}')`).join(" + ");
  const { rows } = await client.query(`select ${sizes} as bytes`);
  return Number(rows[0].bytes);
}

/** Sets aside all that is here, and leaves nothing; within the caller's transaction, as all of this. */
export async function setAside(client: pg.Client): Promise<void> {
  await forgetAside(client);
  for (const table of tables) await client.query(lasting(`insert into ${aside(table)} select * from ${here(table)}`));
  await client.query(empty(here));
}

/** Takes back what was set aside, in place of all that is here. */
export async function takeBack(client: pg.Client): Promise<void> {
  await client.query(empty(here));
  for (const table of tables) await client.query(lasting(`insert into ${here(table)} select * from ${aside(table)}`));
  await forgetAside(client);
}

export async function forgetAside(client: pg.Client): Promise<void> {
  await client.query(empty(aside));
}

/**
 * Joins what was set aside into what is here, where the first goes further: its rows, by the law of the merge, and of each
 * log that is longer there all that is there of it. Throws StoreError "damaged" when it is not what this node has written.
 */
export async function joinAside(
  client: pg.Client,
  ledger: Ledger,
  floor: Vector,
): Promise<{ readonly root: Root; readonly vector: Vector }> {
  const longer = [...floor].filter(([origin, seq]) => seq > (ledger.vector.get(origin) ?? 0));
  const wanted = await rootAside(client, ledger, floor);
  const sum = wanted.copy("empty");
  await joinRows(client, ledger, sum);
  const kept = await keptAside(client, ledger, sum);
  if (!sum.equals(wanted)) throw damaged("its rows are not the ones written last");
  const root = ledger.root.copy("here");
  for (const { origin, seq, mac } of kept)
    if (seq > (ledger.vector.get(origin) ?? 0)) root.toggle(root.leaf("kept", mac));
  await takeLogs(client, longer);
  return { root, vector: new Map([...ledger.vector, ...longer]) };
}

async function rootAside(client: pg.Client, ledger: Ledger, floor: Vector): Promise<Root> {
  const { rows } = await client.query("select sealed from keyfleet.aside_root");
  if (rows[0] === undefined) throw damaged("its root is missing");
  return Root.open(ledger.keyring, rows[0].sealed, floor);
}

async function joinRows(client: pg.Client, ledger: Ledger, sum: Root): Promise<void> {
  for (let after = beforeAll; ; ) {
    const { rows } = await client.query(objectsBehind("keyfleet.aside_objects", [after], rowsMax));
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last.id;
    const states = rows.map((row) => {
      const state = stateOf(ledger.keyring, row);
      checkMaterial(row.id, state, row.sealed);
      sum.toggle(leafOf(sum, row));
      return { id: row.id as string, state, sealed: row.sealed as Buffer | null };
    });
    await ledger.join(client, states);
  }
}

/** Without their payloads, which may be many. */
async function keptAside(client: pg.Client, ledger: Ledger, sum: Root): Promise<readonly Kept[]> {
  const kept: Kept[] = [];
  for await (const operations of operationsIn(client, "keyfleet.aside_kept", rowsMax))
    for (const operation of operations) {
      if (!verified(ledger.keyring, operation)) throw damaged("an operation is not as it was made");
      const { origin, seq, mac } = operation;
      sum.toggle(sum.leaf("kept", mac));
      kept.push({ origin, seq, mac });
    }
  return kept;
}

type Kept = Pick<Operation, "origin" | "seq" | "mac">;

/** In place of their shorter beginnings. */
async function takeLogs(client: pg.Client, logs: readonly (readonly [origin: string, seq: number])[]): Promise<void> {
  const origins = logs.map(([origin]) => origin);
  const kept = `insert into keyfleet.kept select k.* from keyfleet.aside_kept k left join keyfleet.vector v using (origin)
    where k.seq > coalesce(v.seq, 0)`;
  await client.query(lasting(kept));
  const ofThese = "where origin = any($1::uuid[])";
  for (const table of ["ops", "bases"]) {
    await client.query(lasting(`delete from ${here(table)} ${ofThese}`, [origins]));
    await client.query(lasting(`insert into ${here(table)} select * from ${aside(table)} ${ofThese}`, [origins]));
  }
}

function damaged(why: string): StoreError {
  const what = "what this node held before the snapshot cannot be joined into it";
  return new StoreError("damaged", `${what}: ${why}; remove this node, then join it again`);
}
