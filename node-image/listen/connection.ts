import type { TLSSocket } from "node:tls";
import type { Caller } from "../access/identity.ts";
import { invalidMessage, type KmipHandler, placeOf } from "../kmip/handler.ts";
import type { ListenLimits } from "./limits.ts";
import type { LogFields } from "./log-budget.ts";
import { messageReader } from "./message-reader.ts";
import type { MessageRoom, Seat } from "./message-room.ts";
import type { Permits } from "./permits.ts";
import { enter, flush, post } from "./turn.ts";
import { type UnreadAnswers, unreadReason } from "./unread.ts";
import { whilePaused } from "./while-paused.ts";

/** A client's connection after its certificate was accepted. */
export interface Connection {
  /**
   * Ends it after the next answer: of the request in work, or of one that comes within drainIdleMs; else then. A request
   * that was on its way is answered, where closing at once would have lost it.
   */
  drain(): void;
  destroy(): void;
}

/** What a connection shares with the others. */
export interface ConnectionParts {
  readonly handler: KmipHandler;
  readonly limits: ListenLimits;
  readonly permits: Permits;
  readonly room: MessageRoom;
  readonly unread: UnreadAnswers;
  readonly log: (fields: LogFields) => void;
  readonly caller: Caller;
  /** When the client certificate ends, in milliseconds since 1970. */
  readonly expiresAt: number;
}

/** How long a connection that was ended may take to close. */
const lingerMs = 2000;

/** Reads messages one after another and writes their answers, in order, one request at a time. */
export function serveConnection(socket: TLSSocket, parts: ConnectionParts): Connection {
  const { limits, log, caller } = parts;
  const reader = messageReader(limits.messageBytesMax);
  const seat = parts.room.seat(caller.identity);
  const served = { ...parts, seat };
  let busy = false;
  let draining = false;
  let over = false;
  let deadline: NodeJS.Timeout | undefined;
  let lastCall: NodeJS.Timeout | undefined;

  const close = (reason: string) => {
    log({ level: "info", event: "connection-closed", caller: caller.subject, reason });
    socket.destroy();
  };
  const serve = async () => {
    for (let message = reader.next(); message !== undefined; message = draining ? undefined : reader.next()) {
      clearTimeout(deadline);
      deadline = undefined;
      over = !(await serveOne(message, socket, served));
      if (over) break;
    }
    busy = false;
    if (draining || over) leave();
    readOn();
  };
  /** What comes of a large message waits in the network until there is room for all of it. */
  const readOn = () => {
    const room = over ? undefined : seat.take(reader.announced());
    if (room === undefined) return void (socket.isPaused() && !socket.destroyed && pieces.resume());
    socket.pause();
    void room.then(() => {
      if (busy || socket.destroyed) return;
      if (reader.announced() === 0)
        begin(); // all of it came before the pause took effect
      else pieces.resume();
    });
  };
  const begin = () => {
    busy = true;
    enter(() => void serve().then(watchMessage, (error: Error) => close(error.name)));
  };
  /** Says goodbye; what still comes is thrown away, so that the last answer is not lost to a reset. */
  const leave = () => {
    over = true;
    flush();
    socket.end();
    const cut = setTimeout(() => socket.destroy(), lingerMs);
    socket.once("close", () => clearTimeout(cut));
  };
  /** The deadline runs from a message's first byte: bytes that trickle in do not move it. */
  const watchMessage = () => {
    if (!reader.partial() || over || deadline !== undefined) return;
    const why = () =>
      socket.isPaused() ? "there was no room for a large message" : "a message was begun and not finished";
    deadline = setTimeout(() => close(why()), limits.messageTimeoutMs);
  };

  socket.setNoDelay(true);
  socket.setTimeout(limits.idleTimeoutMs, () => close("idle"));
  const take = (bytes: Buffer) => void (over ? bytes.fill(0) : reader.push(bytes));
  const pieces = whilePaused(socket, take);
  socket.on("data", (bytes) => {
    take(bytes);
    if (over) return;
    // A client that sends on before it has its answer waits: what it sent so far is all that is kept of it.
    if (busy) return void socket.pause();
    begin();
  });
  socket.on("error", () => socket.destroy()); // a client that resets needs no line in the log
  socket.on("close", () => {
    clearTimeout(deadline);
    clearTimeout(lastCall);
    reader.clear();
    seat.give();
  });
  return {
    drain: () => {
      draining = true;
      lastCall = setTimeout(() => busy || over || reader.partial() || leave(), limits.drainIdleMs);
    },
    destroy: () => socket.destroy(),
  };
}

/** Answers one message; false when the connection is over. */
async function serveOne(
  message: Buffer | Error,
  socket: TLSSocket,
  parts: ConnectionParts & { readonly seat: Seat },
): Promise<boolean> {
  const { caller, log, permits } = parts;
  if (message instanceof Error) {
    log({ level: "warn", event: "not-kmip", caller: caller.subject, message: message.message, ...placeOf(message) });
    post(invalidMessage(message), socket);
    return false;
  }
  if (Date.now() > parts.expiresAt) {
    log({ level: "warn", event: "certificate-expired", caller: caller.subject });
    return false;
  }
  const turn = permits.take();
  if (turn !== undefined) await turn;
  let answer: Buffer;
  try {
    answer = await parts.handler(message, caller);
  } finally {
    permits.give();
    parts.seat.give();
  }
  return send(answer, socket, parts);
}

/** Writes and zeroes an answer; waits only for a client that reads slowly, and not for ever. */
function send(answer: Buffer, socket: TLSSocket, parts: ConnectionParts): boolean | Promise<boolean> {
  if (socket.destroyed || !socket.writable) {
    answer.fill(0);
    return false;
  }
  if (post(answer, socket)) return true;
  return drained(socket, answer.length, parts);
}

async function drained(socket: TLSSocket, bytes: number, parts: ConnectionParts): Promise<boolean> {
  const { limits, log, caller, unread } = parts;
  const taken = unread.add(bytes, () => {
    log({ level: "warn", event: "connection-closed", caller: caller.subject, reason: unreadReason });
    socket.destroy();
  });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => socket.destroy(), limits.writeTimeoutMs);
  const ready = () => resolve(true);
  const closed = () => resolve(false);
  socket.once("drain", ready).once("close", closed);
  try {
    return await promise;
  } finally {
    taken();
    clearTimeout(timer);
    socket.off("drain", ready).off("close", closed);
  }
}
