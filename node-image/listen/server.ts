import { constants } from "node:crypto";
import type { AddressInfo } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { callerOf } from "../access/identity.ts";
import type { KmipHandler } from "../kmip/handler.ts";
import { type Connection, type ConnectionParts, serveConnection } from "./connection.ts";
import { type Front, handshakeFront } from "./front.ts";
import { httpDoor } from "./http-connection.ts";
import { defaultLimits, type ListenLimits } from "./limits.ts";
import { type LogFields, logBudget } from "./log-budget.ts";
import { type MessageRoom, messageRoom } from "./message-room.ts";
import { peerOf } from "./peer.ts";
import { permits } from "./permits.ts";
import { distrust } from "./still-trusted.ts";
import { type UnreadAnswers, unreadAnswers } from "./unread.ts";

/** PEM of the server's certificate chain and key, and of the authorities whose clients are let in. */
export interface TlsParts {
  readonly certificate: string;
  readonly key: string;
  readonly clientAuthorities: string;
}

/** Gauges and counters of the listener. */
export interface ListenMetrics {
  connections(open: number): void;
  rejected(reason: string): void;
}

/** What a listener is made of. */
export interface KmipServerParts {
  readonly tls: TlsParts;
  readonly handler: KmipHandler;
  /** TTLV by itself, unless said; or in HTTPS, with JSON and XML beside it. */
  readonly protocol?: "ttlv" | "https";
  readonly limits?: Partial<ListenLimits>;
  readonly log: (fields: LogFields) => void;
  readonly metrics?: ListenMetrics;
  /** Shared by all listeners of a node; made here unless given. */
  readonly memory?: ListenMemory;
}

/** What large messages and answers take of a node's memory, on all its ports together. */
export interface ListenMemory {
  readonly room: MessageRoom;
  readonly unread: UnreadAnswers;
}

/** Makes it. */
export function listenMemory(given: Partial<ListenLimits> = {}): ListenMemory {
  const limits = { ...defaultLimits, ...given };
  const { unreadAnswersBytesMax, smallMessageBytes } = limits;
  return { room: messageRoom(limits), unread: unreadAnswers(unreadAnswersBytesMax, smallMessageBytes) };
}

/** A KMIP listener over mutual TLS. */
export interface KmipServer {
  /** Resolves with the port once connections are taken; port 0 chooses a free one. */
  listen(port: number, host?: string): Promise<number>;
  /** 0 before listening. */
  readonly port: number;
  /**
   * New handshakes use the new certificate and authorities; open connections go on, but for those that an authority which was
   * taken away let in: a client that asks often enough would never need another handshake. Throws on unusable PEM and keeps
   * the old.
   */
  updateTls(tls: TlsParts): void;
  /** Takes no more connections and ends the open ones, each after its next answer. Resolves when all are closed. */
  drain(): Promise<void>;
  /** Cuts everything. */
  close(): Promise<void>;
}

/** Makes the listener; it does nothing before `listen`. */
export function kmipServer(parts: KmipServerParts): KmipServer {
  const limits = { ...defaultLimits, ...parts.limits };
  const log = logBudget(parts.log);
  const connections = new Map<TLSSocket, Connection>();
  const fromAddress = new Map<string, number>();
  const server = createServer({
    ...contextOf(parts.tls),
    requestCert: true,
    rejectUnauthorized: false, // judged in peerOf, so that the reason can be logged
    handshakeTimeout: limits.handshakeTimeoutMs,
  });
  const front = handshakeFront(server, { limits, log, onRejected: (reason) => parts.metrics?.rejected(reason) });
  const memory = parts.memory ?? listenMemory(limits);
  const shared = { handler: parts.handler, limits, permits: permits(limits.requestsInFlightMax), log, ...memory };
  const serve = parts.protocol === "https" ? httpDoor(limits).serve : serveConnection;
  server.on("secureConnection", (socket) => {
    const refusal = accept(socket, { connections, fromAddress, shared, serve, metrics: parts.metrics });
    if (refusal === undefined) return;
    log({ level: "warn", event: "client-rejected", address: socket.remoteAddress ?? "unknown", reason: refusal });
    parts.metrics?.rejected(refusal);
    socket.on("error", () => undefined);
    socket.end();
    socket.destroySoon();
  });
  const open = { connections, front, drainTimeoutMs: limits.drainTimeoutMs, log };
  return controls(server, open, parts.tls.clientAuthorities);
}

/** Connections that the kernel keeps while this process is busy: beyond it a client waits a second and tries again. */
const acceptBacklog = 4096;

/** X25519MLKEM768 first: recorded traffic must not fall to a later quantum computer. */
function contextOf(tls: TlsParts) {
  // Node takes an empty list for "every public CA": anybody with a certificate from the internet would be a client.
  if (!tls.clientAuthorities.includes("-----BEGIN CERTIFICATE-----"))
    throw new TypeError("clientAuthorities holds no certificate: nobody could be told from a stranger");
  return {
    cert: tls.certificate,
    key: tls.key,
    ca: tls.clientAuthorities,
    ecdhCurve: "X25519MLKEM768:X25519:P-256:P-384",
    minVersion: "TLSv1.2",
    // No tickets: a resumed session would carry a judgement on a certificate that may no longer be trusted.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  } as const;
}

interface Accepting {
  readonly connections: Map<TLSSocket, Connection>;
  /** How many of them come from each address. */
  readonly fromAddress: Map<string, number>;
  readonly shared: Omit<ConnectionParts, "caller" | "expiresAt">;
  readonly serve: (socket: TLSSocket, parts: ConnectionParts) => Connection;
  readonly metrics: ListenMetrics | undefined;
}

/** Lets a connection in, or says why not. */
function accept(
  socket: TLSSocket,
  { connections, fromAddress, shared, serve, metrics }: Accepting,
): string | undefined {
  const peer = peerOf(socket);
  if (peer.kind === "rejected") return peer.reason;
  const { limits } = shared;
  if (connections.size >= limits.connectionsMax) return "the server has its maximum of connections";
  const address = socket.remoteAddress ?? "unknown";
  const same = fromAddress.get(address) ?? 0;
  if (same >= limits.connectionsPerAddressMax) return "the address has its maximum of connections";
  fromAddress.set(address, same + 1);
  connections.set(socket, serve(socket, { ...shared, caller: peer.caller, expiresAt: peer.expiresAt }));
  metrics?.connections(connections.size);
  socket.once("close", () => {
    connections.delete(socket);
    const left = (fromAddress.get(address) ?? 1) - 1;
    if (left > 0) fromAddress.set(address, left);
    else fromAddress.delete(address);
    metrics?.connections(connections.size);
  });
  return undefined;
}

interface Open {
  readonly connections: ReadonlyMap<TLSSocket, Connection>;
  readonly front: Front;
  readonly drainTimeoutMs: number;
  readonly log: (fields: LogFields) => void;
}

function controls(server: Server, open: Open, clientAuthorities: string): KmipServer {
  const { connections, front } = open;
  let trusted = clientAuthorities;
  const portOf = () => (front.server.address() as AddressInfo | null)?.port ?? 0;
  const stop = () => {
    const stopped = new Promise<void>((resolve) => front.server.close(() => resolve()));
    front.destroy();
    return stopped;
  };
  return {
    get port() {
      return portOf();
    },
    listen: (port, host) =>
      new Promise((resolve, reject) => {
        front.server.once("error", reject);
        front.server.listen({ port, backlog: acceptBacklog, ...(host === undefined ? {} : { host }) }, () =>
          resolve(portOf()),
        );
      }),
    updateTls: (tls) => {
      const isDistrusted = distrust(trusted, tls.clientAuthorities);
      server.setSecureContext(contextOf(tls));
      cutDistrusted(open, isDistrusted);
      trusted = tls.clientAuthorities;
    },
    drain: async () => {
      const stopped = stop();
      for (const connection of connections.values()) connection.drain();
      const cut = setTimeout(() => destroyAll(connections), open.drainTimeoutMs);
      await stopped;
      clearTimeout(cut);
    },
    close: async () => {
      const stopped = stop();
      destroyAll(connections);
      await stopped;
    },
  };
}

function cutDistrusted({ connections, log }: Open, isDistrusted: ReturnType<typeof distrust>): void {
  if (isDistrusted === undefined) return;
  for (const [socket, connection] of connections) {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined || !isDistrusted(certificate)) continue;
    const { subject } = callerOf(certificate.subject, certificate.issuer);
    log({
      level: "warn",
      event: "connection-closed",
      caller: subject,
      reason: "its authority is not trusted any more",
    });
    connection.destroy();
  }
}

function destroyAll(connections: ReadonlyMap<TLSSocket, Connection>): void {
  for (const connection of connections.values()) connection.destroy();
}
