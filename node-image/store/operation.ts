import type { Keyring } from "../keys/types.ts";
import type { Change, Json } from "../objects/types.ts";
import { StoreError } from "./error.ts";
import { kinds } from "./kinds.ts";
import type { Operation } from "./types.ts";
import { writeUuid } from "./uuid.ts";

/** Largest payload of one operation. */
export const payloadMaxBytes = 1024 * 1024;
const depthMax = 32;
const attributesMax = 1_000;
const nameMaxLength = 1_000;
const version = 1;
const headBytes = 56;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A UUID as the store writes it: lower case, with hyphens. */
export function isUuid(text: string): boolean {
  return uuid.test(text);
}

/** The bytes under the MAC: everything of the operation but the MAC, each part with a fixed place or its length before it. */
export function envelope(operation: Omit<Operation, "mac">): Buffer {
  const { origin, seq, hlc, kind, object, payload } = operation;
  const kindBytes = Buffer.byteLength(kind);
  // Every byte of it is written below, and none is secret: such a buffer need not be cleared, nor be one of its own.
  const bytes = Buffer.allocUnsafe(headBytes + kindBytes + payload.length);
  bytes.write("KFO1");
  writeUuid(bytes, origin, 4);
  bytes.writeBigUInt64BE(BigInt(seq), 20);
  bytes.writeBigUInt64BE(hlc, 28);
  writeUuid(bytes, object, 36);
  bytes.writeUInt32BE(kindBytes, 52);
  bytes.write(kind, headBytes);
  bytes.set(payload, headBytes + kindBytes);
  return bytes;
}

/** Whether a member of the fleet has made it as it is. Throws KeyError "closed". */
export function verified(keyring: Keyring, operation: Operation): boolean {
  try {
    return keyring.verifies(envelope(operation), operation.mac);
  } catch (error) {
    if ((error as { code?: unknown }).code === "closed") throw error;
    return false; // A MAC of a wrong length or under a key version that is not here.
  }
}

/** An operation from a row of ops or kept. */
export function asOperation(row: Record<string, unknown>): Operation {
  return { ...row, seq: Number(row.seq), hlc: BigInt(row.hlc as string) } as Operation;
}

/** Payload of a change; rejects with StoreError "invalid" what no node could keep. */
export function encodeChange(change: Change): Buffer {
  const { kind, id, ...rest } = change;
  const body = kind === "create" ? { ...rest, sealed: change.sealed.toString("base64") } : rest;
  if (!isUuid(id)) throw new StoreError("invalid", "the identifier of an object must be a UUID in lower case");
  if (!isBody(kind, { v: version, ...body }))
    throw new StoreError(
      "invalid",
      "the object's owner, type, facts or attributes cannot be stored; send plain text and fewer levels",
    );
  const payload = Buffer.from(JSON.stringify({ v: version, ...body }));
  if (payload.length > payloadMaxBytes)
    throw new StoreError("invalid", `an object with its attributes must be smaller than ${payloadMaxBytes} bytes`);
  return payload;
}

/** Whether this software can apply it; the same answer on every node with this software. */
export function understands(operation: Operation): boolean {
  if (!Object.hasOwn(kinds, operation.kind)) return false;
  try {
    return isBody(operation.kind, JSON.parse(operation.payload.toString()));
  } catch {
    return false;
  }
}

function isBody(kind: string, body: unknown): boolean {
  if (!isRecord(body) || body.v !== version) return false;
  if (!isInteger(body.facts) || !isRecord(body.attributes) || !areAttributes(body.attributes)) return false;
  if (kind !== "create") return true;
  return (
    typeof body.owner === "string" &&
    isText(body.owner) &&
    isInteger(body.objectType) &&
    typeof body.sealed === "string" &&
    /^[A-Za-z0-9+/]*={0,2}$/.test(body.sealed)
  );
}

function areAttributes(attributes: Record<string, unknown>): boolean {
  const entries = Object.entries(attributes);
  return (
    entries.length <= attributesMax &&
    entries.every(
      ([name, value]) =>
        name.length <= nameMaxLength &&
        isText(name) &&
        (value === null || (Array.isArray(value) && isJson(value, depthMax))),
    )
  );
}

/** What PostgreSQL's jsonb keeps: no NUL characters, no halves of a surrogate pair, finite numbers, bounded depth. */
function isJson(value: unknown, depth: number): value is Json {
  if (depth === 0) return false;
  if (value === null || typeof value === "boolean") return true;
  if (typeof value === "string") return isText(value);
  if (typeof value === "number") return Number.isFinite(value);
  if (Array.isArray(value)) return value.every((item) => isJson(item, depth - 1));
  return isRecord(value) && Object.entries(value).every(([key, item]) => isText(key) && isJson(item, depth - 1));
}

function isText(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

function isInteger(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0x7fff_ffff;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
