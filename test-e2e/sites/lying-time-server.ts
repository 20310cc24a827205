/** A time server (SNTP, RFC 4330) that is wrong by as many seconds as a file says: lying-time-server.ts ADDRESS FILE */
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";

const [address = "127.0.0.1", file = ""] = process.argv.slice(2);
const secondsFrom1900To1970 = 2_208_988_800;
const socket = createSocket("udp4");

socket.on("message", (request, sender) => {
  if (request.length < 48 || (request.readUInt8(0) & 7) !== 3) return;
  socket.send(answer(request), sender.port, sender.address);
});
socket.bind(123, address);

function answer(request: Buffer): Buffer {
  const reply = Buffer.alloc(48);
  reply.writeUInt8(0x24, 0); // no leap second, version 4, server
  reply.writeUInt8(8, 1); // stratum, as the honest servers say
  reply.writeInt8(request.readInt8(2), 2);
  reply.writeInt8(-20, 3); // precision: about a microsecond
  reply.writeUInt32BE(0x10, 8); // root dispersion: 0.2 ms
  reply.write("LIAR", 12, "latin1");
  const now = (performance.timeOrigin + performance.now()) / 1000 + skewSeconds();
  writeTime(reply, 16, now - 1);
  request.copy(reply, 24, 40, 48);
  writeTime(reply, 32, now);
  writeTime(reply, 40, now);
  return reply;
}

function writeTime(reply: Buffer, offset: number, unixSeconds: number): void {
  const whole = Math.floor(unixSeconds);
  reply.writeUInt32BE((whole + secondsFrom1900To1970) % 2 ** 32, offset);
  reply.writeUInt32BE(Math.floor((unixSeconds - whole) * 2 ** 32), offset + 4);
}

function skewSeconds(): number {
  try {
    return Number(JSON.parse(readFileSync(file, "utf8")).seconds) || 0;
  } catch {
    return 0; // nobody asked for a lie yet
  }
}
