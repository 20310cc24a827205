import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type PeerCertificate } from "node:tls";
import { identityProblem } from "./peer-connection.ts";
import type { MeshMember } from "./types.ts";

/** PostgreSQL's SSLRequest: its length and its code (protocol 3.0, message formats). */
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const acceptsTls = "S".charCodeAt(0);
/** Of TCP and TLS together; what does not answer within it is not reached. */
const deadlineMs = 2_000;

/** What a look at a peer needs. */
export interface ProbeOptions {
  readonly peer: MeshMember;
  readonly trustBundlePem: string;
  readonly deadlineMs?: number;
}

/**
 * Whether a peer's mesh port is reached and shows the peer's certificate: resolves with the milliseconds that TCP took to
 * connect, rejects with why not. Nothing of this node is shown, and nobody is logged in: the link ends after the handshake.
 */
export async function probePeer(options: ProbeOptions): Promise<number> {
  const { address = "", meshPort = 5432 } = options.peer;
  const begun = performance.now();
  const socket = connect({ host: address, port: meshPort });
  const timer = setTimeout(() => socket.destroy(new Error("no answer in time")), options.deadlineMs ?? deadlineMs);
  // Also after what is awaited below: an error that nobody hears would end the process.
  socket.on("error", () => undefined);
  try {
    await once(socket, "connect");
    const roundTripMs = performance.now() - begun;
    await askForTls(socket);
    await handshake(socket, options);
    return roundTripMs;
  } finally {
    clearTimeout(timer);
    socket.destroySoon();
  }
}

async function askForTls(socket: Socket): Promise<void> {
  const answer = new Promise<Buffer>((resolve, reject) => {
    socket.once("data", resolve);
    socket.once("close", () => reject(new Error("closed without an answer")));
    socket.once("error", reject);
  });
  socket.write(sslRequest);
  const [first] = await answer;
  if (first !== acceptsTls) throw new Error("takes no TLS: it is no mesh port, or is not ready yet");
}

async function handshake(socket: Socket, { peer, trustBundlePem }: ProbeOptions): Promise<void> {
  const secure = connectTls({
    socket,
    ca: trustBundlePem,
    minVersion: "TLSv1.3",
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => identityProblem(certificate, peer.identity),
  });
  secure.on("error", () => undefined);
  const closed = once(socket, "close").then(() => {
    throw new Error("closed in the handshake");
  });
  await Promise.race([once(secure, "secureConnect"), closed]);
  // With the end that TLS has, else PostgreSQL writes a line into its log.
  secure.end();
}
