import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { anObject } from "../testing/fake-cluster.ts";
import { selfSigned } from "../testing/self-signed.ts";
import { connect } from "./connect.ts";
import type { KubernetesApi } from "./kubernetes-api.ts";

/** What stands where an API server should be. */
let server: Server;
let api: KubernetesApi;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let requests = 0;

before(async () => {
  const tls = await selfSigned("ip", "127.0.0.1");
  server = createServer(tls, (request, response) => {
    requests++;
    answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromOptions({
    clusters: [{ name: "x", server: url, caData: Buffer.from(tls.cert).toString("base64"), skipTLSVerify: false }],
    users: [{ name: "x", token: "secret" }],
    contexts: [{ name: "x", cluster: "x", user: "x" }],
    currentContext: "x",
  });
  api = connect({ kubeConfig, namespace: "keyfleet" });
});
after(() => {
  api.reconnect();
  server.close();
});
beforeEach(() => {
  requests = 0;
});

const lease = anObject("Lease", "keyfleet-bank");
const calls: Readonly<Record<string, () => Promise<unknown>>> = {
  probe: () => api.probe(),
  list: () => api.list("KmsNode"),
  get: () => api.get("Lease", "keyfleet-bank"),
  update: () => api.update(lease),
  apply: () => api.apply(lease, { fieldManager: "x" }),
};
const garbage = [
  "<html>Please log in</html>",
  "null",
  "[]",
  '"ok"',
  "{}",
  '{"metadata":null}',
  '{"metadata":{"name":1}}',
];
for (const [verb, call] of Object.entries(calls))
  for (const text of garbage.filter((one) => verb === "get" || verb === "update" || !one.startsWith('{"metadata":{')))
    test(`${verb}: ${text} with status 200 is no answer`, async () => {
      answer = (_request, response) => response.end(text);
      await assert.rejects(call(), { name: "ApiError", code: "garbled" });
    });

const lists = ['{"metadata":{},"items":{}}', '{"metadata":{},"items":[null]}', '{"metadata":{},"items":[{"spec":{}}]}'];
for (const text of lists)
  test(`a list like ${text} is no answer`, async () => {
    answer = (_request, response) => response.end(text);
    await assert.rejects(api.list("KmsNode"), { code: "garbled" });
  });

const lines = ['{"type":"ADDED"}', '{"type":"ADDED","object":{"metadata":{}}}', '{"type":"FOO","object":{}}', "null"];
for (const line of lines)
  test(`an event like ${line} is none`, async () => {
    answer = (_request, response) => response.end(`${line}\n`);
    const query = { resourceVersion: "1", signal: new AbortController().signal, onEvent: () => assert.fail() };
    await assert.rejects(api.watch("KmsNode", query), { code: "garbled" });
  });

test("a list without end is given up", async () => {
  answer = (_request, response) => response.end('{"metadata":{"continue":"more"},"items":[]}');
  await assert.rejects(api.list("KmsNode"), /more than 80 pages/);
  assert.equal(requests, 80);
});

test("a redirect is followed nowhere, so that nobody else is shown the token", async () => {
  answer = (_request, response) => response.writeHead(307, { location: "/elsewhere" }).end();
  await assert.rejects(api.list("KmsNode"), { code: "failed" });
  assert.equal(requests, 1);
});
