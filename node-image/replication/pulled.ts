import type { Operation, Vector } from "../store/types.ts";
import { fromWire } from "../store/wire.ts";
import type { PeerHead } from "./types.ts";

/** Of a log of which nothing is here. */
export const noHead: { readonly seq: number; readonly mac: Buffer } = { seq: 0, mac: Buffer.alloc(0) };

/** The same as a peer would say it. */
export const nothing: PeerHead = { seq: 0, base: 0, mac: "" };

/** A row of mesh.vector(). */
export function headOf(row: Record<string, unknown>): PeerHead {
  return { seq: Number(row.seq), base: Number(row.base), mac: String(row.mac) };
}

/** Whether what was pulled is not of the log whose last operation is here. */
export function isOtherLog(
  operations: readonly Operation[],
  mine: { readonly seq: number; readonly mac: Buffer },
): boolean {
  return operations.some(({ seq, mac }) => seq === mine.seq && !mac.equals(mine.mac));
}

/** Rows of mesh.pull(); undefined when one of them is no operation. */
export function wholeOperations(rows: readonly Record<string, unknown>[]): readonly Operation[] | undefined {
  const operations = rows.map((row) => fromWire(JSON.parse(row.p as string)));
  return operations.every((operation) => operation !== undefined) ? operations : undefined;
}

/** Whether a peer took another operation as the last one of a log than this node: its origin was set back and wrote on. */
export function isOtherHead(
  mine: { readonly seq: number; readonly mac: Buffer } | undefined,
  theirs: PeerHead,
): boolean {
  return mine !== undefined && mine.seq === theirs.seq && mine.mac.toString("base64") !== theirs.mac;
}

/** How many operations the heads are ahead of what is held. */
export function operationsBetween(held: Vector, heads: ReadonlyMap<string, PeerHead>): number {
  return [...heads].reduce((sum, [origin, { seq }]) => sum + Math.max(0, seq - (held.get(origin) ?? 0)), 0);
}
