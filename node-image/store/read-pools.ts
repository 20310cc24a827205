import type pg from "pg";
import { asStoreError, type Place, readers, whenThereIsRoom } from "./connection.ts";

/** Connections for reading: for clients, and for the rooms that own the tables of the mesh, whom no search keeps waiting. */
const readersMax = { clients: 4, own: 2 } as const;

// These ask for little, at rest once in two seconds: PostgreSQL would wake up a second time for each question, to look whether
// who asked is still there. Long ones, which must end with the process that asked, are asked elsewhere.
const neverLooks = "-c client_connection_check_interval=0";

/** The connections of a store that read only. */
export class ReadPools {
  readonly #clients: pg.Pool;
  readonly #own: pg.Pool;
  /** Told of every failure of PostgreSQL. */
  failed: (error: unknown) => void = () => undefined;

  constructor(place: Place) {
    this.#clients = readers(place, readersMax.clients);
    this.#own = readers(place, readersMax.own, neverLooks);
  }

  /** Rows of a query for clients. Rejects with StoreError. */
  async forClients(query: pg.QueryConfig): Promise<readonly Record<string, unknown>[]> {
    return this.#rowsOf(this.#clients, query);
  }

  /** Rows of a query of our own. Rejects with StoreError. */
  async forUs(query: pg.QueryConfig): Promise<readonly Record<string, unknown>[]> {
    return this.#rowsOf(this.#own, query);
  }

  async end(): Promise<void> {
    await Promise.all([this.#clients.end(), this.#own.end()]);
  }

  async #rowsOf(pool: pg.Pool, query: pg.QueryConfig): Promise<readonly Record<string, unknown>[]> {
    try {
      return (await whenThereIsRoom(() => pool.query(query))).rows;
    } catch (error) {
      this.failed(error);
      throw asStoreError(error);
    }
  }
}
