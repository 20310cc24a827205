/**
 * An HTTP proxy that opens tunnels (CONNECT) and nothing else: `tunnel-proxy.ts ADDRESS` listens there on a port of its own,
 * prints "port N" and then the target of each tunnel. Ends with its standard input.
 */
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

const [address = "127.0.0.1"] = process.argv.slice(2);
const proxy = createServer((_, response) => response.writeHead(405).end());
proxy.on("connect", (request, client: Socket) => {
  const target = URL.parse(`tcp://${request.url}`);
  if (target === null) return client.end("HTTP/1.1 400 Bad Request\r\n\r\n");
  console.log(request.url);
  const server = connect(Number(target.port), target.hostname, () => {
    client.write("HTTP/1.1 200 Connection established\r\n\r\n");
    client.pipe(server).pipe(client);
  });
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const)
    one.on("error", () => undefined).on("close", () => other.destroy());
});
proxy.listen(0, address, () => console.log(`port ${(proxy.address() as AddressInfo).port}`));
process.stdin.on("end", () => process.exit(0)).resume();
