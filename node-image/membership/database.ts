import type { Log } from "../config/source.ts";
import { openStore } from "../store/store.ts";
import type { NodeStore } from "../store/types.ts";
import { wipeStore } from "../store/wipe.ts";
import type { Facts } from "./facts.ts";
import { storedClusterId } from "./master-key.ts";

/** A commit that takes as long costs every client a second, and the site its step in the eyes of others. */
const slowCommitMs = 1_000;

/** The node's own PostgreSQL: opened as soon as it answers, and what it holds of this node. */
export class Database {
  readonly #stop = new AbortController();
  readonly #options: {
    readonly socketDirectory: string;
    readonly port: number;
    readonly log: Log;
    readonly version: string;
    /** Room on the volume of the database, in bytes. */
    readonly freeBytes: () => number;
  };
  #store: NodeStore | undefined;
  #clusterId: string | undefined;
  #holdsMasterKey = false;
  #problem = 'waits for PostgreSQL; look at container "postgres"';

  constructor(options: {
    readonly socketDirectory: string;
    readonly port: number;
    readonly log: Log;
    readonly version: string;
    readonly freeBytes: () => number;
  }) {
    this.#options = options;
  }

  get store(): NodeStore | undefined {
    return this.#store;
  }

  get clusterId(): string | undefined {
    return this.#holdsMasterKey ? this.#clusterId : undefined;
  }

  get holdsMasterKey(): boolean {
    return this.#holdsMasterKey;
  }

  get facts(): Facts["database"] {
    const status = this.#store?.status();
    const ready = status?.available === true;
    const message = ready ? "PostgreSQL answers" : this.#problem;
    if (status === undefined) return { ready, message };
    const { damage, damagedObjects, damagedPages, auditedMs, auditProblem, writesRefused, slowestCommitMs } = status;
    return {
      ready,
      message,
      damagedObjects,
      audited: auditedMs !== undefined && auditProblem === undefined,
      ...(damagedPages ? { damagedPages } : {}),
      ...(auditProblem === undefined ? {} : { auditProblem }),
      ...(damage === undefined ? {} : { damage }),
      ...(writesRefused === undefined ? {} : { writesRefused }),
      ...(slowestCommitMs < slowCommitMs ? {} : { slowDisk: true }),
    };
  }

  /** Takes everything away that the node holds and opens an empty store of a new incarnation. */
  async wipe(opened: (store: NodeStore) => void): Promise<void> {
    const { socketDirectory, port, log } = this.#options;
    const store = this.#store;
    this.#store = undefined;
    this.#problem = "the node's store is being wiped";
    await store?.close();
    await wipeStore({ socketDirectory, port, database: "keyfleet" });
    log("warn", "the store was wiped by consent", { incarnation: store?.incarnation });
    await this.open(opened);
  }

  /** Opens the store; tries again for ever, since PostgreSQL may come much later. Calls back when it is there. */
  async open(opened: (store: NodeStore) => void): Promise<void> {
    const { socketDirectory, port, log } = this.#options;
    while (!this.#stop.signal.aborted && this.#store === undefined) {
      try {
        const store = await openStore({
          socketDirectory,
          port,
          softwareVersion: this.#options.version,
          nowMs: () => Date.now(),
          freeBytes: this.#options.freeBytes,
          log: fieldsLog(log, "store"),
          signal: this.#stop.signal,
        });
        await this.#read(store);
        this.#store = store;
        this.#problem = 'PostgreSQL does not answer; look at container "postgres"';
        opened(store);
      } catch (error) {
        this.#problem = `PostgreSQL cannot be used: ${(error as Error).message}`;
        await pause(1_000, this.#stop.signal);
      }
    }
  }

  /** Reads again what the store holds of this node, after it was founded or has joined. */
  async refresh(): Promise<void> {
    if (this.#store !== undefined) await this.#read(this.#store);
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error("the node stops"));
    await this.#store?.close();
  }

  async #read(store: NodeStore): Promise<void> {
    this.#clusterId = await storedClusterId(store);
    this.#holdsMasterKey = (await store.masterKeys()).length > 0;
  }
}

/** Lets rooms that log fields only write through the process's log. */
export function fieldsLog(log: Log, room: string): (fields: Readonly<Record<string, unknown>>) => void {
  return ({ level, message, ...fields }) => {
    const severity = level === "debug" || level === "warn" || level === "error" ? level : "info";
    log(severity, String(message ?? fields.event ?? room), { room, ...fields });
  };
}

function pause(forMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, forMs);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
