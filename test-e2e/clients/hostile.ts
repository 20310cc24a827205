/**
 * A KMIP client that means no good; run where the clients are. Prints one JSON object.
 *   hostile.ts MODE HOST PORT [CERT KEY]
 * no-certificate: TLS without a client certificate; garbage: TLS, then no TTLV; too-long: TLS, then a message that says it
 * is 16 MiB; stalls: TLS, half a message, then silence; half-open: ten thousand connections that say nothing.
 */
import { readFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";

const [mode = "", host = "", port = "0", certificate, key] = process.argv.slice(2);
const halfOpenConnections = 10_000;
const openedAtOnce = 200;
const holdMs = 8_000;
const patienceMs = 20_000;

const modes: Readonly<Record<string, () => Promise<Record<string, unknown>>>> = {
  "no-certificate": () => answerTo(undefined, kmipDiscover()),
  garbage: () => answerTo(credentials(), Buffer.from("GET / HTTP/1.1\r\nHost: kms\r\n\r\n")),
  "too-long": () => answerTo(credentials(), header(16 * 1024 * 1024)),
  stalls: () => answerTo(credentials(), header(1000)),
  "half-open": halfOpen,
};

const run = modes[mode];
if (run === undefined) throw new Error(`modes: ${Object.keys(modes).join(", ")}`);
console.log(JSON.stringify(await run()));
process.exit(0);

interface Credentials {
  readonly cert: Buffer;
  readonly key: Buffer;
}

function credentials(): Credentials {
  return { cert: readFileSync(certificate ?? ""), key: readFileSync(key ?? "") };
}

/** The first eight bytes of a request message (tag, type, length) with that length. */
function header(length: number): Buffer {
  const bytes = Buffer.from("42007801", "hex");
  const size = Buffer.alloc(4);
  size.writeUInt32BE(length);
  return Buffer.concat([bytes, size]);
}

/** Discover Versions at 1.2, the smallest whole request. */
function kmipDiscover(): Buffer {
  const integer = (tag: string, value: number, type = "02") =>
    Buffer.from(`${tag}${type}00000004${value.toString(16).padStart(8, "0")}00000000`, "hex");
  const structure = (tag: string, ...parts: Buffer[]) => {
    const body = Buffer.concat(parts);
    const start = Buffer.from(`${tag}01${body.length.toString(16).padStart(8, "0")}`, "hex");
    return Buffer.concat([start, body]);
  };
  const version = structure("420069", integer("42006a", 1), integer("42006b", 2));
  const head = structure("420077", version, integer("42000d", 1));
  const item = structure("42000f", integer("42005c", 0x1e, "05"), structure("420079"));
  return structure("420078", head, item);
}

/** What comes back: how many bytes, whether the connection was closed, by what error, and after how long. */
function answerTo(own: Credentials | undefined, message: Buffer): Promise<Record<string, unknown>> {
  const begin = performance.now();
  return new Promise((resolve) => {
    let bytes = 0;
    let error: string | undefined;
    const finish = (closed: boolean) =>
      resolve({ mode, bytes, closed, ms: Math.round(performance.now() - begin), ...(error ? { error } : {}) });
    // Whom it speaks to does not matter to somebody who means no good.
    const options = { host, port: Number(port), rejectUnauthorized: false, ...own };
    const socket: TLSSocket = connectTls(options, () => socket.write(message));
    socket.on("data", (chunk) => {
      bytes += chunk.length;
    });
    socket.on("error", (problem) => {
      error = problem.message;
    });
    socket.on("close", () => finish(true));
    setTimeout(() => finish(false), patienceMs);
  });
}

async function halfOpen(): Promise<Record<string, unknown>> {
  const counts = { opened: 0, refused: 0, closedByServer: 0 };
  const sockets: Socket[] = [];
  while (sockets.length < halfOpenConnections)
    await Promise.all(Array.from({ length: openedAtOnce }, () => open(sockets, counts)));
  console.log(JSON.stringify({ mode, at: "all tried", ...counts }));
  await new Promise((resolve) => setTimeout(resolve, holdMs));
  for (const socket of sockets) socket.destroy();
  return { mode, at: "end", ...counts };
}

function open(sockets: Socket[], counts: { opened: number; refused: number; closedByServer: number }): Promise<void> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host, port: Number(port), timeout: patienceMs });
    let connected = false;
    sockets.push(socket);
    socket.on("connect", () => {
      connected = true;
      counts.opened += 1;
      resolve();
    });
    socket.on("error", () => {});
    socket.on("timeout", () => socket.destroy());
    socket.on("close", () => {
      if (connected) counts.closedByServer += 1;
      else counts.refused += 1;
      resolve();
    });
  });
}
