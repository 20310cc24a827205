import type { TLSSocket } from "node:tls";

/** Answers that wait for the end of a turn: at most so many, and none larger than `smallBytes`. */
const answersMax = 256;
const smallBytes = 16_384;

interface Letter {
  readonly socket: TLSSocket;
  readonly answer: Buffer;
}

const waiting: Letter[] = [];

/**
 * Writes an answer, at the latest at the end of this turn of the event loop, and zeroes it when it is out. Answers of one
 * turn leave one after another, in their order: each wakes whoever waits for it, and a process that is awake already
 * costs nothing to wake. False when the socket takes no more for now.
 */
export function post(answer: Buffer, socket: TLSSocket): boolean {
  if (waiting.length === 0) setImmediate(flush);
  waiting.push({ socket, answer });
  if (waiting.length >= answersMax || answer.length > smallBytes || socket.writableNeedDrain) flush();
  return !socket.writableNeedDrain;
}

/** Writes what waits, before a socket is ended. */
export function flush(): void {
  for (const { socket, answer } of waiting.splice(0)) {
    if (socket.destroyed || !socket.writable) answer.fill(0);
    else socket.write(answer, () => answer.fill(0));
  }
}
