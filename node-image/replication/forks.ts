import type { NodeStore } from "../store/types.ts";
import { fromWire } from "../store/wire.ts";
import type { PeerConnection } from "./peer-connection.ts";
import type { PeerHead } from "./types.ts";

/** How a log here and the log of the same name at a peer go together. */
export type Comparison =
  /** One is the beginning of the other. */
  | "same"
  /** Different operations have the same sequence: a node was started from an older disk and wrote on. */
  | "forked"
  /** The operation that would tell is pruned. */
  | "unknown";

/** A peer holds more of this node's own log than this node: its database is an older one. */
export interface OwnLogLost {
  readonly peer: string;
  /** The log that it was about. */
  readonly incarnation: string;
  /** This node's own last sequence, and the peer's. */
  readonly mine: number;
  readonly theirs: number;
  readonly comparison: Comparison;
}

/** Compares the operation at this node's own end of a log, which the peer holds too, with the peer's. */
export async function compareAtPeer(connection: PeerConnection, store: NodeStore, origin: string): Promise<Comparison> {
  const mine = store.head(origin);
  if (mine === undefined) return "same";
  const rows = await connection.query("select p from mesh.pull($1, $2, $3) p", [origin, mine.seq - 1, 1]);
  const theirs = rows[0] === undefined ? undefined : fromWire(JSON.parse(rows[0].p as string));
  if (theirs?.seq !== mine.seq) return "unknown";
  return theirs.mac.equals(mine.mac) ? "same" : "forked";
}

/** Compares the peer's end of a log, which this node holds too, with what is here. */
export async function compareHere(store: NodeStore, origin: string, theirs: PeerHead): Promise<Comparison> {
  if (theirs.seq === 0) return "same";
  const mac = await store.macAt(origin, theirs.seq);
  if (mac === undefined) return "unknown";
  return mac.toString("base64") === theirs.mac ? "same" : "forked";
}
