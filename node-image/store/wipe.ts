import pg from "pg";
import { close, connectHere, type Place } from "./connection.ts";

/**
 * Takes everything away that this node holds: log, objects, sealed master keys, incarnation. The next `openStore` makes an
 * empty store of a new incarnation. Sessions of others are ended; safe to repeat and to interrupt. The store must be closed.
 */
export async function wipeStore(place: Place): Promise<void> {
  const client = await connectHere({ ...place, database: "postgres" }, () => undefined);
  try {
    await client.query(`drop database if exists ${pg.escapeIdentifier(place.database)} with (force)`);
  } finally {
    close(client);
  }
}
