import type { Socket } from "node:net";

/** Connections that have not proven who they are. */
export interface HalfOpen {
  /** Takes a connection in; when there are too many, the oldest of the address that has most gives way. */
  add(socket: Socket): void;
  /** Forgets the connection from this peer: it closed, or its handshake is done. */
  remove(peer: Peer): void;
  /** Cuts all. */
  destroy(): void;
  size(): number;
}

/** What tells connections of one listener apart; the TLS socket and the socket below it have it in common. */
interface Peer {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** Whoever opens ten thousand sockets and stalls only pushes out its own. */
export function halfOpen(max: number, onEvict: (address: string) => void): HalfOpen {
  const byAddress = new Map<string, Map<number, Socket>>();
  let size = 0;
  const addressOf = (peer: Peer) => peer.remoteAddress ?? "unknown";
  const remove = (address: string, port: number) => {
    const sockets = byAddress.get(address);
    if (sockets?.delete(port) !== true) return;
    size -= 1;
    if (sockets.size === 0) byAddress.delete(address);
  };
  const evict = () => {
    const [address, sockets] = [...byAddress].reduce((most, each) => (each[1].size > most[1].size ? each : most));
    const [oldest] = sockets;
    if (oldest === undefined) return;
    remove(address, oldest[0]);
    oldest[1].destroy();
    onEvict(address);
  };
  return {
    add: (socket) => {
      const [address, port] = [addressOf(socket), socket.remotePort];
      if (port === undefined) return void socket.destroy(); // gone before it was seen
      const sockets = byAddress.get(address) ?? new Map<number, Socket>();
      byAddress.set(address, sockets.set(port, socket));
      size += 1;
      socket.once("close", () => remove(address, port));
      if (size > max) evict();
    },
    remove: (peer) => remove(addressOf(peer), peer.remotePort ?? -1),
    destroy: () => {
      for (const sockets of [...byAddress.values()]) for (const socket of [...sockets.values()]) socket.destroy();
    },
    size: () => size,
  };
}
