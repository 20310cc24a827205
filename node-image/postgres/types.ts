import type { MeshMember, MeshTls } from "../replication/types.ts";

/** Options of `applyMeshConfiguration`. */
export interface MeshConfiguration {
  /** Folder that postgres/start.sh reads: $KEYFLEET_RUN/postgres/conf. */
  readonly directory: string;
  /** Folder of the unix socket and the port that names it. */
  readonly socketDirectory: string;
  readonly port: number;
  readonly tls: MeshTls;
  /** All members, this node included or not; Joining and Member may connect. */
  readonly members: readonly MeshMember[];
}
// import { applyMeshConfiguration } from "./mesh-configuration.ts"
//   applyMeshConfiguration(configuration: MeshConfiguration): Promise<{ readonly changed: boolean }>
// import { openStore } from "../store/store.ts"                 openStore(options: StoreOptions): Promise<NodeStore>
// import { startReplication } from "../replication/replication.ts"   startReplication(options: ReplicationOptions): Replication
// import { requestMasterKey } from "../replication/handover.ts" requestMasterKey(request: HandoverRequest): Promise<Buffer>
