import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:https";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { type Authority, siteAuthority } from "../testing/authority.ts";
import { operatorName, type StatusServer, startStatusServer } from "./status-server.ts";

let dc1: Authority;
let dc2: Authority;
let elsewhere: Authority;
let server: StatusServer;
const status = { version: "0.1.0", conditions: [] };
let tell: () => unknown = () => ({ status });
const subject = (cn: string, ou = "dc1", o = "bank") => [{ O: [o] }, { OU: [ou] }, { CN: [cn] }];

before(async () => {
  [dc1, dc2, elsewhere] = [
    await siteAuthority("bank", "dc1"),
    await siteAuthority("bank", "dc2"),
    await siteAuthority("bank", "dc1"),
  ];
  server = await startStatusServer({
    host: "127.0.0.1",
    port: 0,
    tls: await nodeTls(),
    caller: { site: "dc1", cluster: "bank" },
    status: () => tell(),
  });
});
after(() => server?.close());

async function nodeTls() {
  const { certificatePem, keyPem } = await dc1.issue(subject("dc1-a"), undefined, ["127.0.0.1"]);
  const trustBundlePem = dc1.certificatePem + dc2.certificatePem;
  return { certificateChainPem: certificatePem, privateKeyPem: keyPem, trustBundlePem };
}

type Caller = { readonly certificatePem: string; readonly keyPem: string } | undefined;

function ask(
  caller: Caller,
  { method = "GET", path = "/status", agent = false as Agent | false } = {},
): Promise<{ code: number; body: string }> {
  return new Promise((resolve, reject) => {
    const identity = caller === undefined ? {} : { cert: caller.certificatePem, key: caller.keyPem };
    const place = { host: "127.0.0.1", port: server.port, ca: dc1.certificatePem, agent };
    const outgoing = request({ ...place, ...identity, method, path }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text) => (body += text));
      response.on("end", () => resolve({ code: response.statusCode ?? 0, body }));
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

test("the operator of the node's site is shown the status", async () => {
  const { code, body } = await ask(await dc1.issue(subject(operatorName)));
  assert.deepEqual([code, JSON.parse(body)], [200, { status }]);
});

test("a node that cannot tell its status says so, and goes on", async () => {
  const operator = await dc1.issue(subject(operatorName));
  tell = () => {
    throw new Error("statfs of /var/lib/keyfleet failed");
  };
  assert.deepEqual(await ask(operator), {
    code: 500,
    body: `{"message":"the status cannot be told now; see the node's log"}\n`,
  });
  tell = () => ({ status });
  assert.equal((await ask(operator)).code, 200);
});

test("whose authority was given up is told nothing more, also over a connection that he would keep", async (t) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const tls = await nodeTls();
  t.after(() => {
    agent.destroy();
    server.updateTls(tls);
  });
  const operator = await dc1.issue(subject(operatorName));
  assert.equal((await ask(operator, { agent })).code, 200);
  assert.equal((await ask(operator, { agent })).code, 200);
  server.updateTls({ ...tls, trustBundlePem: dc2.certificatePem });
  await assert.rejects(ask(operator, { agent }));
});

const strangers: readonly (readonly [string, () => Promise<Caller>, number])[] = [
  ["another node of the site", () => dc1.issue(subject("dc1-b")), 403],
  ["the operator of another site", () => dc2.issue(subject(operatorName, "dc2")), 403],
];
for (const [who, caller, expected] of strangers) {
  test(`${who} is told nothing`, async () => {
    const { code, body } = await ask(await caller());
    assert.equal(code, expected);
    assert.doesNotMatch(body, /version/);
  });
}

const refused: readonly (readonly [string, () => Promise<Caller>])[] = [
  ["nobody", async () => undefined],
  ["an operator of a CA that is not trusted", () => elsewhere.issue(subject(operatorName))],
  ["an operator whose certificate has ended", () => dc1.issue(subject(operatorName), -30_000)],
];
for (const [who, caller] of refused) {
  test(`${who} does not get a connection`, async () => assert.rejects(ask(await caller())));
}

for (const [what, how, expected] of [
  ["another path", { path: "/metrics" }, 404],
  ["a path with a query", { path: "/status?x" }, 404],
  ["a document that somebody sends", { method: "PUT" }, 405],
] as const) {
  test(`${what} is refused`, async () => {
    assert.equal((await ask(await dc1.issue(subject(operatorName)), how)).code, expected);
  });
}

test("a new certificate is used at once, and an empty trust bundle is refused", async () => {
  server.updateTls(await nodeTls());
  assert.equal((await ask(await dc1.issue(subject(operatorName)))).code, 200);
  const tls = { ...(await nodeTls()), trustBundlePem: "" };
  assert.throws(() => server.updateTls(tls), /trust bundle is empty/);
  assert.equal((await ask(await dc1.issue(subject(operatorName)))).code, 200);
});

test("connections that say nothing do not keep the operator out", async () => {
  const silent = Array.from({ length: 20 }, () =>
    connect({ host: "127.0.0.1", port: server.port, localAddress: "127.0.0.2" }).on("error", () => undefined),
  );
  await Promise.all(silent.map((socket) => once(socket, "connect")));
  try {
    assert.equal((await ask(await dc1.issue(subject(operatorName)))).code, 200);
  } finally {
    for (const socket of silent) socket.destroy();
  }
});
