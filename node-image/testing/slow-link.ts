import { once } from "node:events";
import { createServer, connect as open, type Socket } from "node:net";

/** A way to a port on loopback that takes time: a link between data centres, in user space. */
export interface SlowLink {
  readonly port: number;
  /** Bytes that went through, both ways. */
  bytes(): number;
  close(): Promise<void>;
}

/**
 * Forwards to the port, each way `oneWayMs` later and in order. `lossShare` of the pieces come a round trip and 200 ms
 * later, and what is behind them waits: what TCP makes of a lost packet. Connecting costs a round trip more, as there.
 */
export async function slowLink(
  target: number,
  options: { readonly oneWayMs: number; readonly lossShare?: number; readonly random?: () => number },
): Promise<SlowLink> {
  const { oneWayMs, lossShare = 0, random = Math.random } = options;
  const sockets = new Set<Socket>();
  let bytes = 0;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.setNoDelay(true);
  };
  const later = (from: Socket, to: Socket) => {
    let lastMs = 0;
    const due: (() => void)[] = [];
    const at = (work: () => void) => {
      const lostMs = random() < lossShare ? 2 * oneWayMs + retransmitMs : 0;
      lastMs = Math.max(lastMs, performance.now() + oneWayMs + lostMs);
      due.push(work);
      // Timers of different lengths are rounded, and one that was set later may end first.
      setTimeout(() => due.shift()?.(), lastMs - performance.now());
    };
    from.on("data", (piece) => {
      bytes += piece.length;
      at(() => to.writable && to.write(piece));
    });
    from.on("close", () => at(() => to.destroy()));
  };
  const server = createServer({ pauseOnConnect: true }, (near) => {
    keep(near);
    setTimeout(() => {
      const far = open(target, "127.0.0.1");
      keep(far);
      later(near, far);
      later(far, near);
      near.resume();
    }, 2 * oneWayMs);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    bytes: () => bytes,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const retransmitMs = 200;
