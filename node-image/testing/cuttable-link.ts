import { once } from "node:events";
import { createServer, connect as open, type Socket } from "node:net";

/** A way to a port on loopback that a test can cut: bytes and connections then vanish without any answer. */
export interface CuttableLink {
  readonly port: number;
  cut(): void;
  /** Lets new connections through; those from before the cut are reset. */
  heal(): void;
  close(): Promise<void>;
}

/** Forwards to the port until it is cut. */
export async function cuttableLink(target: number): Promise<CuttableLink> {
  const sockets = new Set<Socket>();
  let whole = true;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.setNoDelay(true);
  };
  const server = createServer((near) => {
    keep(near);
    if (!whole) return;
    const far = open(target, "127.0.0.1");
    keep(far);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("data", (bytes) => whole && to.write(bytes));
      from.on("close", () => whole && to.destroy());
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const reset = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: address.port,
    cut: () => {
      whole = false;
    },
    heal: () => {
      whole = true;
      reset();
    },
    close: async () => {
      reset();
      server.close();
      await once(server, "close");
    },
  };
}
