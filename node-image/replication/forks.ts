import { vectorOf } from "../store/intake.ts";
import type { NodeStore, Operation } from "../store/types.ts";
import { fromWire } from "../store/wire.ts";
import type { PeerConnection } from "./peer-connection.ts";
import { askMark } from "./snapshot.ts";
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

/** Where in a log. */
interface Place {
  readonly origin: string;
  readonly seq: number;
}

/** Compares the operation at this node's own end of a log, which the peer holds too, with the peer's. */
export async function compareAtPeer(connection: PeerConnection, store: NodeStore, origin: string): Promise<Comparison> {
  const mine = store.head(origin);
  if (mine === undefined) return "same";
  const theirs = await shown(connection, store, { origin, seq: mine.seq });
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

/** Whether the peer shows another operation at that place than the one that is here, which a member has made as well. */
export async function showsFork(connection: PeerConnection, store: NodeStore, place: Place): Promise<boolean> {
  const theirs = await shown(connection, store, place);
  const mine = await store.macAt(place.origin, place.seq);
  return theirs?.seq === place.seq && mine?.equals(theirs.mac) === false;
}

/** Whether the peer shows that a log goes on behind what is here: by an operation of it, or by its root where it has pruned them. */
export async function showsMore(connection: PeerConnection, store: NodeStore, origin: string): Promise<boolean> {
  const mine = () => store.vector().get(origin) ?? 0;
  const operation = await shown(connection, store, { origin, seq: mine() + 1 });
  const seq = operation?.seq ?? (await seqByRoot(connection, store, origin));
  // What is written here at this moment may be known there sooner than here.
  await store.settled();
  return seq > mine();
}

/** The operation at that place, or the next one that the peer still has; undefined when it shows none that a member has made. */
async function shown(
  connection: PeerConnection,
  store: NodeStore,
  { origin, seq }: Place,
): Promise<Operation | undefined> {
  const rows = await connection.query("select p from mesh.pull($1, $2, $3) p", [origin, seq - 1, 1]);
  const operation = rows[0] === undefined ? undefined : fromWire(JSON.parse(rows[0].p as string));
  return operation?.origin === origin && store.intake.isMade(operation) ? operation : undefined;
}

async function seqByRoot(connection: PeerConnection, store: NodeStore, origin: string): Promise<number> {
  const { mark } = (await askMark(connection)) ?? {};
  return mark !== undefined && store.intake.isProved(mark) ? (vectorOf(mark).get(origin) ?? 0) : 0;
}
