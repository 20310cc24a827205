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
import { httpsTransport } from "./transport.ts";

/** What stands where an API server should be. */
let server: Server;
let kubeConfig: KubeConfig;
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
  kubeConfig = new KubeConfig();
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
  '{"kind":"Pod","metadata":{"name":"keyfleet-bank"}}',
  '{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"dc1-a"}}]}',
];
for (const [verb, call] of Object.entries(calls))
  for (const text of garbage)
    test(`${verb}: ${text} with status 200 is no answer`, async () => {
      answer = (_request, response) => response.end(text);
      await assert.rejects(call(), { name: "ApiError", code: "garbled" });
    });

const lists = [
  '"metadata":{"resourceVersion":"7"},"items":{}',
  '"metadata":{"resourceVersion":"7"},"items":[null]',
  '"metadata":{"resourceVersion":"7"},"items":[{"spec":{}}]',
  '"metadata":{},"items":[]',
  '"metadata":{"resourceVersion":""},"items":[]',
  '"metadata":{"resourceVersion":7},"items":[]',
].map((fields) => `{"kind":"KmsNodeList",${fields}}`);
for (const text of lists)
  test(`a list like ${text} is no answer`, async () => {
    answer = (_request, response) => response.end(text);
    await assert.rejects(api.list("KmsNode"), { code: "garbled" });
  });

const lines = [
  '{"type":"ADDED"}',
  '{"type":"ADDED","object":{"metadata":{}}}',
  '{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"x"}}}',
  '{"type":"FOO","object":{}}',
  "null",
  '{"type":"ADDED","object":{"data":{"pin":"MTIz',
];
for (const line of lines)
  test(`an event like ${line} is none`, async () => {
    answer = (_request, response) => response.end(`${line}\n`);
    const query = { resourceVersion: "1", signal: new AbortController().signal, onEvent: () => assert.fail() };
    const message = "what answers is no Kubernetes API: an event of kind KmsNode was expected";
    await assert.rejects(api.watch("KmsNode", query), { code: "garbled", message });
  });

const stream = { method: "GET", path: "/", deadlineMs: 10_000, beginsWithinMs: 50 } as const;

test("a watch to which nothing is answered is given up long before its end", async () => {
  answer = () => {};
  await assert.rejects(
    httpsTransport(kubeConfig).stream(stream, () => {}),
    /^ApiError: no answer within 50 ms$/,
  );
});

test("a watch that has begun may be silent for longer than it had to begin", async () => {
  answer = (_request, response) => {
    response.flushHeaders();
    setTimeout(() => response.end("late\n"), 100);
  };
  const told: string[] = [];
  await httpsTransport(kubeConfig).stream({ ...stream, onBegin: () => told.push("begun") }, (line) => told.push(line));
  assert.deepEqual(told, ["begun", "late"]);
});

test("a list without end is given up", async () => {
  answer = (_request, response) =>
    response.end('{"kind":"KmsNodeList","metadata":{"resourceVersion":"7","continue":"more"},"items":[]}');
  await assert.rejects(api.list("KmsNode"), /more than 80 pages/);
  assert.equal(requests, 80);
});

test("a redirect is followed nowhere, so that nobody else is shown the token", async () => {
  answer = (_request, response) => response.writeHead(307, { location: "/elsewhere" }).end();
  await assert.rejects(api.list("KmsNode"), { code: "failed" });
  assert.equal(requests, 1);
});
