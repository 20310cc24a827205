import type { Log, NodeStore } from "../store/types.ts";
import type { Surroundings } from "./surroundings.ts";

/** PEM texts of the node's mesh certificate; one for serving and for calling. */
export interface MeshTls {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly trustBundlePem: string;
}

/** A member as KmsNode.spec.members has it. */
export interface MeshMember {
  readonly name: string;
  readonly site: string;
  readonly address?: string;
  /** Default 5432. */
  readonly meshPort?: number;
  /** RFC 2253 order: CN=dc1-a,OU=dc1,O=bank. */
  readonly identity: string;
  readonly standing: "Joining" | "Member" | "Leaving" | "Fenced" | "Departed";
  readonly incarnation?: string;
  readonly lastSequence?: number;
}

/** When a write is answered (DESIGN section 7). */
export type Durability = "EverySite" | "OtherSite" | "Local";

/** One peer as measured by this node. */
export interface PeerStatus {
  readonly name: string;
  readonly site: string;
  readonly connected: boolean;
  readonly roundTripMs: number | undefined;
  /** Operations that the peer holds and this node does not. */
  readonly lagOperations: number | undefined;
  /** For example "X25519MLKEM768"; undefined while not connected. */
  readonly tlsGroup: string | undefined;
  readonly lastHeardMs: number | undefined;
  /** Last sequence of this node's own log that the peer has acknowledged. */
  readonly acknowledged: number | undefined;
  /** Why it is not connected or not taken from, for people. */
  readonly problem: string | undefined;
  /** Origins whose operations are not taken from this peer, with the reason. */
  readonly refusedOrigins: Readonly<Record<string, string>>;
  /** Why the peer's own log is refused. */
  readonly ownLogRefused: string | undefined;
}

/** How far a peer holds one origin's log. */
export interface PeerHead {
  readonly seq: number;
  /** Up to here its log is pruned: it can only be had as part of a snapshot. */
  readonly base: number;
  /** MAC of the operation at `seq`, base64. */
  readonly mac: string;
}

/** A snapshot that this node needs or takes in. */
export interface SnapshotStatus {
  /** From whom, while it is under way. */
  readonly peer: string | undefined;
  readonly objects: number;
  /** About how many the peer has. */
  readonly total: number;
  /** Why the last one did not come about. */
  readonly problem: string | undefined;
  /** Nothing can be served: what this node held is set aside, or it held nothing. */
  readonly incomplete: boolean;
}

/** Bounds that have defaults. */
export interface ReplicationLimits {
  /** Operations stay in the log for at least so long; default an hour. */
  readonly keepMs: number;
  /** A member not heard for so long is no longer waited for with pruning; default a week. */
  readonly absentMs: number;
  /** Between two looks for what can be pruned; default 10 s. */
  readonly pruneEveryMs: number;
  /** An empty store takes a snapshot from a peer with so many operations; default 10,000. */
  readonly emptyTakesFrom: number;
}

/** One other site as durability sees it. */
export interface SiteStep {
  readonly site: string;
  readonly inStep: boolean;
}

/** Why no other member takes what this node's own log gains, and how far they hold it. */
export interface OwnLogRefused {
  readonly reason: "forked" | "clockTooFarAhead";
  readonly held: number;
}

/** Everything for metrics and status. */
export interface ReplicationStatus {
  readonly caughtUp: boolean;
  readonly peers: readonly PeerStatus[];
  readonly sites: readonly SiteStep[];
  readonly writesWaiting: number;
  readonly snapshot: SnapshotStatus | undefined;
  /** Members that were silent for so long that logs are pruned without them. */
  readonly away: readonly string[];
  /** This node was started from an older disk and has written since: it serves nothing, for people. */
  readonly forked: string | undefined;
  /** Only while that is so. */
  readonly ownLogRefused: OwnLogRefused | undefined;
}

/** Answer to a joiner: the master key wrapped for its HSM (opaque here), or why not. */
export type HandoverAnswer = { readonly wrapped: Buffer } | { readonly refusal: string };

/** Options of `startReplication`. */
export interface ReplicationOptions {
  readonly store: NodeStore;
  readonly self: { readonly name: string; readonly site: string; readonly identity: string };
  readonly members: readonly MeshMember[];
  readonly tls: MeshTls;
  readonly durability: Durability;
  /** Sponsor side: asked once for each request of a member by its certificate identity. */
  readonly wrapFor: (identity: string) => Promise<HandoverAnswer>;
  /** A site fell out of step or is back; called at once. */
  readonly onSiteStep?: (step: SiteStep) => void;
  readonly limits?: Partial<ReplicationLimits>;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  readonly log: Log;
  /** The real ones when absent. */
  readonly surroundings?: Surroundings;
}

/** The running exchange with all peers. */
export interface Replication {
  /** Live: connects to new peers, drops others, reconnects where address or certificate changed. */
  updatePeers(members: readonly MeshMember[], tls: MeshTls): void;
  updateDurability(durability: Durability): void;
  /** Holds what every reachable member held about a second ago. True for a fleet of one; false while no peer was reached yet. */
  caughtUp(): boolean;
  status(): ReplicationStatus;
  stop(): Promise<void>;
}

/** Options of `requestMasterKey`, the joiner's side. */
export interface HandoverRequest {
  readonly sponsor: MeshMember;
  readonly tls: MeshTls;
  readonly deadlineMs: number;
}

/** Rejected by `requestMasterKey`: the sponsor's refusal or why it could not be asked; the message says what to do. */
export type HandoverErrorCode = "refused" | "unreachable" | "deadline";
