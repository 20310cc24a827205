import type { PeerCertificate, TLSSocket } from "node:tls";
import { close, connect, prepared, whenThereIsRoom } from "../store/connection.ts";
import type { MeshMember, MeshTls } from "./types.ts";

const connectDeadlineMs = 3_000;
/** While strangers have all places of the peer's PostgreSQL: each attempt costs it a handshake, as it costs one to refuse. */
const fullPauseMs = 50;
// Nothing received for so long while an answer is awaited: the peer or the way to it is dead.
const silenceMaxMs = 2_500;
const silenceCheckMs = 500;
/** What is asked for comes in pages of about 1 MiB, and takes seconds over the slowest link that a fleet may have. */
const answerMaxMs = 60_000;
/** Nor does a peer that means well send as much before it has answered. */
const answerMaxBytes = 32 * 1024 * 1024;

/** A connection to a peer's PostgreSQL as role mesh; queries are pipelined. */
export interface PeerConnection {
  /** Rows of one query; rejects when the connection is lost. */
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Key exchange of the link, e.g. "X25519MLKEM768". */
  readonly tlsGroup: string | undefined;
  close(): void;
}

/** To whom a connection is made, and as whom. */
interface Caller {
  readonly peer: MeshMember;
  readonly tls: MeshTls;
  /** Shows that this node is who its certificate says (store/pass.ts); without one it is less than who has one. */
  readonly pass?: string | undefined;
}

interface PeerConnectionOptions extends Caller {
  readonly notified: (payload: string) => void;
  readonly lost: (error: Error) => void;
}

/**
 * Connects with both certificates checked; the peer's must carry the member's name. Asks again, 4 s long, while there is no
 * room among the peer's sessions. `lost` is called once when it ends.
 */
export async function connectPeer(options: PeerConnectionOptions): Promise<PeerConnection> {
  const { notified, lost } = options;
  let watch: AnswerWatch | undefined;
  const ended = (error: Error) => {
    watch?.end();
    lost(error);
  };
  const client = await whenThereIsRoom(() => connect(connectionTo(options), ended), fullPauseMs);
  const socket = (client as unknown as { connection: { stream: TLSSocket } }).connection.stream;
  const answers = new AnswerWatch(socket, () => close(client));
  watch = answers;
  client.on("notification", (message) => {
    answers.notified();
    notified(message.payload ?? "");
  });
  return {
    query: async (text, values) => (await answers.over(client.query(prepared(text, values)))).rows,
    tlsGroup: tlsGroup(socket),
    close: () => {
      answers.end();
      close(client);
    },
  };
}

function connectionTo({ peer, tls, pass }: Caller) {
  return {
    pipeline: true,
    host: peer.address,
    port: peer.meshPort ?? 5432,
    user: "mesh",
    database: "keyfleet",
    // What a login's trigger can read of what the caller says.
    application_name: pass ?? "keyfleet",
    connectionTimeoutMillis: connectDeadlineMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 1_000,
    ssl: {
      ca: tls.trustBundlePem,
      cert: tls.certificateChainPem,
      key: tls.privateKeyPem,
      minVersion: "TLSv1.3" as const,
      ecdhCurve: "X25519MLKEM768:X25519",
      rejectUnauthorized: true,
      checkServerIdentity: (_host: string, certificate: PeerCertificate) => identityProblem(certificate, peer.identity),
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

/**
 * Ends a connection on which nothing comes while an answer is awaited, or no end of it: whoever is at the other side, this
 * node keeps no more of what it sends than is good for it, and waits no longer. At rest it costs nothing.
 */
class AnswerWatch {
  readonly #socket: TLSSocket;
  readonly #dead: () => void;
  #timer: NodeJS.Timeout | undefined;
  #pending = 0;
  #seen = 0;
  #quietMs = 0;
  #waitedMs = 0;
  /** Bytes since the last answer, or since the last notification while none is awaited. */
  #bytes = 0;

  constructor(socket: TLSSocket, dead: () => void) {
    this.#socket = socket;
    this.#dead = dead;
    socket.on("data", (chunk: Buffer) => {
      this.#bytes += chunk.length;
      if (this.#bytes > answerMaxBytes) dead();
    });
  }

  async over<Answer>(work: Promise<Answer>): Promise<Answer> {
    this.#pending += 1;
    if (this.#timer === undefined) this.#begin();
    try {
      return await work;
    } finally {
      this.#pending -= 1;
      this.#bytes = 0;
      this.#waitedMs = 0;
      if (this.#pending === 0) this.end();
    }
  }

  notified(): void {
    if (this.#pending === 0) this.#bytes = 0;
  }

  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #begin(): void {
    this.#quietMs = 0;
    this.#waitedMs = 0;
    this.#seen = this.#socket.bytesRead;
    this.#timer = setInterval(() => {
      const { bytesRead } = this.#socket;
      this.#quietMs = bytesRead === this.#seen ? this.#quietMs + silenceCheckMs : 0;
      this.#seen = bytesRead;
      this.#waitedMs += silenceCheckMs;
      if (this.#quietMs >= silenceMaxMs || this.#waitedMs >= answerMaxMs) this.#dead();
    }, silenceCheckMs).unref();
  }
}

function tlsGroup(socket: TLSSocket): string | undefined {
  const info = socket.getEphemeralKeyInfo() as { name?: string; type?: string } | null;
  return info?.name ?? info?.type;
}
