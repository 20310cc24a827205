import assert from "node:assert/strict";
import { test } from "node:test";
import { readPeerKubeconfig } from "./peer-kubeconfig.ts";

const token = (expiresAt: string) =>
  `e30.${Buffer.from(JSON.stringify({ exp: Date.parse(expiresAt) / 1000 })).toString("base64url")}.x`;

/** A kubeconfig as helm/peer-secret.sh writes it, with changes. */
function kubeconfig(changes: { cluster?: object; user?: object; context?: object } = {}): string {
  const cluster = { server: "https://dc2.example:6443", "certificate-authority-data": "eA==", ...changes.cluster };
  const user = changes.user ?? { token: token("2026-12-24T00:00:00Z") };
  const context = { cluster: "dc2", user: "keyfleet-peer", namespace: "keyfleet", ...changes.context };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "dc2",
    contexts: [{ name: "dc2", context }],
    clusters: [{ name: "dc2", cluster }],
    users: [{ name: "keyfleet-peer", user }],
  });
}

test("a kubeconfig with a token is taken, with its namespace and end", () => {
  const read = readPeerKubeconfig(kubeconfig());
  assert.ok(read.ok);
  assert.equal(read.namespace, "keyfleet");
  assert.equal(read.expiresAtMs, Date.parse("2026-12-24T00:00:00Z"));
});

test("a kubeconfig that names an http proxy is taken", () => {
  const read = readPeerKubeconfig(kubeconfig({ cluster: { "proxy-url": "http://proxy.example:3128" } }));
  assert.ok(read.ok);
  assert.equal(read.kubeConfig.getCurrentCluster()?.proxyUrl, "http://proxy.example:3128");
});

/** Each line ten times the one before: 10 GB. */
const bomb = Array.from(
  { length: 10 },
  (_, at) => `a${at}: &a${at} [${Array(10).fill(at === 0 ? "x" : `*a${at - 1}`)}]`,
).join("\n");

const refusals: readonly [string, string, RegExp][] = [
  ["garbage", "users: [", /is not valid YAML/],
  ["an empty text", "", /is not valid YAML|no current-context/],
  ["a document without contexts", "{}", /is not valid YAML|no current-context/],
  [
    "a context that names no cluster",
    kubeconfig({ context: { cluster: "other" } }),
    /no current-context with a cluster and a user/,
  ],
  ["plain http", kubeconfig({ cluster: { server: "http://dc2.example" } }), /not https/],
  [
    "a server that is not verified",
    kubeconfig({ cluster: { "insecure-skip-tls-verify": true } }),
    /insecure-skip-tls-verify/,
  ],
  [
    "a program to run",
    kubeconfig({ user: { exec: { command: "sh", apiVersion: "client.authentication.k8s.io/v1" } } }),
    /needs a token/,
  ],
  ["a program to run besides a token", kubeconfig({ user: { token: "x", exec: { command: "sh" } } }), /needs a token/],
  ["files of the operator's pod", kubeconfig({ cluster: { "certificate-authority": "/etc/passwd" } }), /names files/],
  ["a token file of the operator's pod", kubeconfig({ user: { tokenFile: "/var/run/secrets/token" } }), /names files/],
  [
    "a token file as the library writes it, which it would read and send",
    kubeconfig({ user: { "token-file": import.meta.filename } }),
    /names files/,
  ],
  [
    "a server that was left to be filled in",
    kubeconfig({ cluster: { server: "https://<API>:6443" } }),
    /cannot be read/,
  ],
  ["a server that is a number", kubeconfig({ cluster: { server: 6443 } }), /not https/],
  ["a token that is none", kubeconfig({ user: { token: { a: 1 } } }), /needs a token/],
  ["a user that is a list", kubeconfig({ user: [] }), /no current-context/],
  ["a text that is a list", "[1, 2]", /not valid YAML/],
  ["a text without end of nesting", "[".repeat(60_000), /not valid YAML/],
  ["a text that grows when it is read", bomb, /not valid YAML/],
  [
    "a broken client certificate",
    kubeconfig({ user: { "client-certificate-data": "eA==", "client-key-data": "eA==" } }),
    /cannot be read/,
  ],
  ["a proxy of another kind", kubeconfig({ cluster: { "proxy-url": "socks5://x" } }), /proxy .*not http or https/],
  ["a proxy without an address", kubeconfig({ cluster: { "proxy-url": "proxy:3128" } }), /proxy .*not http or https/],
  ["far too much", " ".repeat(100_000), /larger than/],
];
for (const [what, text, problem] of refusals) {
  test(`${what} is refused with the reason`, () => {
    const read = readPeerKubeconfig(text);
    assert.ok(!read.ok);
    assert.match(read.problem, problem);
  });
}

test("no file is opened for a user that is not the current one either", () => {
  const text = kubeconfig().replace('"users":[', '"users":[{"name":"other","user":{"token-file":"/nowhere/at/all"}},');
  assert.ok(readPeerKubeconfig(text).ok);
});

test("a refusal never quotes the text, which has credentials in it", () => {
  const read = readPeerKubeconfig("users: [{token: very-secret");
  assert.ok(!read.ok);
  assert.ok(!read.problem.includes("very-secret"));
});

test("nor does a warning of the parser, which would go to the log", async () => {
  const warnings: Error[] = [];
  const listen = (warning: Error) => void warnings.push(warning);
  process.on("warning", listen);
  assert.ok(!readPeerKubeconfig("users: [{token: !x very-secret}]").ok);
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", listen);
  assert.deepEqual(warnings, []);
});
