import { hash } from "node:crypto";
import type { Keyring } from "../keys/types.ts";
import { StoreError } from "./error.ts";
import { isDestroyed, type State } from "./law.ts";
import type { Root } from "./root.ts";
import { decodeState, encodeState } from "./state.ts";

/** A merged object as it rests in the database: its state as text under a MAC, and the sealed material that the state names. */
export interface Row {
  readonly id: string;
  readonly state: string;
  readonly mac: Buffer;
}

/** Authenticates a state for an object; the identifier is under the MAC, so rows cannot be swapped. */
export function makeRow(keyring: Keyring, id: string, state: State): Row {
  const text = encodeState(state);
  return { id, state: text, mac: keyring.mac(authenticated(id, text)) };
}

/** The state of a row; throws StoreError "damaged" when the row is not what a member of the fleet has written. */
export function stateOf(keyring: Keyring, row: Row): State {
  if (!matches(keyring, row)) throw damaged(row.id, "its row was changed in the database");
  const state = decodeState(row.state);
  if (state === undefined)
    throw new StoreError("invalid", `object ${row.id} was written by newer software; run that version`);
  return state;
}

/** What a row adds to the root: its content, whatever master key version its MAC is under. */
export function leafOf(root: Root, { id, state }: Pick<Row, "id" | "state">): Buffer {
  return root.leaf("row", id + state);
}

/** Throws StoreError "damaged" unless the sealed material is the one that the state names. */
export function checkMaterial(id: string, state: State, sealed: Buffer | null | undefined): void {
  checkDigest(id, state, sealed === null || sealed === undefined ? undefined : digestOf(sealed));
}

/** The same where PostgreSQL has made the digest (base64) of the material that rests there. */
export function checkDigest(id: string, state: State, found: string | undefined): void {
  const wanted = isDestroyed(state) ? undefined : state.born?.sealedDigest;
  if (wanted !== found) throw damaged(id, "its sealed material was changed in the database");
}

/** Names sealed material: SHA-256, base64. */
export function digestOf(sealed: Buffer): string {
  return hash("sha256", sealed, "base64");
}

function matches(keyring: Keyring, { id, state, mac }: Row): boolean {
  try {
    return keyring.verifies(authenticated(id, state), mac);
  } catch (error) {
    if ((error as { code?: unknown }).code === "closed") throw error;
    return false; // A MAC of a wrong length.
  }
}

function authenticated(id: string, state: string): Buffer {
  return Buffer.from(`KFR1${id}${state}`);
}

function damaged(id: string, why: string): StoreError {
  return new StoreError("damaged", `object ${id} is not served: ${why}`);
}
