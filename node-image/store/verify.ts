import type { Keyring } from "../keys/types.ts";
import { type Audit, audit } from "./audit.ts";
import { close, connectHere, type Place } from "./connection.ts";
import { StoreError } from "./error.ts";
import type { SealedMasterKey } from "./types.ts";

/** What a database tells of the keys that it was written with. */
export interface StoredKeys {
  readonly clusterId: string;
  readonly masterKeys: readonly SealedMasterKey[];
}

/** Checks a whole database, written by a key server that may run meanwhile or not; changes nothing. */
export async function verifyStore(place: Place, open: (stored: StoredKeys) => Promise<Keyring>): Promise<Audit> {
  const client = await connectHere(place, () => undefined);
  try {
    const { rows: settings } = await client.query("select value from keyfleet.settings where key = 'clusterId'");
    const { rows: masterKeys } = await client.query(
      "select version, sealed from keyfleet.master_keys order by version",
    );
    const clusterId: unknown = settings[0]?.value;
    if (typeof clusterId !== "string" || masterKeys.length === 0)
      throw new StoreError("noMasterKey", "this database holds no master key: the node has not joined a fleet");
    return await audit(client, await open({ clusterId, masterKeys }));
  } finally {
    close(client);
  }
}
