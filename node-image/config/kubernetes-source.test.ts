import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import { clientAuthority } from "../testing/authority.ts";
import { aNode } from "../testing/facts.ts";
import { kubernetesClient } from "./kubernetes-client.ts";
import { kubernetesSource } from "./kubernetes-source.ts";
import type { NodeSource } from "./source.ts";

const folder = mkdtempSync(join(tmpdir(), "kf-kubernetes-"));
const caFile = join(folder, "ca.crt");
const tokenFile = join(folder, "token");
const cacheFile = join(folder, "cache.json");
const authority = await clientAuthority("kubernetes");
const { certificatePem, keyPem } = await authority.issue([{ CN: ["localhost"] }], 3_600_000, [
  "localhost",
  "127.0.0.1",
]);
writeFileSync(caFile, authority.certificatePem);
writeFileSync(tokenFile, "first-token\n");

const collection = "/apis/keyfleet.io/v1alpha1/namespaces/keyfleet/kmsnodes";
const answers: ((request: IncomingMessage, response: ServerResponse) => void)[] = [];
const requests: string[] = [];
const server = createServer({ cert: certificatePem, key: keyPem }, (request, response) => {
  requests.push(`${request.method} ${request.url} ${request.headers.authorization}`);
  const answer = answers.shift();
  if (answer === undefined) response.writeHead(503).end("{}");
  else answer(request, response);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const json = (value: unknown) => (_request: IncomingMessage, response: ServerResponse) =>
  void response.end(JSON.stringify(value));
const list = (version: string, ...items: KmsNode[]) => json({ metadata: { resourceVersion: version }, items });
const events =
  (...each: unknown[]) =>
  (_request: IncomingMessage, response: ServerResponse) =>
    void response.end(each.map((event) => `${JSON.stringify(event)}\n`).join(""));
const held = (_request: IncomingMessage, response: ServerResponse) => void response.writeHead(200).flushHeaders();
const version = (number: string, action: "None" | "Found" | "Member"): KmsNode => {
  const node = aNode({ membership: { action } });
  return { ...node, metadata: { ...node.metadata, resourceVersion: number } };
};

function open(): { source: NodeSource; seen: string[]; problems: string[] } {
  const problems: string[] = [];
  const client = kubernetesClient({ host: "127.0.0.1", port, caFile, tokenFile });
  const log = (_level: string, _message: string, fields?: Record<string, unknown>) =>
    void problems.push(String(fields?.problem));
  const source = kubernetesSource(
    { source: "kubernetes", node: "dc1-a", namespace: "keyfleet", cacheFile, log },
    client,
  );
  const seen: string[] = [];
  source.onChange((node) => void seen.push(`${node.metadata.resourceVersion} ${node.spec.membership.action}`));
  return { source, seen, problems };
}

test("one object is listed, watched on from the list's version, and from each event's", async () => {
  requests.length = 0;
  const bookmark = { type: "BOOKMARK", object: { metadata: { resourceVersion: "19" } } };
  answers.push(
    list("10", version("9", "None")),
    events({ type: "MODIFIED", object: version("12", "Found") }, bookmark),
    held,
  );
  const { source, seen } = open();
  await until(() => requests.length === 3);
  source.close();
  assert.deepEqual(seen, ["9 None", "12 Found"]);
  const watch = `${collection}?fieldSelector=metadata.name%3Ddc1-a&watch=1&allowWatchBookmarks=true&timeoutSeconds=300`;
  assert.deepEqual(requests, [
    `GET ${collection}?fieldSelector=metadata.name%3Ddc1-a Bearer first-token`,
    `GET ${watch}&resourceVersion=10 Bearer first-token`,
    `GET ${watch}&resourceVersion=19 Bearer first-token`,
  ]);
});

test("a watch that is told its version is gone lists again", async () => {
  const gone = { type: "ERROR", object: { code: 410 } };
  answers.push(list("20", version("20", "None")), events(gone), list("30", version("30", "Member")), held);
  const { source, seen } = open();
  await until(() => seen.length === 2);
  source.close();
  assert.deepEqual(seen, ["20 None", "30 Member"]);
});

test("a node that starts while the API is away goes on with the document it saw last", async () => {
  answers.length = 0;
  const { source, problems } = open();
  assert.equal(source.current()?.spec.membership.action, "Member");
  await until(() => problems.length > 0);
  assert.match(problems[0] ?? "", /the Kubernetes API cannot be used: HTTP 503/);
  source.close();
  assert.equal(JSON.parse(readFileSync(cacheFile, "utf8")).metadata.name, "dc1-a");
});

test("a missing node and missing rights are told in words", async () => {
  answers.push(list("1"));
  const first = open();
  await until(() => first.problems.length > 0);
  first.source.close();
  assert.match(first.problems[0] ?? "", /there is no KmsNode keyfleet\/dc1-a; its operator makes it/);
  answers.push(
    (_request, response) => void response.writeHead(403).end(JSON.stringify({ message: "kmsnodes is forbidden" })),
  );
  const second = open();
  await until(() => second.problems.length > 0);
  second.source.close();
  assert.match(second.problems[0] ?? "", /may not read its KmsNode \(kmsnodes is forbidden\)/);
});

test("the status is applied as the node's own, and a refusal rejects", async () => {
  answers.push(list("40", version("40", "None")), held);
  const { source, seen } = open();
  await until(() => seen.length === 1 && answers.length === 0);
  let body = "";
  answers.push((request, response) => {
    body = `${request.headers["content-type"]} `;
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => response.end("{}"));
  });
  await source.report({ version: "0.1.0" });
  const metadata = { name: "dc1-a", namespace: "keyfleet" };
  const applied = { apiVersion: "keyfleet.io/v1alpha1", kind: "KmsNode", metadata, status: { version: "0.1.0" } };
  assert.equal(body, `application/apply-patch+yaml ${JSON.stringify(applied)}`);
  assert.match(requests.at(-1) ?? "", /^PATCH .*\/kmsnodes\/dc1-a\/status\?fieldManager=keyfleet-node&force=true /);
  await assert.rejects(source.report({ version: "0.1.0" }), { code: "KubernetesApi", status: 503 });
  source.close();
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}
