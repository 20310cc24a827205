import type { Keyring } from "../keys/types.ts";
import type { Json, Store } from "../objects/types.ts";
import type { Audit } from "./audit.ts";
import type { LogicalClock } from "./clock.ts";
import type { Intake } from "./intake.ts";
import type { Renewal } from "./ledger.ts";
import type { OwnName } from "./own-name.ts";

/** Why the store refused or failed; `unavailable` may also mean that the outcome is not known, `damaged` that the database is not as it was written. */
export type StoreErrorCode = "unavailable" | "overloaded" | "noMasterKey" | "invalid" | "tooMany" | "damaged";

/** Writes one JSON log line; fields only, never secrets. */
export type Log = (fields: Readonly<Record<string, Json>>) => void;

/** One operation of the log. The envelope never changes; what is new goes into `kind` or into the version of the payload. */
export interface Operation {
  /** Incarnation (UUID) of the node that made it. */
  readonly origin: string;
  /** 1, 2, 3 … without gap, per origin. */
  readonly seq: number;
  /** Hybrid logical clock: milliseconds since 1970 shifted left by 16, plus a counter. */
  readonly hlc: bigint;
  readonly kind: string;
  /** UUID of the object it changes. */
  readonly object: string;
  /** UTF-8 JSON with a version: {"v":1,…}. */
  readonly payload: Buffer;
  /** Keyring MAC over the canonical envelope bytes. */
  readonly mac: Buffer;
}

/** Origin → last sequence held; each is a gapless prefix of that origin's log. */
export type Vector = ReadonlyMap<string, number>;

/** A master key version, wrapped by this node's own HSM. */
export interface SealedMasterKey {
  readonly version: number;
  readonly sealed: Buffer;
}

/** What taking in operations of another node came to. */
export type Ingested =
  /** Durable here up to `position`; lower than what was offered when the offer did not join up with the log. */
  | { readonly outcome: "held"; readonly position: number }
  /** Nothing from the refused operation on was taken; `seq` is the first refused one. */
  | {
      readonly outcome: "refused";
      readonly position: number;
      readonly seq: number;
      readonly reason: "badMac" | "clockTooFarAhead" | "malformed" | "fenced";
    };

/** Figures for metrics and status. */
export interface StoreStatus {
  /** Connected to its PostgreSQL and able to write. */
  readonly available: boolean;
  readonly queuedOperations: number;
  /** Last sequence of the own origin that is durable here. */
  readonly head: number;
  /** Operations of a kind or version that this software does not know, or on damaged objects; kept, not applied. */
  readonly unappliedOperations: number;
  /** Objects found changed in the database, or on a damaged page, since the start; they are not served. */
  readonly damagedObjects: number;
  /** PostgreSQL has found pages of its own files damaged: what lies on them is neither served nor given to peers. */
  readonly damagedPages: boolean;
  /** Why the database as a whole cannot be trusted, for people; then nothing is served. */
  readonly damage: string | undefined;
  /** When the whole database was last looked through, by `nowMs`. */
  readonly auditedMs: number | undefined;
  /** Why a later look did not come to its end, for people. */
  readonly auditProblem: string | undefined;
  /** How far the clock of the log runs ahead of this machine's, because of a peer's. */
  readonly clockAheadMs: number;
  /** Why this node writes nothing although its PostgreSQL answers, for people: its volume is full. Reads are served. */
  readonly writesRefused: string | undefined;
  /** The slowest transaction of the last minute, from sending it until it was durable. */
  readonly slowestCommitMs: number;
}

/** Options of `openStore`. */
export interface StoreOptions {
  /** Folder of PostgreSQL's unix socket: /run/keyfleet/postgres. */
  readonly socketDirectory: string;
  /** Names the socket; the mesh port. Default 5432. */
  readonly port?: number;
  /** Default "keyfleet". */
  readonly database?: string;
  /** Absent until the master key is there; nothing is read or written until then, see `setKeyring`. */
  readonly keyring?: Keyring;
  readonly nowMs: () => number;
  readonly log: Log;
  /** Of this software: a database that newer software has changed is used when that says it may be. Else it is refused. */
  readonly softwareVersion?: string;
  /** Room on the volume of the database, in bytes; absent: it is not looked at. */
  readonly freeBytes?: () => number;
  /** Ends the attempts to reach PostgreSQL; openStore then rejects with the abort reason. */
  readonly signal?: AbortSignal;
}

/** Holds back the answers of writes that are durable here until they are elsewhere too. */
export interface WriteGate {
  /** Whether there is anybody to wait for. */
  readonly holds: boolean;
  /** Resolves when this node's log up to `head` is held by all that must hold it. */
  wait(head: number): Promise<void>;
}

/** The node's store with all that is local to the node, and the doors that replication uses. */
export interface NodeStore extends Store {
  /** From now on objects are read, writes and operations of others accepted; resolves when all that was kept is merged. */
  setKeyring(keyring: Keyring): Promise<void>;
  /** A local value that never replicates, e.g. "clusterId"; undefined when never set. */
  setting(key: string): Promise<Json | undefined>;
  setSetting(key: string, value: Json): Promise<void>;
  /** By version. */
  masterKeys(): Promise<readonly SealedMasterKey[]>;
  /** Adds or replaces the given versions, all or nothing. */
  saveMasterKeys(rows: readonly SealedMasterKey[]): Promise<void>;
  /** Resolves true when PostgreSQL answers a query. */
  ping(): Promise<boolean>;
  /** UUID of this node's own log. */
  readonly incarnation: string;
  /** That it is this node's, and no other's. */
  readonly ownName: Pick<OwnName, "isProved" | "prove">;
  /** What the member `from` shows the member `to` (identities) beside its certificate; undefined without the master key. */
  pass(from: string, to: string): string | undefined;
  /** Stamps what is written; hears those of the peers. */
  readonly clock: Pick<LogicalClock, "hear" | "isSettled" | "isRefused">;
  vector(): Vector;
  /** MAC of one operation; undefined when it is not in the log, or not any more. */
  macAt(origin: string, seq: number): Promise<Buffer | undefined>;
  /**
   * Whether this node's own log surely ends where its database says, so that it may be gone on with: this process has begun
   * it, or all members were asked, or an earlier process knew it and PostgreSQL has run ever since. A database that was
   * started from an older disk does not know how far its log went.
   */
  readonly ownEndKnown: boolean;
  /** All who may hold some of the own log were asked, and none holds more than is here, nor will. */
  setOwnEndKnown(): void;
  /** Called before each write as long as the end of the own log is not known. Default: nothing is done. */
  setOpening(opening: () => Promise<void>): void;
  /** Begins a log of a new name, unless the present one has another name than is said or goes beyond `head`; resolves whether it did. */
  renew(renewal: Renewal): Promise<boolean>;
  /** From now on writes are refused, with the reason. */
  block(reason: string): void;
  /** How far a log goes here, with the MAC of its last operation, which tells it from another of the same name. */
  head(origin: string): { readonly seq: number; readonly mac: Buffer } | undefined;
  /** Takes in consecutive operations of ONE other origin; what is held already is skipped. Rejects with StoreError "unavailable". */
  ingest(operations: readonly Operation[], options?: { readonly importing?: true }): Promise<Ingested>;
  /** Resolves when all that was to be taken in by now is on the disk, or was given up. Rejects with StoreError "unavailable". */
  settled(): Promise<void>;
  /** Another node's state instead of its log. */
  readonly intake: Intake;
  /**
   * Takes from the beginning of each log what `common` covers and is older than so many milliseconds, a bounded amount a
   * call; returns how many operations.
   */
  prune(common: Vector, olderThanMs: number): Promise<number>;
  /** Nothing is written that members of this version would not understand; at the start, what the first version knows. */
  setFeatureLevel(version: string): void;
  /**
   * Operations of an origin beyond its last sequence are refused; origin → last sequence. It outlives the process and only
   * rises: a lower one, or none, changes nothing, and what is held already is within it.
   */
  setFences(fences: Vector): void;
  /** The same from a peer, who proves that a member has said so: `mesh.fences()`. Returns whether any rose. Throws StoreError "noMasterKey". */
  takeFences(said: unknown): boolean;
  /** Asked with each new head; undefined, as at first: nobody is waited for. */
  setGate(gate: WriteGate | undefined): void;
  /** Called with PostgreSQL notifications (channel) and "connected" after each reconnect, until what this returns is called. */
  onNotification(listener: (channel: string) => void): () => void;
  /** Looks the whole database through beside all else; what is wrong shows in `status`. Runs by itself every hour. */
  audit(): Promise<Audit>;
  /** One query on the reading connections, for the rooms that own the tables of the mesh; with values it is prepared. */
  query(text: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  status(): StoreStatus;
  close(): Promise<void>;
}
