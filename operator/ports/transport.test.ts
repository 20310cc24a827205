import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { selfSigned } from "../testing/self-signed.ts";
import { httpsTransport } from "./transport.ts";

// Nobody resolves this name: only the proxy knows where it is.
const apiServer = "api.dc2.example";
const token = "secret-of-the-operator";
const deadlineMs = 5_000;
let api: Server;
let proxy: Server;
let certificate: string;
let refuses: string | undefined;
const tunnels: string[] = [];
const seenByProxy: Buffer[] = [];
const sockets = new Set<Socket>();

before(async () => {
  const tls = await selfSigned("dns", apiServer);
  certificate = tls.cert;
  api = createHttpsServer(tls, (request, response) =>
    response.end(JSON.stringify({ path: request.url, token: request.headers.authorization })),
  );
  proxy = createHttpServer().on("connect", (request, client: Socket) => {
    tunnels.push(request.url ?? "");
    if (refuses !== undefined) return client.end(`HTTP/1.1 ${refuses}\r\n\r\n`);
    const server = connect((api.address() as AddressInfo).port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      client.on("data", (bytes: Buffer) => seenByProxy.push(bytes));
      client.pipe(server).pipe(client);
    });
    for (const socket of [client, server]) sockets.add(socket.on("error", () => undefined));
  });
  for (const server of [api, proxy]) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
});
after(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of [api, proxy]) server?.close();
});

/** Of a site whose API server is reached through the proxy at this port. */
function transportThrough(port: number, scheme = "http") {
  const kubeConfig = new KubeConfig();
  const cluster = {
    server: `https://${apiServer}:6443`,
    "certificate-authority-data": Buffer.from(certificate).toString("base64"),
    "proxy-url": `${scheme}://name:password@127.0.0.1:${port}`,
  };
  kubeConfig.loadFromString(
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "dc2",
      contexts: [{ name: "dc2", context: { cluster: "dc2", user: "operator" } }],
      clusters: [{ name: "dc2", cluster }],
      users: [{ name: "operator", user: { token } }],
    }),
  );
  return httpsTransport(kubeConfig);
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

test("through a proxy the API server is spoken to over TLS, in one tunnel, of which the proxy reads nothing", async () => {
  const transport = transportThrough(portOf(proxy));
  for (const path of ["/readyz", "/version"])
    assert.deepEqual(await transport.call({ method: "GET", path, deadlineMs }), { path, token: `Bearer ${token}` });
  assert.deepEqual(tunnels.splice(0), [`${apiServer}:6443`]);
  assert.ok(seenByProxy.length > 0 && !Buffer.concat(seenByProxy).includes(token));
  transport.reconnect();
});

test("a proxy of another kind is refused, not left out", () => {
  assert.throws(() => transportThrough(portOf(proxy), "socks5"), /proxy-url.*not http or https/);
});

const failures: readonly (readonly [string, () => number, string | undefined, RegExp])[] = [
  ["refuses", () => portOf(proxy), "407 Proxy Authentication Required", /^refused with 407 \(/],
  ["cannot reach the API server", () => portOf(proxy), "502 Bad Gateway", /^refused with 502 \(/],
  ["is not there", () => 1, undefined, /^ECONNREFUSED \(/],
];
for (const [sentence, port, answer, said] of failures)
  test(`a proxy that ${sentence} makes the site unreachable, and is named without its password`, async () => {
    refuses = answer;
    const call = transportThrough(port()).call({ method: "GET", path: "/readyz", deadlineMs });
    await assert.rejects(call, (error: Error) => {
      assert.match(error.message, said);
      assert.match(error.message, /through the proxy 127\.0\.0\.1:/);
      assert.ok(!error.message.includes("password"));
      return true;
    });
    refuses = undefined;
  });
