import { createServer, type Socket, connect as to } from "node:net";

/** A way to a port on loopback that can be made a black hole: bytes and connections then vanish without any answer. */
export interface Relay {
  readonly port: number;
  swallow(): void;
  /** Connections from before are reset, new ones get through. */
  restore(): void;
  stop(): void;
}

/** Forwards to the port. */
export async function relayTo(target: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let through = true;
  const keep = (socket: Socket) => {
    sockets.add(socket.setNoDelay(true));
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  };
  const join = (from: Socket, into: Socket) => {
    from.on("data", (bytes) => through && into.write(bytes));
    from.on("close", () => through && into.destroy());
  };
  const server = createServer((near) => {
    keep(near);
    if (!through) return;
    const far = to(target, "127.0.0.1");
    keep(far);
    join(near, far);
    join(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const reset = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as { port: number }).port,
    swallow: () => {
      through = false;
    },
    restore: () => {
      through = true;
      reset();
    },
    stop: () => {
      reset();
      server.close();
    },
  };
}
