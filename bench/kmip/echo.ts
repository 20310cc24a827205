/**
 * The baseline, a process of its own: `echo.ts FILE` reads an Echo as JSON, prints its port. A TLS server with the key
 * server's settings that answers each message with the same bytes and does nothing else.
 */
import { constants } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:tls";

/** Certificates, and the answer as hexadecimal digits. */
export interface Echo {
  readonly certificate: string;
  readonly key: string;
  readonly clientAuthorities: string;
  readonly answer: string;
}

const echo = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Echo;
const answer = Buffer.from(echo.answer, "hex");
const server = createServer({
  cert: echo.certificate,
  key: echo.key,
  ca: echo.clientAuthorities,
  requestCert: true,
  rejectUnauthorized: true,
  ecdhCurve: "X25519MLKEM768:X25519:P-256:P-384",
  minVersion: "TLSv1.2",
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
});
server.on("secureConnection", (socket) => {
  let rest = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let size = sizeOf(bytes); size <= bytes.length; size = sizeOf(bytes)) {
      socket.write(answer);
      bytes = bytes.subarray(size);
    }
    rest = bytes as Buffer<ArrayBuffer>;
  });
});

function sizeOf(bytes: Buffer): number {
  return bytes.length < 8 ? Number.POSITIVE_INFINITY : 8 + bytes.readUInt32BE(4);
}

server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(JSON.stringify(server.address()));
});
