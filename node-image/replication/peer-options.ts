import type { Log, NodeStore } from "../store/types.ts";
import type { OwnLogLost } from "./forks.ts";
import type { Gossip } from "./gossip.ts";
import type { OwnLog } from "./own-log.ts";
import type { Pace } from "./pace.ts";
import type { Snapshots } from "./snapshots.ts";
import type { Surroundings } from "./surroundings.ts";
import type { MeshMember, MeshTls } from "./types.ts";

/** What a link to a peer works with. */
export interface PeerOptions {
  readonly member: MeshMember;
  readonly tls: () => MeshTls;
  readonly store: NodeStore;
  readonly gossip: Gossip;
  readonly pace: Pace;
  readonly snapshots: Snapshots;
  readonly nowMs: () => number;
  readonly log: Log;
  readonly surroundings: Surroundings;
  readonly ownLog: OwnLog;
  /** Whether this node stays: who goes holds nothing for its site. */
  readonly stays: () => boolean;
  /** This node's database is an older one than it was. */
  readonly ownLogLost: (found: OwnLogLost) => void;
}
