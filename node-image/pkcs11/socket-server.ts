import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { HsmError } from "../hsm/hsm-error.ts";
import type { HsmStatus } from "../hsm/types.ts";
import { encodeFrame, type Frame, FrameReader, maxFrameBytes } from "../hsm-wire/frames.ts";
import {
  fieldCounts,
  maxRandomBytes,
  type OperationName,
  operationOf,
  outcomes,
  unpackFields,
} from "../hsm-wire/messages.ts";
import { limits } from "./limits.ts";

/** Who answers the requests. */
export interface Answering {
  readonly status: HsmStatus;
  carryOut(
    operation: Exclude<OperationName, "status">,
    payload: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>>;
}

/** Listens on a socket that only this user can open: 0600 in a folder of 0700. Rejects when the path cannot be used. */
export async function listenOnSocket(path: string, answering: Answering): Promise<Server> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  chmodSync(dirname(path), 0o700);
  rmSync(path, { force: true });
  const server = createServer((socket) => serve(socket, answering));
  server.maxConnections = limits.connections;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return server;
}

function serve(socket: Socket, answering: Answering): void {
  const reader = new FrameReader();
  let inFlight = 0;
  socket.on("error", () => socket.destroy());
  socket.on("close", () => reader.clear());
  socket.on("data", (chunk: Buffer) => {
    try {
      for (const frame of reader.push(chunk)) {
        inFlight += 1;
        void answer(frame, answering, inFlight > limits.inFlightPerConnection).then((reply) => {
          inFlight -= 1;
          send(socket, reply);
        });
      }
    } catch {
      socket.destroy();
    } finally {
      chunk.fill(0);
    }
  });
}

/** Never rejects: every request has an answer under its id. */
async function answer(frame: Frame, answering: Answering, overloaded: boolean): Promise<Frame> {
  try {
    if (overloaded)
      throw new HsmError(
        "unavailable",
        `more than ${limits.inFlightPerConnection} requests in flight on one connection`,
      );
    const operation = checkedOperation(frame);
    if (operation === "status") return done(frame.id, Buffer.from(JSON.stringify(answering.status)));
    const payload = await answering.carryOut(operation, frame.payload as Buffer<ArrayBuffer>);
    return done(frame.id, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
  } catch (error) {
    if (frame.payload.length > 0) frame.payload.fill(0); // not taken by a thread, and it may be a secret
    const refusal = error instanceof HsmError ? error : new HsmError("refused", "the HSM sidecar failed");
    return { id: frame.id, kind: outcomes[refusal.code], payload: Buffer.from(refusal.message) };
  }
}

function checkedOperation(frame: Frame): OperationName {
  const operation = operationOf(frame.kind);
  if (operation === undefined) throw new HsmError("refused", `there is no operation ${frame.kind}`);
  const fields = unpackFields(frame.payload, fieldCounts[operation]);
  if (fields === undefined) throw new HsmError("refused", `a "${operation}" request whose fields cannot be read`);
  if (operation === "random") checkLength(fields[0]);
  return operation;
}

function checkLength(field: Buffer | undefined): void {
  const length = field?.length === 4 ? field.readUInt32BE(0) : 0;
  if (length < 1 || length > maxRandomBytes)
    throw new HsmError("refused", `between 1 and ${maxRandomBytes} random bytes are possible`);
}

function done(id: number, payload: Buffer): Frame {
  return { id, kind: outcomes.done, payload };
}

function send(socket: Socket, reply: Frame): void {
  const bytes = encodeFrame(fitting(reply));
  reply.payload.fill(0);
  if (socket.destroyed) return void bytes.fill(0);
  socket.write(bytes, () => bytes.fill(0));
  if (socket.writableLength > limits.unreadBytes) socket.destroy();
}

/** A sealed blob is longer than what was sealed: what no longer fits is refused instead of ending the process. */
function fitting(reply: Frame): Frame {
  if (reply.payload.length <= maxFrameBytes - 16) return reply;
  reply.payload.fill(0);
  return {
    id: reply.id,
    kind: outcomes.refused,
    payload: Buffer.from(`the answer is over the limit of ${maxFrameBytes} bytes`),
  };
}
