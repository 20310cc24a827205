import { createServer, type Server, type Socket } from "node:net";
import type { Server as TlsServer } from "node:tls";
import { halfOpen } from "./half-open.ts";
import type { ListenLimits } from "./limits.ts";
import type { LogFields } from "./log-budget.ts";

/** What stands before the TLS server: a connection costs no TLS state before its first byte has come. */
export interface Front {
  readonly server: Server;
  /** Cuts every connection whose handshake is not done. */
  destroy(): void;
}

/** What the front is made of. */
export interface FrontParts {
  readonly limits: ListenLimits;
  readonly log: (fields: LogFields) => void;
  onRejected(reason: string): void;
}

/** Takes TCP connections, bounds the half-open ones and hands those that speak to the TLS server. */
export function handshakeFront(tls: TlsServer, { limits, log, onRejected }: FrontParts): Front {
  const open = halfOpen(limits.handshakesMax, (address) => {
    log({ level: "warn", event: "half-open-evicted", address });
    onRejected("too many half-open connections");
  });
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
    untilFirstByte(socket, limits.handshakeTimeoutMs, () => tls.emit("connection", socket));
  });
  tls.on("secureConnection", (socket) => open.remove(socket));
  tls.on("tlsClientError", (error, socket) => {
    const address = socket.remoteAddress;
    socket.destroy();
    if (address === undefined) return; // it went away, or was evicted: nothing to tell
    log({
      level: "info",
      event: "handshake-failed",
      address,
      reason: (error as NodeJS.ErrnoException).code ?? error.name,
    });
    onRejected("handshake failed");
  });
  return { server, destroy: () => open.destroy() };
}

function untilFirstByte(socket: Socket, timeoutMs: number, speak: () => void): void {
  const silent = () => socket.destroy();
  socket.setTimeout(timeoutMs, silent);
  // "readable" leaves the bytes where they are; the TLS socket reads them first.
  socket.once("readable", () => {
    socket.setTimeout(0);
    socket.off("timeout", silent);
    if (socket.readableLength > 0) speak();
  });
}
