import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { close, connect, localConnection, type Place } from "./connection.ts";
import { StoreError } from "./error.ts";

// Each is applied once, in this order; never change one that was released.
const migrations = ["schema.sql", "schema-2.sql"].map((name) => readFileSync(join(import.meta.dirname, name), "utf8"));

/** Makes the database when it is not there and brings its tables to this software's version; safe to repeat and to interrupt. */
export async function migrate(place: Place): Promise<void> {
  await within({ ...place, database: "postgres" }, async (client) => {
    const { rowCount } = await client.query("select from pg_database where datname = $1", [place.database]);
    if (rowCount === 0) await client.query(`create database ${pg.escapeIdentifier(place.database)}`);
  });
  await within(place, async (client) => {
    await client.query("begin");
    await client.query("create table if not exists public.keyfleet_schema (version integer primary key)");
    await client.query("lock table public.keyfleet_schema");
    const { rows } = await client.query("select coalesce(max(version), 0) as version from public.keyfleet_schema");
    const version = Number(rows[0].version);
    if (version > migrations.length)
      throw new StoreError("invalid", `the database has schema ${version}, made by newer software; run that version`);
    for (const [index, sql] of migrations.entries()) {
      if (index < version) continue;
      await client.query(sql);
      await client.query("insert into public.keyfleet_schema values ($1)", [index + 1]);
    }
    await client.query("insert into keyfleet.node_self values (true, $1) on conflict do nothing", [randomUUID()]);
    await client.query("commit");
  });
}

async function within(place: Place, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = await connect(localConnection(place), () => undefined);
  try {
    await work(client);
  } finally {
    close(client);
  }
}
