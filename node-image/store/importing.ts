import type pg from "pg";
import { type Head, headsFrom } from "./head.ts";
import type { Vector } from "./types.ts";

/** How far a snapshot is taken in. */
export interface Importing {
  /** Of the peer that it comes from. */
  readonly identity: string;
  /** What its rows hold at least. */
  readonly heads: readonly Head[];
  /** What this node held before. */
  readonly floor: Vector;
  /** Whether that is set aside; else it was thrown away, and only who holds all of it may be asked. */
  readonly aside: boolean;
  /** The last object that is in. */
  readonly after: string;
  readonly stage: "rows" | "tail";
}

/** The import that was begun; undefined when there is none. */
export async function readImporting(client: pg.Client): Promise<Importing | undefined> {
  const { rows } = await client.query("select identity, heads, floor, aside, after, stage from keyfleet.import");
  const [row] = rows;
  if (row === undefined) return undefined;
  return { ...row, heads: headsFrom(row.heads), floor: new Map(Object.entries(row.floor)) };
}
