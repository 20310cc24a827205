import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";

/** What the sidecar must remember over restarts; no secret in it. */
export interface Custody {
  /** Every C_Login ever tried by this node. */
  readonly loginAttempts: number;
  /** Hex; one for all fingerprints below. */
  readonly salt?: string;
  /** PIN values that the token refused, as salted fingerprints. */
  readonly refusedPins: readonly RefusedPin[];
  /** A login that was begun and whose end was not seen. */
  readonly unfinishedLogin?: { readonly fingerprint: string; readonly times: number; readonly atMs: number };
  /** The wrapping key this node once had: with it, none is ever made anew. */
  readonly wrappingKey?: { readonly label: string; readonly tokenSerial: string; readonly checkValue: string };
}

export interface RefusedPin {
  readonly fingerprint: string;
  /** CKR name. */
  readonly cause: string;
  /** The token showed its lock, so that a later look can see that it was lifted. */
  readonly lockShown: boolean;
}

const fileName = "custody.json";
const nothing: Custody = { loginAttempts: 0, refusedPins: [] };

/** What is remembered in this folder; an empty memory when there is none. Throws when the file cannot be read as what it was written. */
export function readCustody(folder: string): Custody {
  const path = join(folder, fileName);
  try {
    return { ...nothing, ...(JSON.parse(readFileSync(path, "utf8")) as Partial<Custody>) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return nothing;
    throw new Error(`${path} cannot be read; restore this node's volume or remove the node and let it join again`);
  }
}

/** Replaces the memory, durably and whole, before this returns. */
export function writeCustody(folder: string, custody: Custody): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, fileName);
  const file = openSync(`${path}.new`, "w", 0o600);
  try {
    writeSync(file, JSON.stringify(custody));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
  syncFolder(folder);
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  fsyncSync(handle);
  closeSync(handle);
}
