import { isUuid, payloadMaxBytes } from "./operation.ts";
import type { Operation } from "./types.ts";

/** PostgreSQL takes notifications below 8000 bytes; larger operations are announced without their content. */
export const notificationMaxBytes = 7_900;

/** One operation as JSON text, as notifications carry it and mesh.pull returns it. */
export function toWire(operation: Operation): string {
  const { origin, seq, hlc, kind, object, payload, mac } = operation;
  // Only the kind may have characters that JSON escapes.
  const middle = `"${hlc}",${JSON.stringify(kind)},"${object}"`;
  return `["${origin}",${seq},${middle},"${payload.toString("base64")}","${mac.toString("base64")}"]`;
}

/** Reads what `toWire` or mesh.pull wrote; undefined when it is anything else. Peers are not trusted: every part is checked. */
export function fromWire(value: unknown): Operation | undefined {
  if (!Array.isArray(value) || value.length !== 7) return undefined;
  const [origin, seq, hlc, kind, object, payload, mac] = value as unknown[];
  if (typeof origin !== "string" || !isUuid(origin) || typeof object !== "string" || !isUuid(object)) return undefined;
  if (!Number.isSafeInteger(seq) || (seq as number) < 1) return undefined;
  if (typeof hlc !== "string" || !/^\d{1,18}$/.test(hlc)) return undefined;
  if (typeof kind !== "string" || kind.length > 64 || kind.includes("\0") || !kind.isWellFormed()) return undefined;
  if (typeof payload !== "string" || payload.length > 2 * payloadMaxBytes || typeof mac !== "string") return undefined;
  return {
    origin,
    seq: seq as number,
    hlc: BigInt(hlc),
    kind,
    object,
    payload: Buffer.from(payload, "base64"),
    mac: Buffer.from(mac, "base64"),
  };
}
