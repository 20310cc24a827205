import { createSocket } from "node:dgram";
import { once } from "node:events";

const secondsFrom1900To1970 = 2_208_988_800;
const ntpPort = 123;

/** A time server (SNTP, RFC 4330) of a test. */
export interface TimeServer {
  readonly address: string;
  /** From now on it says a time that is wrong by so much. */
  setOffset(offsetMs: number): void;
  close(): void;
}

/** Answers on port 123 of a loopback address (needs root); tells this machine's own time until it is told to lie. */
export async function startTimeServer(address: string): Promise<TimeServer> {
  const socket = createSocket("udp4");
  let offsetMs = 0;
  socket.on("message", (request, sender) => {
    if (request.length < 48 || (request.readUInt8(0) & 7) !== 3) return; // 3: a client's request
    socket.send(answer(request, offsetMs), sender.port, sender.address);
  });
  socket.bind(ntpPort, address);
  await once(socket, "listening");
  socket.unref();
  return {
    address,
    setOffset: (ms) => {
      offsetMs = ms;
    },
    close: () => void socket.close(),
  };
}

function answer(request: Buffer, offsetMs: number): Buffer {
  const reply = Buffer.alloc(48);
  const now = (performance.timeOrigin + performance.now() + offsetMs) / 1000;
  reply.writeUInt8(0x24, 0); // no leap second, version 4, server
  reply.writeUInt8(3, 1); // stratum
  reply.writeInt8(request.readInt8(2), 2);
  reply.writeInt8(-20, 3); // precision: about a microsecond
  reply.writeUInt32BE(0x10, 8); // root dispersion: 0.2 ms
  reply.write("TEST", 12, "latin1");
  writeTime(reply, 16, now - 1);
  request.copy(reply, 24, 40, 48);
  writeTime(reply, 32, now);
  writeTime(reply, 40, now);
  return reply;
}

function writeTime(reply: Buffer, at: number, seconds: number): void {
  const since1900 = seconds + secondsFrom1900To1970;
  reply.writeUInt32BE(Math.floor(since1900), at);
  reply.writeUInt32BE(Math.floor((since1900 % 1) * 2 ** 32), at + 4);
}
