import { setTimeout as delay } from "node:timers/promises";
import type pg from "pg";
import type { Keyring } from "../keys/types.ts";
import type { Change, Json, ManagedObject, ObjectFilter } from "../objects/types.ts";
import { LogicalClock } from "./clock.ts";
import { asStoreError, type Place, readers } from "./connection.ts";
import { migrate } from "./migrate.ts";
import { locateObjects, readObjects } from "./read.ts";
import type { Ingested, NodeStore, Operation, SealedMasterKey, StoreOptions, StoreStatus, Vector } from "./types.ts";
import { applyUnderstood } from "./unapplied.ts";
import { Writer } from "./writer.ts";

const retryMs = 200;
const channels = ["acks", "handover"] as const;

/** Opens the node's store; waits for PostgreSQL until the signal ends it. Works without master key: then it only reads. */
export async function openStore(options: StoreOptions): Promise<NodeStore> {
  const place: Place = {
    socketDirectory: options.socketDirectory,
    port: options.port ?? 5432,
    database: options.database ?? "keyfleet",
  };
  for (;;) {
    options.signal?.throwIfAborted();
    const pool = readers(place);
    try {
      return await open(place, pool, options);
    } catch (error) {
      await pool.end().catch(() => undefined);
      if (asStoreError(error).code !== "unavailable") throw asStoreError(error);
      options.log({ level: "debug", event: "databaseAwaited", problem: (error as Error).message });
      await delay(retryMs, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}

async function open(place: Place, pool: pg.Pool, options: StoreOptions): Promise<NodeStore> {
  await migrate(place);
  const { rows } = await pool.query("select incarnation from keyfleet.node_self");
  const unapplied = await applyUnderstood(pool);
  const store = new PostgresStore({ place, pool, options, incarnation: rows[0].incarnation as string, unapplied });
  await store.open();
  return store;
}

class PostgresStore implements NodeStore {
  readonly incarnation: string;
  readonly #pool: pg.Pool;
  readonly #clock: LogicalClock;
  readonly #writer: Writer;
  readonly #listeners: ((channel: string) => void)[] = [];
  #unapplied: number;
  #gate: (head: number) => Promise<void> = async () => undefined;

  constructor(parts: { place: Place; pool: pg.Pool; options: StoreOptions; incarnation: string; unapplied: number }) {
    const { place, pool, options, incarnation, unapplied } = parts;
    this.incarnation = incarnation;
    this.#pool = pool;
    this.#unapplied = unapplied;
    this.#clock = new LogicalClock(options.nowMs);
    const notified = (channel: string) => {
      for (const listener of this.#listeners) listener(channel);
    };
    this.#writer = new Writer({ place, incarnation, clock: this.#clock, log: options.log, channels, notified });
    this.#writer.keyring = options.keyring;
  }

  open(): Promise<void> {
    return this.#writer.open();
  }

  async object(id: string): Promise<ManagedObject | undefined> {
    return (await this.objects([id]))[0];
  }

  objects(ids: readonly string[]): Promise<readonly ManagedObject[]> {
    return readObjects((text, values) => this.query(text, values), ids);
  }

  locate(filter: ObjectFilter): Promise<readonly string[]> {
    return locateObjects((text, values) => this.query(text, values), filter);
  }

  async write(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return;
    await this.#gate(await this.#writer.write(changes));
  }

  async ingest(operations: readonly Operation[]): Promise<Ingested> {
    return this.#writer.ingest(operations);
  }

  setKeyring(keyring: Keyring): void {
    this.#writer.keyring = keyring;
  }

  setFences(fences: Vector): void {
    this.#writer.fences = fences;
  }

  setGate(gate: (head: number) => Promise<void>): void {
    this.#gate = gate;
  }

  onNotification(listener: (channel: string) => void): void {
    this.#listeners.push(listener);
  }

  vector(): Vector {
    return this.#writer.vector;
  }

  async setting(key: string): Promise<Json | undefined> {
    const [row] = await this.query("select value from keyfleet.settings where key = $1", [key]);
    return row?.value as Json | undefined;
  }

  async setSetting(key: string, value: Json): Promise<void> {
    const text = "insert into keyfleet.settings values ($1, $2) on conflict (key) do update set value = excluded.value";
    await this.query(text, [key, JSON.stringify(value)]);
  }

  async masterKeys(): Promise<readonly SealedMasterKey[]> {
    const rows = await this.query("select version, sealed from keyfleet.master_keys order by version");
    return rows as unknown as readonly SealedMasterKey[];
  }

  async saveMasterKeys(rows: readonly SealedMasterKey[]): Promise<void> {
    await this.query(
      `insert into keyfleet.master_keys select * from unnest($1::integer[], $2::bytea[])
       on conflict (version) do update set sealed = excluded.sealed`,
      [rows.map(({ version }) => version), rows.map(({ sealed }) => sealed)],
    );
  }

  async ping(): Promise<boolean> {
    return this.query("select").then(
      () => true,
      () => false,
    );
  }

  async query(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]> {
    try {
      return (await this.#pool.query(text, values as unknown[] | undefined)).rows;
    } catch (error) {
      throw asStoreError(error);
    }
  }

  status(): StoreStatus {
    return {
      available: this.#writer.connected,
      queuedOperations: this.#writer.queued,
      head: this.#writer.vector.get(this.incarnation) ?? 0,
      unappliedOperations: this.#unapplied,
      clockAheadMs: this.#clock.aheadMs(),
    };
  }

  async close(): Promise<void> {
    this.#writer.close();
    await this.#pool.end();
  }
}
