import { createConnection, type Socket } from "node:net";
import { encodeFrame, type Frame, FrameReader } from "../hsm-wire/frames.ts";
import { maxRandomBytes, type OperationName, operations, outcomeOf, packFields } from "../hsm-wire/messages.ts";
import { HsmError } from "./hsm-error.ts";
import { type Hsm, type HsmStatus, reasons } from "./types.ts";

/** Where the sidecar listens and how long an answer may take. */
export interface HsmClientOptions {
  readonly socketPath: string;
  /** Deadline of one request; beyond the sidecar's own, so that its reason arrives first. */
  readonly deadlineMs?: number;
  /** Deadline of makeJoinKey, for which a token may have to search primes. */
  readonly keyGenerationDeadlineMs?: number;
}

/** The sidecar seen from the key server; connects when first asked and again after every loss. */
export interface HsmClient extends Hsm {
  /** Ends the connection and rejects what is still waiting. */
  close(): void;
}

/** Characters of what the sidecar says; the rest of a refusal is cut off, and what is longer is no status. */
const textMax = 2_000;

/** Requests that may wait for an answer at one time; one more is refused at once. */
const maxInFlight = 256;

interface Waiting {
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: HsmError) => void;
  readonly timer: NodeJS.Timeout;
}

/** Opens the door to the sidecar; no connection is made before the first request. */
export function connectHsm(options: HsmClientOptions): HsmClient {
  const link = new Link(options.socketPath);
  const deadlineMs = options.deadlineMs ?? 12_000;
  const keyGenerationDeadlineMs = options.keyGenerationDeadlineMs ?? 65_000;
  const ask = (operation: OperationName, fields: readonly Uint8Array[]) => link.ask(operation, fields, deadlineMs);
  return {
    seal: (plaintext, aad) => ask("seal", [plaintext, aad]),
    unseal: (blob, aad) => ask("unseal", [blob, aad]),
    random: async (length) => ask("random", [lengthField(length)]),
    status: async () => statusOrReason(ask("status", [])),
    makeJoinKey: () => link.ask("makeJoinKey", [], keyGenerationDeadlineMs),
    unwrapJoin: (wrapped) => ask("unwrapJoin", [wrapped]),
    close: () => link.close("the key server closed its link to the HSM sidecar"),
  };
}

function lengthField(length: number): Buffer {
  if (!Number.isInteger(length) || length < 1 || length > maxRandomBytes) {
    throw new HsmError("refused", `${length} random bytes asked for; between 1 and ${maxRandomBytes} are possible`);
  }
  const field = Buffer.alloc(4);
  field.writeUInt32BE(length);
  return field;
}

/** A sidecar that cannot be reached is a status too, not an error: whoever asks wants to show it. */
async function statusOrReason(answer: Promise<Buffer>): Promise<HsmStatus> {
  try {
    return statusOf(JSON.parse((await answer).toString("utf8")));
  } catch (error) {
    const message = error instanceof HsmError ? error.message : "the HSM sidecar's status cannot be read";
    return { ready: false, reason: "Starting", message };
  }
}

/** Only what is a status: it decides whether the node serves, and goes into documents that have their own limits. */
function statusOf(given: unknown): HsmStatus {
  const { ready, reason, message, ...token } = given as Record<keyof HsmStatus, unknown>;
  const known = reasons.find((each) => each === reason);
  const texts = [message, ...tokenFields.map((name) => token[name] ?? "")];
  if (typeof ready !== "boolean" || known === undefined || !texts.every(isShort)) throw new TypeError("no status");
  const named = tokenFields.flatMap((name) => (token[name] === undefined ? [] : [[name, token[name]]]));
  return { ready, reason: known, message: message as string, ...Object.fromEntries(named) };
}

const tokenFields = ["tokenLabel", "tokenSerial", "keyCheckValue"] as const;

function isShort(text: unknown): boolean {
  return typeof text === "string" && text.length <= textMax;
}

/** One connection at a time, many requests on it, matched by id. */
class Link {
  readonly #path: string;
  readonly #waiting = new Map<number, Waiting>();
  #socket: Socket | undefined;
  #lastId = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async ask(operation: OperationName, fields: readonly Uint8Array[], deadlineMs: number): Promise<Buffer> {
    if (this.#waiting.size >= maxInFlight) {
      throw new HsmError("unavailable", `${maxInFlight} requests wait for the HSM already`);
    }
    const id = this.#nextId();
    const payload = packFields(fields);
    try {
      const bytes = encoded({ id, kind: operations[operation], payload });
      return await this.#send(id, bytes, { operation, deadlineMs });
    } finally {
      payload.fill(0);
    }
  }

  close(reason: string): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#rejectAll(new HsmError("unavailable", reason));
  }

  #send(
    id: number,
    bytes: Buffer,
    { operation, deadlineMs }: { operation: string; deadlineMs: number },
  ): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const late = () => {
        this.#waiting.delete(id);
        reject(new HsmError("timeout", `the HSM sidecar did not answer "${operation}" within ${deadlineMs} ms`));
        // What it does not even read would come together here, with what is secret in it.
        if (socket.writableLength > 0) this.#lost(socket, "it reads nothing");
      };
      const socket = this.#connected();
      this.#waiting.set(id, { resolve, reject, timer: setTimeout(late, deadlineMs) });
      socket.write(bytes, () => bytes.fill(0));
    });
  }

  #connected(): Socket {
    if (this.#socket !== undefined) return this.#socket;
    const socket = createConnection(this.#path);
    const reader = new FrameReader();
    const lost = (why: string) => this.#lost(socket, why);
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const frame of reader.push(chunk)) this.#settle(frame);
      } catch {
        lost("it sent bytes that are not its protocol");
      } finally {
        chunk.fill(0);
      }
    });
    socket.on("error", (error: NodeJS.ErrnoException) => lost(error.code ?? "connection error"));
    socket.on("close", () => {
      reader.clear();
      lost("it closed the connection");
    });
    this.#socket = socket;
    return socket;
  }

  #lost(socket: Socket, why: string): void {
    socket.destroy();
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    this.#rejectAll(
      new HsmError("unavailable", `the HSM sidecar at ${this.#path} cannot be reached (${why}); check container "hsm"`),
    );
  }

  #settle(frame: Frame): void {
    const waiting = this.#waiting.get(frame.id);
    if (waiting === undefined) {
      frame.payload.fill(0);
      return;
    }
    this.#waiting.delete(frame.id);
    clearTimeout(waiting.timer);
    const outcome = outcomeOf(frame.kind);
    if (outcome === "done") waiting.resolve(frame.payload);
    else waiting.reject(new HsmError(outcome ?? "refused", frame.payload.toString("utf8", 0, textMax)));
  }

  #rejectAll(error: HsmError): void {
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(error);
    }
    this.#waiting.clear();
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }
}

function encoded(frame: Frame): Buffer {
  try {
    return encodeFrame(frame);
  } catch (error) {
    throw new HsmError("refused", (error as Error).message);
  }
}
