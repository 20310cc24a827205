import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { StoreError } from "./error.ts";

/** Where PostgreSQL is. */
export interface Place {
  readonly socketDirectory: string;
  readonly port: number;
  readonly database: string;
}

/** Where the options say, or where the image has it. */
export function placeOf({ socketDirectory, port = 5432, database = "keyfleet" }: PlaceOptions): Place {
  return { socketDirectory, port, database };
}

type PlaceOptions = Pick<Place, "socketDirectory"> & { readonly port?: number; readonly database?: string };

const connectDeadlineMs = 3_000;
/**
 * Strangers at the mesh port have a session's place each until `authentication_timeout` is over (postgresql.conf). A place
 * that is given back goes to whoever comes next, and PostgreSQL takes callers at the socket and at the port by turns: who
 * asks often has one soon.
 */
const fullDeadlineMs = 4_000;
const fullPauseMs = 10;
// Longer than any transaction of ours takes; beyond it PostgreSQL hangs and the connection is given up.
const queryDeadlineMs = 15_000;
// One statement over a whole table of millions.
const lastingDeadlineMs = 1_800_000;
// A member may read a table for 15 s, and two more until that is noticed (mesh.sql): who empties it waits for that.
const emptyingDeadlineMs = 30_000;
// Of the name of a prepared statement.
const nameMaxLength = 63;

/** Connection settings of the key server's own role on the unix socket. */
export function localConnection(place: Place): pg.ClientConfig {
  return {
    host: place.socketDirectory,
    port: place.port,
    database: place.database,
    user: "keyfleet",
    application_name: "keyfleet",
    connectionTimeoutMillis: connectDeadlineMs,
    query_timeout: queryDeadlineMs,
  };
}

/**
 * Connects; rejects when nobody answers within 3 s or the connection is over before it is usable. A later loss goes to
 * `lost`, once, and never before this has resolved: until then nobody holds the client that was lost.
 */
export async function connect(config: pg.ClientConfig, lost: (error: Error) => void): Promise<pg.Client> {
  const client = new pg.Client(config);
  let state: "connecting" | "open" | "over" = "connecting";
  let early: Error | undefined;
  const report = (error: Error) => {
    if (state === "connecting") early ??= error;
    if (state !== "open") return;
    state = "over";
    lost(error);
  };
  client.on("error", report);
  client.on("end", () => report(new Error("connection closed")));
  try {
    await client.connect();
    if (early !== undefined) throw early;
  } catch (error) {
    state = "over";
    close(client);
    throw error;
  }
  state = "open";
  return client;
}

/** Connects as the key server; as `connect`, but waits up to 4 s for room among PostgreSQL's sessions. */
export function connectHere(place: Place, lost: (error: Error) => void): Promise<pg.Client> {
  return whenThereIsRoom(() => connect(localConnection(place), lost));
}

/** Tries again for 4 s while PostgreSQL has no room for another session: then nothing of the attempt was carried out. */
export async function whenThereIsRoom<Result>(
  attempt: () => Promise<Result>,
  pauseMs: number = fullPauseMs,
): Promise<Result> {
  for (let untilMs: number | undefined; ; await delay(pauseMs)) {
    try {
      return await attempt();
    } catch (error) {
      untilMs ??= performance.now() + fullDeadlineMs;
      if (!isFull(error) || performance.now() >= untilMs) throw error;
    }
  }
}

/** Ends a connection without waiting for the other side. */
export function close(client: pg.Client): void {
  client.end().catch(() => undefined);
  const { stream } = (client as unknown as { connection?: { stream?: { destroy(): void } } }).connection ?? {};
  stream?.destroy();
}

/** A few connections for reading, `max` at most; `options` besides ours, as PostgreSQL takes them. */
export function readers(place: Place, max: number, options = ""): pg.Pool {
  const pool = new pg.Pool({
    ...localConnection(place),
    // Plans of prepared queries outlive the time when tables were small.
    options: `-c enable_seqscan=off ${options}`,
    max,
    idleTimeoutMillis: 60_000,
  });
  // An idle connection that breaks is replaced at the next query.
  pool.on("error", () => undefined);
  return pool;
}

/** For queries that are few and always the same: one with values is parsed and planned once a connection. Their texts differ in their first 63 characters. */
export function prepared(text: string, values: unknown[] | undefined): pg.QueryConfig {
  return values === undefined ? { text } : { name: text.slice(0, nameMaxLength), text, values };
}

/** A statement over whole tables: it may take as long as it must, where others are given up. */
export function lasting(text: string, values: unknown[] = []): pg.QueryConfig {
  return { text, values, query_timeout: lastingDeadlineMs } as pg.QueryConfig;
}

/** Empties tables that members read, who hold it up for as long as they may. */
export function emptying(tables: readonly string[]): pg.QueryConfig {
  return { text: `truncate ${tables.join()}`, query_timeout: emptyingDeadlineMs } as pg.QueryConfig;
}

/** Whether the statement itself failed while PostgreSQL goes on: bad data, not a lost connection or a shutdown. */
export function isStatementError(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && /^(22|23|42|54|P0|KF)/.test(code);
}

/** Whether PostgreSQL has as many sessions as it may have: too_many_connections. */
function isFull(error: unknown): boolean {
  return (error as { code?: unknown }).code === "53300";
}

/** Whether a row is there already that was to be inserted: unique_violation. */
export function isThere(error: unknown): boolean {
  return (error as { code?: unknown }).code === "23505";
}

/** Whether PostgreSQL found its own files damaged: a wrong checksum, a torn index. */
export function isCorruption(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "XX001" || code === "XX002";
}

/** Turns a failure of PostgreSQL into what callers of the store expect. */
export function asStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const cause = { cause: error };
  if ((error as { code?: unknown }).code === "closed")
    return new StoreError("noMasterKey", "this node's master key was dropped; use another node", cause);
  if (isCorruption(error))
    return new StoreError(
      "damaged",
      "PostgreSQL found a page of its files damaged; remove this node and join it again",
      cause,
    );
  if (isStatementError(error)) return new StoreError("invalid", "the database refused the values", cause);
  return new StoreError("unavailable", "the node's PostgreSQL does not answer; try again or use another node", cause);
}
