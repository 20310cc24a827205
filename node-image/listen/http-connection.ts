import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Encoding } from "../kmip/encoding.ts";
import { ttlv } from "../kmip/encoding.ts";
import { json, xml } from "../kmip/vocabulary.ts";
import { type Body, bodyOf } from "./body.ts";
import type { Connection, ConnectionParts } from "./connection.ts";
import type { ListenLimits } from "./limits.ts";
import type { Seat } from "./message-room.ts";
import { unreadReason } from "./unread.ts";

/** KMIP over HTTPS (KMIP Profiles 1.4, 5.4): POST /kmip with one message; its Content-Type says how it is written. */
export interface HttpDoor {
  serve(socket: TLSSocket, parts: ConnectionParts): Connection;
}

const path = "/kmip";

const encodings: ReadonlyMap<string, Encoding> = new Map([
  ["application/octet-stream", ttlv],
  ["application/json", json],
  ["text/xml", xml],
  ["application/xml", xml],
]);

/** Requests of one connection that may wait for their turn, and headers of one: Node keeps all of both as objects. */
const pipelinedMax = 4;
const headersMax = 64;

interface Client {
  readonly parts: ConnectionParts;
  readonly seat: Seat;
  /** Answers go out in order, one request at a time. */
  tail: Promise<void>;
  waiting: number;
  /** Bytes that were announced of those that wait behind another. */
  waitingBytes: number;
  /** Whether it ever asked for anything. */
  spoke: boolean;
  draining: boolean;
}

/** Makes the parser of HTTP that all connections of a listener share. */
export function httpDoor(limits: ListenLimits): HttpDoor {
  const clients = new WeakMap<object, Client>();
  const server = parser(limits);
  server.on("request", (request, response) => {
    const client = clients.get(request.socket);
    const size = announced(request, limits.messageBytesMax);
    if (client === undefined || hasMoreHeaders(request) || !mayWait(client, size)) return void request.socket.destroy();
    const behind = client.waiting === 0 ? 0 : size;
    client.waiting += 1;
    client.waitingBytes += behind;
    client.spoke = true;
    const body = bodyOf(request, { bytesMax: limits.messageBytesMax, waits: size > limits.smallMessageBytes });
    const turn = client.tail.then(() => answer({ request, response, body }, client));
    client.tail = turn
      .catch(() => void request.socket.destroy())
      .finally(() => {
        client.waiting -= 1;
        client.waitingBytes -= behind;
        client.seat.give();
        if (client.draining && client.waiting === 0) request.socket.end();
      });
  });
  server.on("clientError", (error, socket) => {
    const client = clients.get(socket);
    client?.parts.log({ level: "warn", event: "not-http", caller: client.parts.caller.subject, reason: codeOf(error) });
    socket.destroy();
  });
  return {
    serve: (socket, parts) => {
      const seat = parts.room.seat(parts.caller.identity);
      const none = { waiting: 0, waitingBytes: 0, spoke: false, draining: false };
      const client: Client = { parts, seat, tail: Promise.resolve(), ...none };
      clients.set(socket, client);
      socket.setNoDelay(true);
      // Node's own limit of silence begins with the first answer.
      const silent = setTimeout(() => client.spoke || socket.destroy(), limits.idleTimeoutMs);
      socket.once("close", () => {
        clearTimeout(silent);
        seat.give();
      });
      server.emit("connection", socket);
      return {
        drain: () => {
          client.draining = true;
          const idle = setTimeout(() => client.waiting === 0 && socket.end(), limits.drainIdleMs);
          socket.once("close", () => clearTimeout(idle));
        },
        destroy: () => socket.destroy(),
      };
    },
  };
}

/** What says how large it is may be among those that were left out. */
function hasMoreHeaders({ rawHeaders }: IncomingMessage): boolean {
  return rawHeaders.length >= 2 * headersMax;
}

/** Bytes of the body, as far as they are told: what is sent in pieces may be as large as a message can be. */
function announced({ headers }: IncomingMessage, messageBytesMax: number): number {
  const unknown = headers["transfer-encoding"] === undefined ? 0 : messageBytesMax;
  return Number(headers["content-length"] ?? unknown);
}

/** Of requests behind another what comes is kept: so only small ones may wait, and few of them. */
function mayWait({ waiting, waitingBytes, parts }: Client, size: number): boolean {
  return waiting === 0 || (waiting < pipelinedMax && waitingBytes + size <= parts.limits.smallMessageBytes);
}

function codeOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.name;
}

/** Never listens itself: it is handed connections whose certificates were judged. */
function parser(limits: ListenLimits): Server {
  const server = createServer({
    maxHeaderSize: 8192,
    headersTimeout: limits.messageTimeoutMs,
    requestTimeout: limits.messageTimeoutMs,
    keepAliveTimeout: limits.idleTimeoutMs,
    connectionsCheckingInterval: 1000,
    requireHostHeader: false,
  });
  server.maxHeadersCount = headersMax;
  // Node watches its deadlines from this event on, which else only a server that listens itself gives.
  server.emit("listening");
  return server;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: Body;
}

async function answer({ request, response, body }: Exchange, client: Client): Promise<void> {
  const { limits, log, caller, expiresAt, handler, permits } = client.parts;
  if (Date.now() > expiresAt) {
    log({ level: "warn", event: "certificate-expired", caller: caller.subject });
    return void request.socket.destroy();
  }
  const encoding = encodings.get((request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "");
  const refusal = refusalOf(request, encoding);
  if (refusal !== undefined || encoding === undefined) return refuse(response, refusal ?? unknownEncoding);
  const size = announced(request, limits.messageBytesMax);
  const tooLarge = { status: 413, text: `A message has at most ${limits.messageBytesMax} bytes` };
  if (size > limits.messageBytesMax) return refuse(response, tooLarge);
  await client.seat.take(size);
  body.proceed();
  const message = await body.whole;
  if (message === undefined) return refuse(response, tooLarge);
  await permits.take();
  const bytes = await handler(message, caller, encoding).finally(() => {
    permits.give();
    client.seat.give();
  });
  await send(response, bytes, { type: request.headers["content-type"] ?? "", client });
}

interface HttpRefusal {
  readonly status: number;
  readonly text: string;
}

const unknownEncoding: HttpRefusal = {
  status: 415,
  text: "Content-Type is application/octet-stream (TTLV), application/json or text/xml",
};

function refusalOf({ method, url }: IncomingMessage, encoding: Encoding | undefined): HttpRefusal | undefined {
  if (url !== path) return { status: 404, text: `KMIP is at ${path}` };
  if (method !== "POST") return { status: 405, text: "Send a KMIP message by POST" };
  return encoding === undefined ? unknownEncoding : undefined;
}

/** What was not read of the request is thrown away with its connection. */
function refuse(response: ServerResponse, { status, text }: HttpRefusal): void {
  response.shouldKeepAlive = false;
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    ...(status === 405 ? { Allow: "POST" } : {}),
  });
  response.end(`${text}\n`);
}

/** Resolves when the answer is out of our hands; its bytes are zeroed then. */
function send(response: ServerResponse, bytes: Buffer, around: { type: string; client: Client }): Promise<void> {
  const { limits, log, caller, unread } = around.client.parts;
  if (response.destroyed) {
    bytes.fill(0); // the client went away meanwhile: nothing would tell that it was sent
    return Promise.resolve();
  }
  if (around.client.draining) response.shouldKeepAlive = false;
  response.writeHead(200, {
    "Content-Type": around.type,
    "Content-Length": bytes.length,
    "Cache-Control": "no-store",
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  const slow = setTimeout(() => response.socket?.destroy(), limits.writeTimeoutMs);
  const taken = unread.add(bytes.length, () => {
    log({ level: "warn", event: "connection-closed", caller: caller.subject, reason: unreadReason });
    response.socket?.destroy();
  });
  response.once("close", resolve).once("finish", resolve);
  response.end(bytes);
  return promise.finally(() => {
    taken();
    clearTimeout(slow);
    bytes.fill(0);
  });
}
