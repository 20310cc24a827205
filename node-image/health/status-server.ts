import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { halfOpen } from "../listen/half-open.ts";

const limits = { connections: 8, headersMs: 5_000, requestMs: 5_000, handshakeMs: 5_000, headerBytes: 4_096 } as const;

/** PEM of the node's mesh certificate, of its key, and of the CAs that callers must come from. */
export interface StatusTls {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly trustBundlePem: string;
}

/** What the endpoint is made of. */
export interface StatusServerOptions {
  readonly host: string;
  /** 0 chooses a free one. */
  readonly port: number;
  readonly tls: StatusTls;
  /** The only caller that is answered: the operator of the node's site. */
  readonly caller: { readonly site: string; readonly cluster: string };
  /** The document that is answered. */
  readonly status: () => unknown;
}

/** A running endpoint. */
export interface StatusServer {
  readonly port: number;
  /** New connections use these; throws on what cannot be used and keeps the old. */
  updateTls(tls: StatusTls): void;
  close(): Promise<void>;
}

/** Common name of an operator's certificate; the dot keeps it from being any node's. */
export const operatorName = "keyfleet.operator";

/**
 * Shows the status of a node outside Kubernetes to the operator of its site: HTTPS, TLS 1.3 with certificates of the mesh on
 * both sides, GET /status, nothing else, nothing is ever taken in. Resolves when it listens.
 */
export async function startStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const server = createServer({
    ...contextOf(options.tls),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: limits.handshakeMs,
    maxHeaderSize: limits.headerBytes,
  });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => answer(request, response, options));
  // A stranger's silence must not keep the operator out: at the limit it is who has most that loses one.
  const open = halfOpen(limits.connections, () => undefined);
  server.on("connection", (socket) => open.add(socket as Socket));
  server.headersTimeout = limits.headersMs;
  server.requestTimeout = limits.requestMs;
  server.listen({ port: options.port, ...(options.host === "::" ? {} : { host: options.host }) });
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    updateTls: (tls) => server.setSecureContext(contextOf(tls)),
    close: () => closed(server),
  };
}

function contextOf(tls: StatusTls) {
  // Node takes an empty list for "every public CA".
  if (!tls.trustBundlePem.includes("-----BEGIN CERTIFICATE-----")) throw new TypeError("the trust bundle is empty");
  return {
    cert: tls.certificateChainPem,
    key: tls.privateKeyPem,
    ca: tls.trustBundlePem,
    minVersion: "TLSv1.3",
    ecdhCurve: "X25519MLKEM768:X25519",
  } as const;
}

function answer(request: IncomingMessage, response: ServerResponse, { caller, status }: StatusServerOptions): void {
  request.resume();
  const refusal = refusalOf(request, caller);
  const [code, body] = refusal === undefined ? told(status) : [refusal.code, { message: refusal.message }];
  // One question a connection, as the operator asks: a certificate is looked at in the handshake alone, and it ends, or its CA
  // is given up.
  response.shouldKeepAlive = false;
  response.writeHead(code, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(`${JSON.stringify(body)}\n`);
}

/** A node that cannot tell its status now (its disk does not answer) must not end for having been asked. */
function told(status: () => unknown): readonly [number, unknown] {
  try {
    return [200, status()];
  } catch {
    return [500, { message: "the status cannot be told now; see the node's log" }];
  }
}

interface Refusal {
  readonly code: number;
  readonly message: string;
}

function refusalOf(request: IncomingMessage, caller: StatusServerOptions["caller"]): Refusal | undefined {
  const { subject } = (request.socket as TLSSocket).getPeerCertificate();
  const isOperator = subject?.CN === operatorName && subject.OU === caller.site && subject.O === caller.cluster;
  if (!isOperator) return { code: 403, message: "only the operator of this node's site may ask" };
  if (request.url !== "/status") return { code: 404, message: "there is /status only" };
  return request.method === "GET" ? undefined : { code: 405, message: "GET only" };
}

function closed(server: Server): Promise<void> {
  const done = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  return done;
}
