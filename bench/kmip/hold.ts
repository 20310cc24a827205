/**
 * Idle clients, a process of its own: `hold.ts FILE` reads a Hold as JSON, opens the connections, sends a request on each and
 * reads its answer, prints how many are open, and holds them until its input ends; then prints how many still were.
 */
import { readFileSync } from "node:fs";
import { connect, createSecureContext, type TLSSocket } from "node:tls";

/** Whom to connect to, and from how many loopback addresses. */
export interface Hold {
  readonly host: string;
  readonly port: number;
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
  readonly connections: number;
  readonly addresses: number;
  /** A message as hexadecimal digits. */
  readonly request: string;
}

const hold = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Hold;
const request = Buffer.from(hold.request, "hex");
const secureContext = createSecureContext({ ca: hold.authority, cert: hold.certificate, key: hold.key });
/** Handshakes at a time. */
const together = 16;

function openOne(number: number): Promise<TLSSocket> {
  const { host, port, addresses } = hold;
  const at = number % addresses;
  const from = addresses === 1 ? {} : { localAddress: `127.200.${Math.floor(at / 250)}.${1 + (at % 250)}` };
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, secureContext, ...from }, () => socket.write(request));
    socket.once("data", () => resolve(socket)).once("error", reject);
    socket.once("close", () => reject(new Error("closed by the server")));
  });
}

const sockets: TLSSocket[] = [];
let problem: string | undefined;
while (sockets.length < hold.connections && problem === undefined) {
  const count = Math.min(together, hold.connections - sockets.length);
  const opened = await Promise.allSettled(Array.from({ length: count }, (_, at) => openOne(sockets.length + at)));
  for (const each of opened) {
    if (each.status === "fulfilled") sockets.push(each.value.on("error", () => undefined));
    else problem ??= (each.reason as Error).message;
  }
}
console.log(JSON.stringify({ open: sockets.length, ...(problem === undefined ? {} : { problem }) }));
process.stdin.resume().once("end", () => {
  console.log(JSON.stringify({ open: sockets.filter((socket) => !socket.destroyed).length }));
  process.exit(0);
});
