import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Encoding } from "../kmip/encoding.ts";
import { ttlv } from "../kmip/encoding.ts";
import { json, xml } from "../kmip/vocabulary.ts";
import type { Connection, ConnectionParts } from "./connection.ts";
import type { ListenLimits } from "./limits.ts";

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

/** Requests of one connection that may wait for their turn. */
const pipelinedMax = 16;

interface Client {
  readonly parts: ConnectionParts;
  /** Answers go out in order, one request at a time. */
  tail: Promise<void>;
  waiting: number;
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
    if (client === undefined || client.waiting >= pipelinedMax) return void request.socket.destroy();
    client.waiting += 1;
    client.spoke = true;
    const turn = client.tail.then(() => answer(request, response, client));
    client.tail = turn
      .catch(() => void request.socket.destroy())
      .finally(() => {
        client.waiting -= 1;
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
      const client: Client = { parts, tail: Promise.resolve(), waiting: 0, spoke: false, draining: false };
      clients.set(socket, client);
      socket.setNoDelay(true);
      // Node's own limit of silence begins with the first answer.
      const silent = setTimeout(() => client.spoke || socket.destroy(), limits.idleTimeoutMs);
      socket.once("close", () => clearTimeout(silent));
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
  // Node watches its deadlines from this event on, which else only a server that listens itself gives.
  server.emit("listening");
  return server;
}

async function answer(request: IncomingMessage, response: ServerResponse, client: Client): Promise<void> {
  const { limits, log, caller, expiresAt, handler, permits } = client.parts;
  if (Date.now() > expiresAt) {
    log({ level: "warn", event: "certificate-expired", caller: caller.subject });
    return void request.socket.destroy();
  }
  const encoding = encodings.get((request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "");
  const refusal = refusalOf(request, encoding);
  if (refusal !== undefined || encoding === undefined) return refuse(response, refusal ?? unknownEncoding);
  const message = await bodyOf(request, limits.messageBytesMax);
  if (message === undefined)
    return refuse(response, { status: 413, text: `A message has at most ${limits.messageBytesMax} bytes` });
  await permits.take();
  const bytes = await handler(message, caller, encoding).finally(permits.give);
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

/** The whole body in a buffer of its own; undefined when it is larger than allowed. */
async function bodyOf(request: IncomingMessage, bytesMax: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > bytesMax) return undefined;
      chunks.push(chunk);
    }
    const body = Buffer.alloc(size);
    let at = 0;
    for (const chunk of chunks) at += chunk.copy(body, at);
    return body;
  } finally {
    for (const chunk of chunks) chunk.fill(0);
  }
}

/** Resolves when the answer is out of our hands; its bytes are zeroed then. */
function send(response: ServerResponse, bytes: Buffer, around: { type: string; client: Client }): Promise<void> {
  const { limits } = around.client.parts;
  if (around.client.draining) response.shouldKeepAlive = false;
  response.writeHead(200, {
    "Content-Type": around.type,
    "Content-Length": bytes.length,
    "Cache-Control": "no-store",
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  const slow = setTimeout(() => response.socket?.destroy(), limits.writeTimeoutMs);
  response.once("close", resolve).once("finish", resolve);
  response.end(bytes);
  return promise.finally(() => {
    clearTimeout(slow);
    bytes.fill(0);
  });
}
