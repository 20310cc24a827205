import type { IncomingMessage } from "node:http";
import { withRoom } from "./message-reader.ts";

/** The body of a request as it comes. */
export interface Body {
  /** Reads on, where there had to be room for it first. */
  proceed(): void;
  /** All of it in a buffer of its own; undefined when it is larger than allowed. Rejects when its client goes away before its end. */
  readonly whole: Promise<Buffer | undefined>;
}

/**
 * Collects a body in one buffer; one that `waits` comes no further than what has been read already. Node would keep up to
 * 64 KiB of it before anybody asks, each piece as it came: a client that sends single bytes makes of them hundreds of times as
 * much memory.
 */
export function bodyOf(request: IncomingMessage, given: { readonly bytesMax: number; readonly waits: boolean }): Body {
  const push = request.push.bind(request);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>();
  let { waits } = given;
  let bytes = Buffer.alloc(0);
  let used = 0;
  let tooLarge = false;
  const forget = () => {
    bytes.fill(0);
    bytes = Buffer.alloc(0);
    used = 0;
  };
  const take = (piece: Buffer) => {
    tooLarge ||= used + piece.length > given.bytesMax;
    if (tooLarge) {
      forget();
      resolve(undefined);
    } else {
      bytes = withRoom(bytes, used, used + piece.length);
      used += piece.copy(bytes, used);
    }
    piece.fill(0);
    return !waits;
  };
  request.push = (piece: Buffer | null) => {
    if (piece !== null) return take(piece);
    resolve(tooLarge ? undefined : copied(bytes, used));
    forget();
    const ended = push(null);
    request.resume(); // nobody reads it, so that its end would not be told
    return ended;
  };
  request.once("close", () => {
    forget();
    reject(new Error("the client went away"));
  });
  promise.catch(() => undefined); // it may go away before anybody asks
  return {
    proceed: () => {
      waits = false;
      request.socket.resume();
    },
    whole: promise,
  };
}

function copied(bytes: Buffer, used: number): Buffer {
  const whole = Buffer.alloc(used);
  bytes.copy(whole, 0, 0, used);
  return whole;
}
