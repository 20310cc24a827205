import type { PeerCertificate, TLSSocket } from "node:tls";
import type pg from "pg";
import { close, connect } from "../store/connection.ts";
import type { MeshMember, MeshTls } from "./types.ts";

const connectDeadlineMs = 3_000;
// Nothing received for so long while an answer is awaited: the peer or the way to it is dead.
const silenceMaxMs = 2_500;
const silenceCheckMs = 500;

/** A connection to a peer's PostgreSQL as role mesh; queries are pipelined. */
export interface PeerConnection {
  /** Rows of one query; rejects when the connection is lost. */
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Key exchange of the link, e.g. "X25519MLKEM768". */
  readonly tlsGroup: string | undefined;
  close(): void;
}

/** Connects with both certificates checked; the peer's must carry the member's name. `lost` is called once when it ends. */
export async function connectPeer(options: {
  readonly peer: MeshMember;
  readonly tls: MeshTls;
  readonly notified: (payload: string) => void;
  readonly lost: (error: Error) => void;
}): Promise<PeerConnection> {
  const { peer, tls, notified, lost } = options;
  const pipelined = { pipeline: true };
  let watch: NodeJS.Timeout | undefined;
  const client = await connect(
    {
      ...pipelined,
      host: peer.address,
      port: peer.meshPort ?? 5432,
      user: "mesh",
      database: "keyfleet",
      application_name: "keyfleet",
      connectionTimeoutMillis: connectDeadlineMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 1_000,
      ssl: {
        ca: tls.trustBundlePem,
        cert: tls.certificateChainPem,
        key: tls.privateKeyPem,
        minVersion: "TLSv1.3",
        ecdhCurve: "X25519MLKEM768:X25519",
        rejectUnauthorized: true,
        checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
          identityProblem(certificate, peer.identity),
      },
    },
    (error) => {
      clearInterval(watch);
      lost(error);
    },
  );
  const socket = (client as unknown as { connection: { stream: TLSSocket } }).connection.stream;
  const pending = { count: 0 };
  watch = watchSilence(socket, pending, () => close(client));
  client.on("notification", (message) => notified(message.payload ?? ""));
  return {
    query: (text, values) => counted(client, pending, { text, values }),
    tlsGroup: tlsGroup(socket),
    close: () => {
      clearInterval(watch);
      close(client);
    },
  };
}

/** Why the certificate is not the member's; the name in it counts, not the address, which may be anything. */
export function identityProblem(certificate: PeerCertificate, identity: string): Error | undefined {
  const found = distinguishedName(certificate.subject as unknown as Record<string, unknown>);
  if (found === identity) return undefined;
  return new Error(`the certificate at this address is for "${found}", expected "${identity}"`);
}

/** RFC 2253 of a subject in encoding order; names that would need escapes are no names of nodes. */
function distinguishedName(subject: Record<string, unknown>): string {
  const parts = Object.entries(subject ?? {}).map(([key, value]) =>
    typeof value === "string" && /^[A-Za-z0-9._ -]+$/.test(value) ? `${key}=${value}` : `${key}=?`,
  );
  return parts.reverse().join(",");
}

async function counted(
  client: pg.Client,
  pending: { count: number },
  query: { text: string; values: unknown[] | undefined },
): Promise<Record<string, unknown>[]> {
  pending.count += 1;
  try {
    const { text, values } = query;
    return (await client.query(values === undefined ? { text } : { text, values })).rows;
  } finally {
    pending.count -= 1;
  }
}

function watchSilence(socket: TLSSocket, pending: { readonly count: number }, dead: () => void): NodeJS.Timeout {
  let bytes = socket.bytesRead;
  let quietMs = 0;
  const timer = setInterval(() => {
    quietMs = pending.count > 0 && socket.bytesRead === bytes ? quietMs + silenceCheckMs : 0;
    bytes = socket.bytesRead;
    if (quietMs >= silenceMaxMs) dead();
  }, silenceCheckMs);
  return timer.unref();
}

function tlsGroup(socket: TLSSocket): string | undefined {
  const info = socket.getEphemeralKeyInfo() as { name?: string; type?: string } | null;
  return info?.name ?? info?.type;
}
