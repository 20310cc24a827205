import { hkdfSync, randomFillSync } from "node:crypto";
import type { Hsm } from "../hsm/types.ts";
import { KeyError } from "./key-error.ts";
import { type MasterKey, masterKey, masterKeyBytes } from "./master-key.ts";
import { keyringOf, type MasterKeyRow, type MasterKeyring } from "./master-keyring.ts";

/** Makes the first master key of a new fleet. Rejects with HsmError; nothing is kept then. */
export async function foundKeyring(hsm: Hsm, clusterId: string): Promise<MasterKeyring> {
  const bytes = await freshKeyBytes(hsm);
  try {
    const row = await sealedRow(hsm, clusterId, { version: 1, bytes });
    return keyringOf([masterKey(1, bytes)], [row]);
  } finally {
    bytes.fill(0);
  }
}

/** Opens the master key versions that this node's HSM sealed earlier. Rejects with HsmError or KeyError; all or nothing. */
export async function loadKeyring(hsm: Hsm, clusterId: string, rows: readonly MasterKeyRow[]): Promise<MasterKeyring> {
  const keys: MasterKey[] = [];
  for (const row of rows) {
    const bytes = await hsm.unseal(row.sealed, rowContext(clusterId, row.version));
    if (bytes.length !== masterKeyBytes) {
      bytes.fill(0);
      throw new KeyError("tampered", `master key version ${row.version} has a wrong length`);
    }
    keys.push(masterKey(row.version, bytes));
  }
  return keyringOf(keys, rows);
}

/** Rows to store for this keyring. */
export function exportRows(keyring: MasterKeyring): readonly MasterKeyRow[] {
  return keyring.exportRows();
}

/** Seals one master key version by this node's HSM, bound to cluster and version; leaves `bytes` to the caller. */
export async function sealedRow(
  hsm: Hsm,
  clusterId: string,
  key: { version: number; bytes: Buffer },
): Promise<MasterKeyRow> {
  return { version: key.version, sealed: await hsm.seal(key.bytes, rowContext(clusterId, key.version)) };
}

/** Good as long as either the token's or this machine's random numbers are good. */
async function freshKeyBytes(hsm: Hsm): Promise<Buffer> {
  const fromToken = await hsm.random(masterKeyBytes);
  const both = Buffer.alloc(2 * masterKeyBytes);
  both.set(fromToken, 0);
  randomFillSync(both, masterKeyBytes);
  const key = Buffer.from(hkdfSync("sha256", both, Buffer.alloc(0), "keyfleet master key", masterKeyBytes));
  fromToken.fill(0);
  both.fill(0);
  return key;
}

function rowContext(clusterId: string, version: number): Buffer {
  return Buffer.from(JSON.stringify(["keyfleet master key", clusterId, version]));
}
