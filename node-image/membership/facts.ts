import type { KmsNode, KmsNodeStatus } from "@keyfleet/crds/kms-node.ts";
import type { HsmStatus } from "../hsm/types.ts";
import type { OwnCertificateFacts } from "./own-certificate.ts";

/** What this node knows of its own certificate. */
export interface CertificateFacts {
  readonly state: "Valid" | "Requested" | "ExpiringSoon" | "OutOfTime" | "Invalid";
  readonly message: string;
  /** ISO 8601; absent while there is no chain. */
  readonly notAfter?: string;
  /** What is wrong with that of the document, while the last good one is used instead. */
  readonly refused?: CertificateFacts["state"];
}

/** One NTP server of this node, as chrony sees it. */
export interface TimeServerFacts {
  readonly address: string;
  readonly reachable: boolean;
  readonly stratum?: number;
  readonly offsetMs?: number;
}

/** This node's PostgreSQL and what the store makes of it. */
export interface DatabaseFacts {
  readonly ready: boolean;
  readonly message: string;
  /** Why the whole database cannot be trusted. */
  readonly damage?: string;
  /** Objects found changed in the database; they are not served. */
  readonly damagedObjects?: number;
  /** PostgreSQL has found pages of its own files damaged. */
  readonly damagedPages?: true;
  /** Whether all of it was looked through since the start, and the last look came to its end. */
  readonly audited?: boolean;
  /** Why the last look did not. */
  readonly auditProblem?: string;
  /** Why nothing is written although PostgreSQL answers: the volume is full. */
  readonly writesRefused?: string;
  /** A transaction of the last minute took a second or more to be durable. */
  readonly slowDisk?: true;
}

export interface TimeFacts {
  /** Undefined while chrony has not answered yet. */
  readonly servers: readonly TimeServerFacts[] | undefined;
}

/** One other member, as this node's replication sees it. */
export interface PeerFacts {
  readonly name: string;
  readonly connected: boolean;
  readonly roundTripMs?: number;
  readonly lagOperations?: number;
  readonly tlsGroup?: string;
  /** Why nothing more is taken of its own log. */
  readonly refused?: string;
}

export interface ReplicationFacts {
  /** Links; of a node that waits to join, the members whose ports it was seen to reach or not. */
  readonly peers: readonly PeerFacts[];
  /** Everything that the reachable peers hold is here, or was within the last second. */
  readonly caughtUp: boolean;
  /** Sites that writes are not waited for, though the durability wants them. */
  readonly outOfStep?: readonly string[];
  /** This node was started from an older disk and has written since, for people. */
  readonly forked?: string;
  /** No other member takes what this node's log gains: why, and how far they hold it. */
  readonly ownLogRefused?: { readonly reason: "forked" | "clockTooFarAhead"; readonly held: number };
  /** What is being taken in instead of logs, for people; while it is, nothing here is complete. */
  readonly importing?: string;
  /** The same before that has begun: what is here is served, and what the logs lack is asked for. */
  readonly needing?: string;
  /** How long replication has been running in this process; undefined while it is not. */
  readonly runningMs: number | undefined;
}

/** Everything that decides what this node does next; gathered anew at every change, nothing of it is a stored phase. */
export interface Facts {
  readonly ownVersion: string;
  /** Undefined until the document was read for the first time. */
  readonly document: KmsNode | undefined;
  readonly documentProblem: string | undefined;
  readonly hsm: HsmStatus;
  readonly time: TimeFacts;
  readonly certificate: CertificateFacts;
  readonly database: DatabaseFacts;
  /** none: this node's volume holds no master key; stored: sealed under the HSM's key; loaded: in memory. */
  readonly keyring: "none" | "stored" | "loaded";
  /** Of the stored keyring. */
  readonly clusterId: string | undefined;
  /** UUID of this life of the node's log; undefined until its database was opened. */
  readonly incarnation: string | undefined;
  /** How far this node holds the logs of members that go; empty while none goes. */
  readonly departures: NonNullable<KmsNodeStatus["departures"]>;
  readonly replication: ReplicationFacts;
  /** KMIP answers now. */
  readonly serving: boolean;
  /** Connections of clients from before service ended are still open. */
  readonly draining: boolean;
  /** The process was told to end: balancers are to leave, clients are served until they have. */
  readonly ending: boolean;
  /** Certificate of its own for KMIP, while settings.interfaces.kmip.certificateSecretRef names one. */
  readonly ownCertificate: OwnCertificateFacts;
  /** What of the settings cannot be used, each beginning with its field. */
  readonly settingsProblems: readonly string[];
  /** Digest of the settings that this node's programs were started with; undefined: nobody has said. */
  readonly startedWith: string | undefined;
  /** Settings of ports that the document has changed since these were opened. */
  readonly portsWaiting: readonly string[];
  /** The last try of a step (found, join, load, serve, wipe) that failed and has not succeeded since. */
  readonly failure: { readonly task: string; readonly message: string } | undefined;
}

/** The largest offset of a reachable server in milliseconds, or undefined when none is reachable. */
export function worstOffsetMs(time: TimeFacts): number | undefined {
  const offsets = (time.servers ?? []).flatMap((server) =>
    server.reachable && server.offsetMs !== undefined ? [Math.abs(server.offsetMs)] : [],
  );
  return offsets.length === 0 ? undefined : Math.max(...offsets);
}

/** The bound for the clock that the settings ask for, in milliseconds. */
export function clockBoundMs(document: KmsNode | undefined): number {
  return document?.spec.settings.ntp?.maxOffsetMs ?? 250;
}
