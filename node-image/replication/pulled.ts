import { isUuid } from "../store/operation.ts";
import type { Operation, Vector } from "../store/types.ts";
import { fromWire } from "../store/wire.ts";
import type { PeerConnection } from "./peer-connection.ts";
import type { PeerHead } from "./types.ts";

/** Operations that are asked for at once. */
export const pullMax = 1_000;
/** Logs of one fleet: one for each life of a node, and some more after starts without all members. */
const logsMax = 10_000;
const macMaxLength = 200;

/** Of a log of which nothing is here. */
export const noHead: { readonly seq: number; readonly mac: Buffer } = { seq: 0, mac: Buffer.alloc(0) };

/** The same as a peer would say it. */
export const nothing: PeerHead = { seq: 0, base: 0, mac: "" };

/** Rows of mesh.vector(); throws when they are none. */
export function saidIn(rows: readonly Record<string, unknown>[]) {
  const heads = headsOf(rows);
  const own = rows.find((row) => row.own === true);
  if (own === undefined) throw new Error("it says of no log that it is its own");
  const [{ sign, clock_ms: clock } = {}] = rows;
  return {
    heads,
    /** The peer's own log, of which all is that it notifies. */
    own: String(own.origin),
    sign: sign as string | undefined,
    /** Undefined: it is of a version that does not tell. */
    clockMs: clock === undefined ? undefined : Number(clock),
  };
}

function headsOf(rows: readonly Record<string, unknown>[]): ReadonlyMap<string, PeerHead> {
  if (rows.length > logsMax) throw new Error(`it says to hold ${rows.length} logs, and no fleet has as many`);
  const heads = rows.map((row): [string, PeerHead] => [
    String(row.origin),
    { seq: Number(row.seq), base: Number(row.base), mac: String(row.mac) },
  ]);
  if (!heads.every(isHead)) throw new Error("what it says of its logs cannot be");
  return new Map(heads);
}

function isHead([origin, { seq, base, mac }]: readonly [string, PeerHead]): boolean {
  return isUuid(origin) && Number.isSafeInteger(seq) && base >= 0 && base <= seq && mac.length <= macMaxLength;
}

/** Whether a peer says to have the operation behind that one. */
export function hasNext({ seq, base }: PeerHead = nothing, mine: number): boolean {
  return base <= mine && mine < seq;
}

/** Whether what was pulled is not of the log whose last operation is here. */
export function isOtherLog(
  operations: readonly Operation[],
  mine: { readonly seq: number; readonly mac: Buffer },
): boolean {
  return operations.some(({ seq, mac }) => seq === mine.seq && !mac.equals(mine.mac));
}

/** The operations of a log behind `after` that the peer has; undefined when what it sends is none. */
export async function pullPage(
  connection: PeerConnection,
  origin: string,
  after: number,
): Promise<readonly Operation[] | undefined> {
  return wholeOperations(await connection.query("select p from mesh.pull($1, $2, $3) p", [origin, after, pullMax]));
}

/** Rows of mesh.pull(); undefined when one of them is no operation, or more came than were asked for. */
function wholeOperations(rows: readonly Record<string, unknown>[]): readonly Operation[] | undefined {
  if (rows.length > pullMax) return undefined;
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
