import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { close, connectHere, type Place } from "./connection.ts";
import { StoreError } from "./error.ts";
import { compareVersions } from "./version.ts";

/** A change of the tables, and the oldest software that can work with them afterwards, so that an upgrade can be taken back. */
interface Migration {
  readonly file: string;
  readonly worksWith: string;
}

// Each is applied once, in this order; never change one that was released.
const migrations: readonly Migration[] = [
  { file: "schema.sql", worksWith: "0.1.0" },
  { file: "schema-2.sql", worksWith: "0.1.0" },
  { file: "schema-3.sql", worksWith: "0.1.0" },
  { file: "schema-4.sql", worksWith: "0.1.0" },
  { file: "schema-5.sql", worksWith: "0.1.0" },
];

/**
 * Makes the database when it is not there and brings its tables to this software's version; safe to repeat and to interrupt.
 * Tables that newer software has changed are used when that software said so of this version, else refused. Resolves
 * whether the node's own log begins here and now.
 */
export async function migrate(place: Place, softwareVersion = "0.0.0"): Promise<boolean> {
  let begins = false;
  await within({ ...place, database: "postgres" }, async (client) => {
    const { rowCount } = await client.query("select from pg_database where datname = $1", [place.database]);
    if (rowCount === 0) await client.query(`create database ${pg.escapeIdentifier(place.database)}`);
  });
  await within(place, async (client) => {
    await client.query("begin");
    await client.query(
      "create table if not exists public.keyfleet_schema (version integer primary key, works_with text not null)",
    );
    await client.query("lock table public.keyfleet_schema");
    const { rows } = await client.query("select version, works_with from public.keyfleet_schema order by version");
    const version = Number(rows.at(-1)?.version ?? 0);
    const tooNew = rows.slice(migrations.length).find((row) => compareVersions(softwareVersion, row.works_with) < 0);
    if (tooNew !== undefined)
      throw new StoreError(
        "invalid",
        `the database has schema ${version}, made by newer software; run ${tooNew.works_with} or later`,
      );
    for (const [index, { file, worksWith }] of migrations.entries()) {
      if (index < version) continue;
      await client.query(readFileSync(join(import.meta.dirname, file), "utf8"));
      await client.query("insert into public.keyfleet_schema values ($1, $2)", [index + 1, worksWith]);
    }
    const text = "insert into keyfleet.node_self values (true, $1) on conflict do nothing";
    begins = (await client.query(text, [randomUUID()])).rowCount === 1;
    await client.query("commit");
  });
  return begins;
}

async function within(place: Place, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = await connectHere(place, () => undefined);
  try {
    await work(client);
  } finally {
    close(client);
  }
}
