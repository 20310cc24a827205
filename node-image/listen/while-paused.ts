import type { Socket } from "node:net";

/** Reading of a socket that may be paused. */
export interface PausedReading {
  /** Goes on after `socket.pause()`; `socket.resume()` alone would not. */
  resume(): void;
}

const nothing = Buffer.alloc(0);

/**
 * Gives what still comes while the socket is paused to `take` at once. Node would keep up to 64 KiB of it, each piece as it
 * came: a client that sends single bytes in TLS records of their own makes of them hundreds of times as much memory.
 */
export function whilePaused(socket: Socket, take: (bytes: Buffer) => void): PausedReading {
  const push = socket.push.bind(socket);
  socket.push = (bytes: Buffer | null) => {
    if (bytes === null || !socket.isPaused()) return push(bytes);
    take(bytes);
    return false; // the socket reads no more from the network, after what it has read already
  };
  return {
    resume: () => {
      socket.resume();
      push(nothing); // it forgets that it was waiting for a piece, and reads again
    },
  };
}
