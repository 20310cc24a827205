import type pg from "pg";
import type { Keyring } from "../keys/types.ts";
import type { Change } from "../objects/types.ts";
import type { LogicalClock } from "./clock.ts";
import { asStoreError, close, connectHere, isStatementError, type Place } from "./connection.ts";
import type { DiskRoom } from "./disk-room.ts";
import { type Draft, encode } from "./draft.ts";
import { StoreError } from "./error.ts";
import { writable } from "./kinds.ts";
import { type GrantReadings, Ledger } from "./ledger.ts";
import { SlowestCommit } from "./slowest-commit.ts";
import type { Ingested, Log, Operation } from "./types.ts";

/** Changes that may wait for the transaction in flight, and their bytes; more are refused. */
export const queuedMax = 10_000;
export const queuedMaxBytes = 96 * 1024 * 1024;
const batchMax = 1_000;
const batchMaxBytes = 8 * 1024 * 1024;
/** Changes that are not worth two transactions. */
const halfMin = 16;
const reconnectMinMs = 50;
const reconnectMaxMs = 1_000;
// Held by the one key server that writes.
const writerLock = 5_696_001;

/** Something that waits for a transaction: what it adds to the draft, and how it ends. */
interface Entry {
  readonly size: number;
  /** Changes of this node among them. */
  readonly own: number;
  readonly bytes: number;
  prepare?(draft: Draft): void;
  /** Work on the connection in a turn of its own, instead of `prepare`. */
  alone?(client: pg.Client): Promise<void>;
  /** What it does alone changes no object, so what is remembered of readings stays true. */
  readonly sparesObjects?: boolean;
  done(draft: Draft | undefined): void;
  failed(error: unknown): void;
}

/** Options of the writer. */
export interface WriterOptions {
  readonly place: Place;
  readonly incarnation: string;
  readonly clock: LogicalClock;
  readonly log: Log;
  readonly channels: readonly string[];
  readonly notified: (channel: string) => void;
  /** Objects whose rows are not what was written. */
  readonly damaged: (ids: ReadonlySet<string>) => void;
  /** Told of every failure of PostgreSQL. */
  readonly failed: (error: unknown) => void;
  readonly room: DiskRoom;
  /** Told of each commit's objects before and after it, and of every time that anything may have changed. */
  readonly readings: Readings;
  /** Told of each commit that concerns objects with grants of Locate. */
  readonly grants: GrantReadings;
  /** Changes that are durable here and wait for other sites; undefined when none waits for any. */
  readonly heldBack: () => number | undefined;
}

/** What is remembered of readings, and must not outlive a change. */
export interface Readings {
  touch(ids: Iterable<string>): void;
  release(ids: Iterable<string>): void;
  /** `known`: this process is the one writer, and every transaction's outcome is known. */
  reset(known: boolean): void;
}

/** The one connection that appends: what is asked for while a transaction is in flight goes into the next one together. */
export class Writer {
  readonly ledger: Ledger;
  readonly slowestCommit: SlowestCommit;
  readonly #options: WriterOptions;
  #keyring: Keyring | undefined;
  #queue: Entry[] = [];
  #queuedLocal = 0;
  #queuedBytes = 0;
  #client: pg.Client | undefined;
  #flushing = false;
  #flushesSoon = false;
  #closed = false;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.ledger = new Ledger(options);
    this.slowestCommit = new SlowestCommit(options.log);
  }

  get room(): DiskRoom {
    return this.#options.room;
  }

  get connected(): boolean {
    return this.#client !== undefined;
  }

  /** Nothing newer than this version is written. */
  featureLevel = "0.1.0";

  get queued(): number {
    return this.#queuedLocal;
  }

  /** From now on rows can be checked and written; resolves when what was kept is merged. */
  async useKeyring(keyring: Keyring): Promise<void> {
    this.#keyring = keyring;
    if (this.#client === undefined) return;
    // Nothing of the queue may run meanwhile.
    await this.alone((client) => this.ledger.trust(client, keyring));
  }

  /** An audit has found the database whole: what was distrusted is served and written again. */
  async rehabilitate(): Promise<void> {
    if (this.ledger.problem !== undefined) await this.alone((client) => this.ledger.rehabilitate(client));
  }

  /** Runs work on the connection while nothing else is written; after a failure the position is read anew. */
  async alone<Result>(
    work: (client: pg.Client) => Promise<Result>,
    options: { readonly sparesObjects?: boolean } = {},
  ): Promise<Result> {
    if (this.#client === undefined) throw this.#away();
    let result: Result;
    return this.#enqueue<Result>({ size: batchMax, own: 0, bytes: batchMaxBytes }, (resolve) => ({
      ...options,
      alone: async (client) => {
        result = await work(client);
      },
      done: () => resolve(result),
    }));
  }

  /** Resolves with this node's head once the changes are durable here. */
  write(changes: readonly Change[]): Promise<number> {
    this.#mustWrite();
    const allowed = writable(changes, this.featureLevel);
    if (this.#queuedLocal + allowed.length > queuedMax) throw overloaded();
    const encoded = encode(allowed);
    const bytes = encoded.reduce((sum, change) => sum + change.payload.length, 0);
    if (this.#queuedBytes > 0 && this.#queuedBytes + bytes > queuedMaxBytes) throw overloaded();
    const names = allowed.flatMap(({ attributes }) => Object.keys(attributes));
    let problem: StoreError | undefined;
    this.#queuedLocal += encoded.length;
    this.#queuedBytes += bytes;
    return this.#enqueue<number>({ size: encoded.length, own: encoded.length, bytes }, (resolve, reject) => ({
      prepare: (draft) => {
        problem = this.#importing() ?? (this.ledger.isOfFormer(names) ? renewed() : undefined);
        if (problem === undefined) draft.addLocal(encoded);
      },
      done: (draft) => (problem ? reject(problem) : resolve(draft?.position(this.ledger.incarnation) ?? 0)),
    })).finally(() => {
      this.#queuedLocal -= encoded.length;
      this.#queuedBytes -= bytes;
    });
  }

  /** `importing`: they belong to the snapshot that is being taken in; others must wait for its end. */
  ingest(operations: readonly Operation[], importing = false): Promise<Ingested> {
    this.#mustWrite();
    let problem: StoreError | undefined;
    const bytes = operations.reduce((sum, operation) => sum + operation.payload.length, 0);
    let outcome: Ingested = { outcome: "held", position: 0 };
    return this.#enqueue<Ingested>({ size: operations.length, own: 0, bytes }, (resolve, reject) => ({
      prepare: (draft) => {
        problem = importing ? undefined : this.#importing();
        if (problem === undefined) outcome = draft.addForeign(operations);
      },
      done: () => (problem ? reject(problem) : resolve(outcome)),
    }));
  }

  /** Connects, and from then on again after each loss. Rejects only when the first attempt fails. */
  async open(): Promise<void> {
    const { place, channels, notified } = this.#options;
    const client = await connectHere(place, () => this.#lost(client));
    try {
      const { rows } = await client.query("select pg_try_advisory_lock($1) as held", [writerLock]);
      if (rows[0].held !== true) throw new StoreError("unavailable", "another key server writes to this database");
      client.on("notification", (message) => notified(message.channel));
      for (const channel of channels) await client.query(`listen ${channel}`);
      await this.ledger.reread(client);
      // One that comes meanwhile is not known to the ledger yet, and the one before it is closed.
      for (let trusted: Keyring | undefined; this.#keyring !== undefined && this.#keyring !== trusted; ) {
        trusted = this.#keyring;
        await this.ledger.trust(client, trusted);
      }
      if (this.#closed) throw new StoreError("unavailable", "the store is closed");
    } catch (error) {
      close(client);
      throw error;
    }
    this.#options.readings.reset(true);
    this.#client = client;
    notified("connected");
  }

  close(): void {
    this.#closed = true;
    this.#drop(new StoreError("unavailable", "the store is closed"));
  }

  #mustWrite(): void {
    if (this.#keyring === undefined)
      throw new StoreError("noMasterKey", "this node has no master key yet; use another node until it has joined");
    if (this.#client === undefined) throw this.#away();
    if (this.ledger.problem !== undefined) throw this.ledger.problem;
    if (this.room.problem !== undefined) throw this.room.problem;
  }

  /** Asked when a batch is made: a snapshot may have begun, and emptied the log, while the entry waited. */
  #importing(): StoreError | undefined {
    return this.ledger.importing === undefined ? undefined : takingIn();
  }

  #away(): StoreError {
    return new StoreError("unavailable", "the node's PostgreSQL does not answer; try again or use another node");
  }

  #enqueue<Result>(
    measure: Pick<Entry, "size" | "own" | "bytes">,
    entry: (
      resolve: (result: Result) => void,
      reject: (error: Error) => void,
    ) => Omit<Entry, "size" | "own" | "bytes" | "failed">,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...measure, ...entry(resolve, reject), failed: (error) => reject(asStoreError(error)) });
      this.#flushSoon();
    });
  }

  /** After all that is asked for in this moment: what was answered together asks again together, for one transaction. */
  #flushSoon(): void {
    if (this.#flushing || this.#flushesSoon) return;
    this.#flushesSoon = true;
    process.nextTick(() => {
      this.#flushesSoon = false;
      this.#flush();
    });
  }

  #flush(): void {
    const client = this.#client;
    if (this.#flushing || client === undefined || this.#queue.length === 0) return;
    this.#flushing = true;
    const entries = this.#takeBatch();
    this.#commit(client, entries)
      .catch((error) => this.#failed(client, entries, error))
      .finally(() => {
        this.#flushing = false;
        this.#flushSoon();
      });
  }

  #takeBatch(): Entry[] {
    const ownMax = this.#ownMax();
    let [size, own, bytes] = [0, 0, 0];
    const end = this.#queue.findIndex((entry, index) => {
      size += entry.size;
      own += entry.own;
      bytes += entry.bytes;
      const alone = entry.alone ?? this.#queue[0]?.alone;
      return index > 0 && (size > batchMax || own > ownMax || bytes > batchMaxBytes || alone !== undefined);
    });
    return this.#queue.splice(0, end < 0 ? this.#queue.length : end);
  }

  /** Of what waits for other sites as well, half: while they take in the one half, the other is written here. */
  #ownMax(): number {
    const heldBack = this.#options.heldBack();
    return heldBack === undefined ? batchMax : Math.max(halfMin, Math.ceil((heldBack + this.#queuedLocal) / 2));
  }

  async #commit(client: pg.Client, entries: readonly Entry[]): Promise<void> {
    const [first] = entries;
    if (first?.alone !== undefined) {
      if (first.sparesObjects) {
        await first.alone(client);
        return first.done(undefined);
      }
      this.#options.readings.reset(false);
      await first.alone(client).finally(() => this.#options.readings.reset(this.#client === client));
      return first.done(undefined);
    }
    const draft = this.ledger.draft();
    for (const entry of entries) entry.prepare?.(draft);
    const { readings } = this.#options;
    const objects = draft.objects();
    readings.touch(objects);
    const startedMs = performance.now();
    await this.ledger.commit(client, draft).finally(() => readings.release(objects));
    this.slowestCommit.took(performance.now() - startedMs);
    for (const entry of entries) entry.done(draft);
  }

  /** One bad entry must not fail the others: each is tried alone. Everything else means that the connection is of no use. */
  async #failed(client: pg.Client, entries: readonly Entry[], error: unknown): Promise<void> {
    this.#options.failed(error);
    // What the work itself refuses has no cause, and says nothing of the connection.
    const refused = error instanceof StoreError && error.cause === undefined;
    const statement = refused || isStatementError(error) || asStoreError(error).code !== "unavailable";
    this.ledger.forget();
    if (!statement || entries.length === 1) {
      for (const entry of entries) entry.failed(error);
      // KF: the log is not where we thought; reading the position again mends it.
      if (!statement || (error as { code?: string }).code === "KF001") this.#lost(client);
      return;
    }
    for (const entry of entries) {
      if (this.#client !== client) entry.failed(new StoreError("unavailable", "the connection to PostgreSQL was lost"));
      else await this.#commit(client, [entry]).catch((cause) => this.#failed(client, [entry], cause));
    }
  }

  #lost(client: pg.Client): void {
    if (this.#client !== client) return;
    this.#options.log({ level: "warn", event: "databaseLost" });
    this.#drop(
      new StoreError("unavailable", "the connection to PostgreSQL was lost; the outcome of the write is not known"),
    );
    this.#reconnect(reconnectMinMs);
  }

  #drop(error: StoreError): void {
    const client = this.#client;
    this.#client = undefined;
    this.#options.readings.reset(false);
    const waiting = this.#queue;
    this.#queue = [];
    for (const entry of waiting) entry.failed(error);
    if (client !== undefined) close(client);
  }

  #reconnect(afterMs: number): void {
    if (this.#closed) return;
    setTimeout(() => {
      this.open().then(
        () => this.#options.log({ level: "info", event: "databaseBack" }),
        (error) => {
          this.#options.failed(error);
          this.#reconnect(Math.min(afterMs * 2, reconnectMaxMs));
        },
      );
    }, afterMs).unref();
  }
}

/** While a snapshot is taken in, nothing is complete. */
export function takingIn(): StoreError {
  return new StoreError("unavailable", "this node is taking in the fleet's objects; use another node");
}

function overloaded(): StoreError {
  return new StoreError("overloaded", "too many writes wait for the database; try again later or use another node");
}

function renewed(): StoreError {
  const why = "the node found meanwhile that its database is an older one and began a new log";
  return new StoreError("unavailable", `nothing was written: ${why}; try again`);
}
