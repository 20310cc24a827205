import type { Member } from "@keyfleet/crds/kms-node.ts";

/** PEM texts of the certificate with which PostgreSQL serves peers, and of the authorities that theirs must come from. */
export interface ServerCertificate {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly trustBundlePem: string;
}

/** Options of `applyMeshConfiguration`. */
export interface MeshConfiguration {
  /** Folder that postgres/start.sh reads: $KEYFLEET_RUN/postgres/conf. */
  readonly directory: string;
  /** Folder of the unix socket and the port that names it. */
  readonly socketDirectory: string;
  readonly port: number;
  readonly tls: ServerCertificate;
  /** All members, this node included or not; Joining and Member may connect. */
  readonly members: readonly Readonly<Pick<Member, "identity" | "standing">>[];
}
