import type { TLSSocket } from "node:tls";

/** Works that are begun in one turn, in the order in which they came: who came first does not wait for all that came later. */
const worksMax = 64;
/** Answers that wait for the end of a turn: at most so many, and none larger than `smallBytes`. */
const answersMax = 256;
const smallBytes = 16_384;

interface Letter {
  readonly socket: TLSSocket;
  readonly answer: Buffer;
}

const works: (() => void)[] = [];
let beginDue = false;
const waiting: Letter[] = [];
let flushDue = false;

/**
 * Begins a work when all that came with this turn of the event loop was read, together with the others of the turn.
 * Reading, working and writing each run through more code than a processor's first cache holds: one after another for all
 * connections they cost a fifth less than in turn for each.
 */
export function enter(work: () => void): void {
  works.push(work);
  beginSoon();
}

/**
 * Writes an answer, at the latest at the end of this turn of the event loop, and zeroes it when it is out. Answers of one
 * turn leave one after another, in their order: each wakes whoever waits for it, and a process that is awake already
 * costs nothing to wake. False when the socket takes no more for now.
 */
export function post(answer: Buffer, socket: TLSSocket): boolean {
  flushSoon();
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

/** In its turn a flush follows. */
function beginSoon(): void {
  if (beginDue) return;
  beginDue = true;
  setImmediate(begin);
  flushSoon();
}

function begin(): void {
  beginDue = false;
  for (const work of works.splice(0, worksMax)) work();
}

/** After `begin` of the same turn, and after what its works do without waiting for anything. */
function flushSoon(): void {
  if (flushDue) return;
  flushDue = true;
  setImmediate(() => {
    flushDue = false;
    flush();
    if (works.length > 0) beginSoon();
  });
}
