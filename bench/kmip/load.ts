/**
 * The load generator, a process of its own: `load.ts FILE` reads a Load as JSON, prints "measuring" just before it begins
 * to measure and a LoadResult as JSON at the end.
 * It does as little as it can for each request: the bytes are made before, an answer is only counted, and looked at for
 * its Result Status.
 */
import { readFileSync } from "node:fs";
import { connect, createSecureContext, type TLSSocket } from "node:tls";

/** What to send, to whom, for how long. */
export interface Load {
  readonly host: string;
  readonly port: number;
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
  readonly maxVersion?: "TLSv1.2" | "TLSv1.3";
  readonly connections: number;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Requests and connections end here at the latest. */
  readonly requestsMax: number;
  /** "requests" on open connections, or "handshakes": a new connection, one request, closed. */
  readonly mode: "requests" | "handshakes";
  /** Requests a second in all, each due at its time; without: each as soon as the one before it is answered. */
  readonly rate?: number;
  /** Whole messages as hexadecimal digits, sent in turn. */
  readonly requests: readonly string[];
  /** Where in each message twelve digits are replaced by a number of its own. */
  readonly numberAt?: number;
}

/** What came of it; `cpu` is the share of one core that the generator itself used. */
export interface LoadResult {
  readonly count: number;
  readonly seconds: number;
  /** Requests and seconds since "measuring" was printed, from when on the server's processor time is counted. */
  readonly told: { readonly count: number; readonly seconds: number };
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly failed: number;
  readonly cpu: number;
  readonly problem?: string;
}

const samplesMax = 4_000_000;
const toldMs = 50;
const digits = 12;
/** Result Status, an enumeration of four bytes; its value follows. */
const resultStatus = Buffer.from("42007f0500000004", "hex");
/** Result Message, a text; its length and the text follow. */
const resultMessage = Buffer.from("42007d07", "hex");

const load = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Load;
const requests = load.requests.map((text) => Buffer.from(text, "hex"));
const secureContext = createSecureContext({ ca: load.authority, cert: load.certificate, key: load.key });
const samples = new Float64Array(samplesMax);
// A hundred a millisecond: a run begins beyond the numbers of the one before, however fast that was.
let [count, failed, sent, nextNumber] = [0, 0, 0, Date.now() * 100];
let problem: string | undefined;
let phase: "going" | "over" = "going";
let [toldAt, toldCount] = [0, 0];
let [begin, end, usage] = [0, 0, process.cpuUsage()];

function open(): TLSSocket {
  const { host, port, maxVersion } = load;
  return connect({ host, port, secureContext, ...(maxVersion === undefined ? {} : { maxVersion }) }).setNoDelay(true);
}

function nextRequest(): Buffer {
  const bytes = requests[sent++ % requests.length] as Buffer;
  if (load.numberAt !== undefined)
    bytes.write(String(nextNumber++).padStart(digits, "0").slice(-digits), load.numberAt);
  // The socket may keep the bytes until they are written: a message that is changed each time is copied.
  return load.numberAt === undefined ? bytes : Buffer.from(bytes);
}

/** Also while it warms up, so that no code runs for the first time when the measuring begins. */
function record(startedAt: number, success: boolean): void {
  if (phase === "over") return;
  if (!success) failed += 1;
  if (count < samplesMax) samples[count++] = performance.now() - startedAt;
}

function isSuccess(answer: Buffer): boolean {
  const at = answer.indexOf(resultStatus);
  const status = at < 0 ? -1 : answer.readUInt32BE(at + 8);
  if (status !== 0) problem ??= messageIn(answer);
  return status === 0;
}

function messageIn(answer: Buffer): string {
  const at = answer.indexOf(resultMessage);
  return at < 0 ? "no KMIP answer" : answer.subarray(at + 8, at + 8 + answer.readUInt32BE(at + 4)).toString();
}

const mayGoOn = () => phase !== "over" && sent < load.requestsMax;

/**
 * When the requests of a connection are due. One that cannot be sent then, because the one before it is not answered or
 * this process is late, counts from there all the same.
 */
function* dueTimes(index: number, rate: number): Generator<number> {
  const everyMs = (1_000 * load.connections) / rate;
  for (let at = performance.now() + (everyMs * index) / load.connections; ; at += everyMs) yield at;
}

/** One request after another on one connection. */
function converse(socket: TLSSocket, index: number): void {
  let startedAt = 0;
  let parts: Buffer[] = [];
  let received = 0;
  let wanted = 0;
  const due = load.rate === undefined ? undefined : dueTimes(index, load.rate);
  const send = () => {
    if (!mayGoOn()) return void socket.destroy();
    socket.write(nextRequest());
  };
  const next = () => {
    startedAt = due?.next().value ?? performance.now();
    if (due !== undefined && startedAt > performance.now()) setTimeout(send, startedAt - performance.now());
    else send();
  };
  socket.on("data", (chunk) => {
    const answer = parts.length === 0 ? chunk : Buffer.concat([...parts, chunk]);
    received = answer.length;
    wanted = received < 8 ? 8 : 8 + answer.readUInt32BE(4);
    if (received < wanted) {
      parts = [answer];
      return;
    }
    parts = [];
    record(startedAt, isSuccess(answer));
    next();
  });
  socket.on("error", lost).on("close", () => phase !== "over" && mayGoOn() && lost(new Error("closed by the server")));
  next();
}

function lost(error: Error): void {
  if (phase === "over") return;
  problem ??= error.message;
  failed += 1;
}

/** A new connection for each request. */
function handshakes(): void {
  if (!mayGoOn()) return;
  const startedAt = performance.now();
  const socket = open();
  socket.once("secureConnect", () => socket.write(nextRequest()));
  socket.once("data", (answer) => {
    record(startedAt, isSuccess(answer));
    socket.destroy();
  });
  socket.once("error", lost).once("close", () => setImmediate(handshakes));
}

async function opened(): Promise<TLSSocket[]> {
  const sockets: TLSSocket[] = [];
  // A few at a time: hundreds of handshakes at once are another benchmark.
  while (sockets.length < load.connections) {
    const some = Array.from({ length: Math.min(16, load.connections - sockets.length) }, open);
    await Promise.all(
      some.map(
        (socket) => new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject)),
      ),
    );
    sockets.push(...some);
  }
  return sockets;
}

function result(): LoadResult {
  const seconds = (end - begin) / 1000;
  const sorted = samples.subarray(0, count).sort();
  const at = (share: number) => sorted[Math.min(count - 1, Math.floor(share * count))] ?? 0;
  const { user, system } = process.cpuUsage(usage);
  return {
    count,
    seconds,
    told: { count: toldCount + count, seconds: (end - toldAt) / 1000 },
    perSecond: count / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    failed,
    cpu: (user + system) / 1e6 / seconds,
    ...(problem === undefined ? {} : { problem }),
  };
}

if (load.mode === "handshakes") for (let each = 0; each < load.connections; each += 1) handshakes();
else for (const [index, socket] of (await opened()).entries()) converse(socket, index);
setTimeout(() => {
  toldAt = performance.now();
  [count, failed] = [0, 0];
  process.stdout.write("measuring\n");
}, load.warmupMs);
// Whoever was told looks at processor times first, which takes some from both sides.
setTimeout(() => {
  begin = performance.now();
  usage = process.cpuUsage();
  [toldCount, count, failed] = [count, 0, 0];
}, load.warmupMs + toldMs);
setTimeout(
  () => {
    phase = "over";
    end = performance.now();
    process.stdout.write(`${JSON.stringify(result())}\n`, () => process.exit(0));
  },
  load.warmupMs + toldMs + load.measureMs,
);
