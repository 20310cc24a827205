import { type IncomingMessage, request } from "node:http";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Encoding } from "../kmip/encoding.ts";
import type { KmipHandler } from "../kmip/handler.ts";
import { httpDoor } from "../listen/http-connection.ts";
import { defaultLimits } from "../listen/limits.ts";
import { permits } from "../listen/permits.ts";
import { listenMemory } from "../listen/server.ts";
import { Finding } from "./finding.ts";
import { bodies, messageBytesMax } from "./form.ts";
import { judgedServer, owner } from "./session.ts";

const limits = { ...defaultLimits, messageBytesMax };
/** One for all sessions, as a listener has one for all connections. */
const door = httpDoor(limits);
const shared = { limits, permits: permits(limits.requestsInFlightMax), log: () => undefined, ...listenMemory(limits) };

/** A session over HTTPS, from where TLS has ended: each text is the body of a POST, answered with a body of the same kind. */
export async function postedSession(input: Buffer, type: string, encoding: Encoding): Promise<void> {
  const server = judgedServer();
  let broken: unknown;
  let answered = Buffer.alloc(0);
  // The door tells nobody what a handler threw; a handler never does.
  const handler: KmipHandler = async (message, caller, asked) => {
    try {
      if (asked?.name !== encoding.name) throw new Finding("the door took the body for another encoding");
      const answer = await server(message, caller, asked);
      answered = Buffer.from(answer);
      return answer;
    } catch (error) {
      broken = error;
      throw error;
    }
  };
  for (const body of bodies(input)) {
    const answer = await posted(body, type, handler).catch((error) => {
      throw broken ?? error;
    });
    if (answer.status !== 200 || answer.type !== type)
      throw new Finding(`answered with ${answer.status} ${answer.type}`);
    if (!answer.body.equals(answered)) throw new Finding("the body is not what the handler answered");
  }
}

interface Answer {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly body: Buffer;
}

/** Sends one body on a connection of its own and reads what comes back. */
async function posted(body: Buffer, type: string, handler: KmipHandler): Promise<Answer> {
  const [near, far] = connectedPair();
  door.serve(far as unknown as TLSSocket, { ...shared, handler, caller: owner, expiresAt: Number.POSITIVE_INFINITY });
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const headers = { "Content-Type": type, "Content-Length": body.length };
  const sent = request({ path: "/kmip", method: "POST", headers, createConnection: () => near }, (response) => {
    readAll(response).then(
      (all) => resolve({ status: response.statusCode, type: response.headers["content-type"], body: all }),
      reject,
    );
  });
  sent.on("error", reject).end(body);
  try {
    return await promise;
  } finally {
    for (const end of [near, far]) end.destroy();
  }
}

async function readAll(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Two ends of a connection in memory. What passes is copied, as a network does: both ends zero what is theirs. */
function connectedPair(): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  for (const index of [0, 1]) {
    const end = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _, done) => {
        ends[1 - index]?.push(Buffer.from(chunk));
        done();
      },
      final: (done) => {
        ends[1 - index]?.push(null);
        done();
      },
      destroy: (error, done) => {
        ends[1 - index]?.destroy();
        done(error);
      },
    });
    // What the door and the parser of HTTP ask of a socket.
    ends.push(Object.assign(end, { setNoDelay: () => end, setTimeout: () => end, setKeepAlive: () => end }));
  }
  return ends as [Duplex, Duplex];
}
