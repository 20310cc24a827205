import type pg from "pg";
import type { Keyring } from "../keys/types.ts";
import type { LogicalClock } from "./clock.ts";
import { asStoreError } from "./connection.ts";
import { Draft } from "./draft.ts";
import { StoreError } from "./error.ts";
import { KnownRows } from "./known-rows.ts";
import { type Changed, Merge } from "./merge.ts";
import { asOperation, understands } from "./operation.ts";
import { Root } from "./root.ts";
import type { Operation, Vector } from "./types.ts";

const pageSize = 1_000;

/** Options of `Ledger`. */
export interface LedgerOptions {
  readonly incarnation: string;
  readonly clock: LogicalClock;
  /** Objects whose rows are not what this node has written. */
  readonly damaged: (ids: ReadonlySet<string>) => void;
}

/** What the one writer knows of the database, and how a draft becomes a transaction. */
export class Ledger {
  fences: Vector = new Map();
  readonly #options: LedgerOptions;
  readonly #rows = new KnownRows();
  #vector = new Map<string, number>();
  #keyring: Keyring | undefined;
  #root: Root | undefined;
  #kept = 0;
  #problem: StoreError | undefined;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  get vector(): Vector {
    return this.#vector;
  }

  /** Operations that wait until they can be merged. */
  get kept(): number {
    return this.#kept;
  }

  /** Why nothing of the database can be trusted. */
  get problem(): StoreError | undefined {
    return this.#problem;
  }

  /** Reads how far the log goes; always anew: what was in flight when the connection broke may or may not be there. */
  async read(client: pg.Client): Promise<void> {
    const { rows } = await client.query("select origin, seq, hlc from keyfleet.vector");
    this.#rows.forget();
    this.#root = undefined;
    this.#vector = new Map(rows.map((row) => [row.origin as string, Number(row.seq)]));
    for (const row of rows) this.#options.clock.follow(BigInt(row.hlc));
    const counted = await client.query("select count(*) as kept from keyfleet.kept");
    this.#kept = Number(counted.rows[0].kept);
  }

  /** Opens the root and merges what was kept and is understood now. A store that is not what was written is a `problem`. */
  async trust(client: pg.Client, keyring: Keyring): Promise<void> {
    this.#keyring = keyring;
    this.#problem = undefined;
    try {
      this.#root = await openRoot(client, keyring, this.#vector);
      await this.#mergeKept(client);
    } catch (error) {
      if (asStoreError(error).code === "noMasterKey") return;
      if (!(error instanceof StoreError) || error.code !== "damaged") throw error;
      this.#problem = error;
    }
  }

  /** With it rows are checked; throws StoreError "noMasterKey" or the `problem`. */
  get keyring(): Keyring {
    if (this.#problem !== undefined) throw this.#problem;
    if (this.#keyring === undefined)
      throw new StoreError("noMasterKey", "this node has no master key yet; use another node until it has joined");
    return this.#keyring;
  }

  /** From now on nothing of the database is trusted. */
  distrust(why: string): void {
    this.#problem = new StoreError("damaged", why);
  }

  draft(): Draft {
    const { incarnation, clock } = this.#options;
    return new Draft({ incarnation, clock, keyring: this.keyring, fences: this.fences, vector: this.#vector });
  }

  /** Appends, merges and sums up in one transaction. */
  async commit(client: pg.Client, draft: Draft): Promise<void> {
    const { keyring } = this;
    if (this.#root === undefined) throw new StoreError("noMasterKey", "this node has no master key");
    if (draft.operations.length === 0 && draft.kept.length === 0) return;
    const { merged, changed } = await this.#merge(client, draft, keyring);
    const vector = new Map([...this.#vector, ...draft.positions()]);
    const held = draft.kept.filter((operation) => merged.has(operation));
    const left = draft.operations.filter((operation) => !merged.has(operation));
    const root = this.#root.copy("here");
    for (const { mac } of [...held, ...left]) root.toggle("kept", mac);
    for (const { row, before } of changed) {
      if (before !== undefined) root.toggle("row", before);
      root.toggle("row", row.mac);
    }
    const sealed = root.sealed(keyring, vector);
    const values = [...draft.columns(merged), ...rowColumns(changed), ...keptColumns(held), sealed];
    const places = values.map((_, index) => `$${index + 1}`).join();
    await client.query({ name: "commit", text: `select keyfleet.commit_batch(${places})`, values });
    this.#vector = vector;
    this.#root = root;
    this.#kept += left.length - held.length;
    this.#rows.wrote(changed);
  }

  /** After a failed commit nothing that is remembered is certain. */
  forget(): void {
    this.#rows.forget();
  }

  async #merge(
    client: pg.Client,
    draft: Draft,
    keyring: Keyring,
  ): Promise<{ readonly merged: ReadonlySet<Operation>; readonly changed: readonly Changed[] }> {
    const merging = draft.merging();
    const ids = new Set(merging.map(({ object }) => object));
    const { known, damaged } = await this.#rows.load(client, keyring, ids);
    if (damaged.size > 0) this.#options.damaged(damaged);
    // What concerns a damaged row is kept, so that the rest goes on.
    const merged = merging.filter(({ object }) => !damaged.has(object));
    const merge = new Merge(known);
    for (const operation of merged) merge.add(operation);
    return { merged: new Set(merged), changed: merge.changed(keyring) };
  }

  async #mergeKept(client: pg.Client): Promise<void> {
    let after = { origin: "00000000-0000-0000-0000-000000000000", seq: "0" };
    for (;;) {
      const { rows } = await client.query(
        `select * from keyfleet.kept where (origin, seq) > ($1::uuid, $2::bigint) order by origin, seq limit ${pageSize}`,
        [after.origin, after.seq],
      );
      const last = rows.at(-1);
      if (last === undefined) return;
      const draft = this.draft();
      const known = rows.map(asOperation).filter(understands);
      if (!draft.addKept(known)) throw new StoreError("damaged", "an operation in the database is not as it was made");
      await this.commit(client, draft);
      after = { origin: last.origin, seq: last.seq };
    }
  }
}

/** Only a store in which nothing is merged yet may be without root: new, or to be merged anew from its whole log. */
async function openRoot(client: pg.Client, keyring: Keyring, vector: Vector): Promise<Root> {
  const { rows } = await client.query("select sealed from keyfleet.root");
  if (rows[0] !== undefined) return Root.open(keyring, rows[0].sealed, vector);
  const { rows: unmerged } = await client.query(
    `select not exists (select from keyfleet.objects)
       and (select count(*) from keyfleet.ops) = (select count(*) from keyfleet.kept) as whole`,
  );
  if (unmerged[0].whole !== true) throw new StoreError("damaged", "the root of the database is missing");
  const root = Root.fresh();
  await eachKeptMac(client, (mac) => root.toggle("kept", mac));
  return root;
}

async function eachKeptMac(client: pg.Client, take: (mac: Buffer) => void): Promise<void> {
  let after = { origin: "00000000-0000-0000-0000-000000000000", seq: "0" };
  for (;;) {
    const { rows } = await client.query(
      `select origin, seq, mac from keyfleet.kept where (origin, seq) > ($1::uuid, $2::bigint)
       order by origin, seq limit 10000`,
      [after.origin, after.seq],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    for (const row of rows) take(row.mac);
    after = last;
  }
}

function rowColumns(changed: readonly Changed[]): unknown[] {
  return [
    changed.map(({ row }) => row.id),
    changed.map(({ before }) => before === undefined),
    changed.map(({ row }) => row.state),
    changed.map(({ row }) => row.mac),
    changed.map(({ material }) => (material === "keep" ? null : material)),
    changed.map(({ material }) => material === "keep"),
  ];
}

function keptColumns(held: readonly Operation[]): unknown[] {
  return [held.map(({ origin }) => origin), held.map(({ seq }) => seq)];
}
