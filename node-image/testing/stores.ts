import { Snapshot } from "../replication/snapshot.ts";
import type { Place } from "../store/connection.ts";
import { openStore } from "../store/store.ts";
import type { NodeStore } from "../store/types.ts";
import { testKeyring } from "./keyring.ts";
import { startPostgres } from "./postgres.ts";

/** Nodes of one fleet that are databases of one PostgreSQL; a peer is asked the same functions as over the mesh. */
export interface Stores {
  readonly keyring: ReturnType<typeof testKeyring>;
  /** An empty node. */
  aNode(): Promise<NodeStore>;
  /** The node after a start of its key server. */
  reopen(store: NodeStore): Promise<NodeStore>;
  /** Where its database is. */
  placeOf(store: NodeStore): Place;
  /** Ends the nodes that there are. */
  close(): Promise<void>;
  stop(): Promise<void>;
}

/** `freeBytes`: room on each node's volume. */
export async function startStores(freeBytes = () => Number.POSITIVE_INFINITY): Promise<Stores> {
  const postgres = await startPostgres();
  const keyring = testKeyring();
  const databases = new Map<NodeStore, string>();
  let count = 0;
  const open = async (database: string) => {
    const { socketDirectory, port } = postgres;
    const common = { keyring, nowMs: () => Date.now(), log: () => undefined, freeBytes };
    const store = await openStore({ socketDirectory, port, database, ...common });
    databases.set(store, database);
    return store;
  };
  const close = async () => {
    for (const store of databases.keys()) await store.close();
    databases.clear();
  };
  return {
    keyring,
    aNode: () => {
      count += 1;
      return open(`node${count}`);
    },
    reopen: async (store) => {
      await store.close();
      return open(databases.get(store) ?? "");
    },
    placeOf: (store) => {
      const { socketDirectory, port } = postgres;
      return { socketDirectory, port, database: databases.get(store) ?? "" };
    },
    close,
    stop: async () => {
      await close();
      await postgres.stop();
    },
  };
}

/** The node takes the peer's snapshot; `query` stands between them. */
export function takes(store: NodeStore, peer: NodeStore, query = peer.query.bind(peer)): Promise<void> {
  const connection = {
    query: async (text: string, values?: unknown[]) => [...(await query(text, values))],
    tlsGroup: undefined,
    close: () => undefined,
  };
  return new Snapshot({ connection, store, identity: peer.incarnation }).run();
}
