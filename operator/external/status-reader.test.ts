import "reflect-metadata";
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { after, before, test } from "node:test";
import type { TLSSocket } from "node:tls";
import * as x509 from "@peculiar/x509";
import { signNodeCertificate } from "../act/certificates.ts";
import { type OperatorCertificate, operatorName, signOperatorCertificate } from "../act/operator-certificate.ts";
import { keyAlgorithm, makeSiteCa, type SiteCa, signingAlgorithm } from "../act/site-ca.ts";
import { aNode } from "../testing/builders.ts";
import { readStatus, type StatusCall } from "./status-reader.ts";

const owner = { cluster: "bank", site: "dc1" };
const nowMs = Date.now();
let ca: SiteCa;
let foreign: SiteCa;
let operator: OperatorCertificate;
let server: Server;
let answer: { readonly code: number; readonly body: string } = { code: 200, body: "{}" };
const callers: string[] = [];

before(async () => {
  [ca, foreign] = [await makeSiteCa(owner, nowMs), await makeSiteCa(owner, nowMs)];
  operator = await signOperatorCertificate(owner, ca, nowMs);
  server = createServer({ ...(await aNodesTls()), ca: ca.certificate, requestCert: true, rejectUnauthorized: true });
  server.on("request", (request, response) => {
    callers.push((request.socket as TLSSocket).getPeerCertificate().subject.CN as string);
    response.writeHead(answer.code);
    response.end(answer.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
after(() => {
  server.closeAllConnections();
  server.close();
});

/** Key and certificate of the node dc1-x, as the operator signs them. */
async function aNodesTls() {
  const keys = (await webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const name = "O=bank,OU=dc1,CN=dc1-x";
  const request = await x509.Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm });
  const certificateRequest = request.toString("pem");
  const node = aNode("dc1-x", "dc1", { stage: "waiting", status: { certificateRequest } });
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const pem = `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`;
  return { cert: await signNodeCertificate(node, ca, nowMs), key: pem };
}

function aCall(change: Partial<StatusCall> = {}): StatusCall {
  const { port } = server.address() as AddressInfo;
  const who = { chainPem: operator.chainPem, privateKeyPem: operator.privateKeyPem, trustPem: ca.certificate };
  const node = { name: "dc1-x", ...owner };
  return { address: "127.0.0.1", port, node, deadlineMs: 10_000, ...who, ...change };
}

test("the operator shows who it is, and gets the status of the very node", async () => {
  answer = { code: 200, body: JSON.stringify({ kind: "KmsNode", status: { version: "0.1.0" } }) };
  assert.deepEqual(await readStatus(aCall()), { ok: true, status: { version: "0.1.0" } });
  assert.equal(callers.at(-1), operatorName);
});

const refused: readonly (readonly [string, () => Promise<StatusCall>, RegExp])[] = [
  [
    "another node at that address",
    async () => aCall({ node: { name: "dc1-y", ...owner } }),
    /certificate is that of CN=dc1-x,OU=dc1,O=bank/,
  ],
  ["a node of a CA that is not this site's", async () => aCall({ trustPem: foreign.certificate }), /certificate/],
  ["no CA at all, rather than any public one", async () => aCall({ trustPem: "" }), /no CA yet/],
  ["an address where nobody listens", async () => aCall({ port: 1 }), /ECONNREFUSED/],
  [
    "a node that does not know this operator",
    async () => {
      const { chainPem, privateKeyPem } = await signOperatorCertificate(owner, foreign, nowMs);
      return aCall({ chainPem, privateKeyPem });
    },
    /.+/,
  ],
];
for (const [what, call, expected] of refused)
  test(`is told: ${what}`, async () => {
    answer = { code: 200, body: JSON.stringify({ status: {} }) };
    const reading = await readStatus(await call());
    assert.equal(reading.ok, false);
    assert.match(reading.ok ? "" : reading.problem, expected);
  });

for (const [what, given, expected] of [
  ["a refusal", { code: 403, body: '{"message":"only the operator"}' }, /it answered 403: .*only the operator/],
  ["no JSON", { code: 200, body: "<html>" }, /is no status/],
  ["JSON without status", { code: 200, body: "[]" }, /is no status/],
  ["a status beyond all measure", { code: 200, body: " ".repeat(600_000) }, /larger than/],
] as const)
  test(`an answer that is ${what} is told`, async () => {
    answer = given;
    const reading = await readStatus(aCall());
    assert.match(reading.ok ? "" : reading.problem, expected);
  });

test("a node that says nothing is given up at the deadline", async () => {
  const mute = createTcpServer().listen(0, "127.0.0.1");
  await once(mute, "listening");
  const { port } = mute.address() as AddressInfo;
  const reading = await readStatus(aCall({ port, deadlineMs: 50 }));
  mute.close();
  assert.match(reading.ok ? "" : reading.problem, /no answer within 50 ms/);
});
