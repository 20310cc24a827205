import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings, usage } from "./settings.ts";

const digest = `sha256:${"0a".repeat(32)}`;

test("flags win over the environment, the environment over defaults", () => {
  const settings = readSettings(["--site", "dc1", "--log-level=debug"], {
    KEYFLEET_SITE: "dc9",
    KEYFLEET_NAMESPACE: "keyfleet",
    KEYFLEET_IDENTITY: "8c1f2c1e-0b53-4f1e-9a0f-2f6f6d1f7b10",
    KEYFLEET_NODE_IMAGE: "registry.example:5000/kms/node",
    KEYFLEET_NODE_IMAGE_PULL_POLICY: "Never",
    KEYFLEET_NODE_IMAGE_DIGESTS: `0.1.0=${digest},0.2.0-rc.1=${digest}`,
    KEYFLEET_NODE_IMAGE_PULL_SECRETS: "registry,mirror.bank.example",
    KEYFLEET_NODE_PRIORITY_CLASS: "keyfleet-node",
  });
  assert.deepEqual(settings, {
    site: "dc1",
    namespace: "keyfleet",
    identity: "8c1f2c1e-0b53-4f1e-9a0f-2f6f6d1f7b10",
    healthPort: 8081,
    logLevel: "debug",
    nodeImage: {
      repository: "registry.example:5000/kms/node",
      pullPolicy: "Never",
      priorityClassName: "keyfleet-node",
      digests: { "0.1.0": digest, "0.2.0-rc.1": digest },
      pullSecrets: ["registry", "mirror.bank.example"],
    },
  });
});

test("help is help, whatever else is wrong", () => {
  assert.equal(readSettings(["--help"], {}), "help");
  const names = ["SITE", "NAMESPACE", "IDENTITY", "HEALTH_PORT", "LOG_LEVEL", "NODE_IMAGE", "NODE_IMAGE_PULL_POLICY"];
  for (const name of [...names, "NODE_IMAGE_DIGESTS", "NODE_IMAGE_PULL_SECRETS", "NODE_PRIORITY_CLASS"]) {
    assert.ok(usage.includes(`KEYFLEET_${name}`), name);
  }
});

const refusals: readonly [string, readonly string[], RegExp][] = [
  ["no site", [], /--site must be the name of a site/],
  ["a site in capitals", ["--site", "DC1"], /--site must be the name of a site/],
  ["a site that no document can name", ["--site", "1dc"], /a letter first, at most 32/],
  ["a site that is too long for a document", ["--site", "d".repeat(33)], /at most 32/],
  ["an unknown flag", ["--site", "dc1", "--cluster", "x"], /Unknown option '--cluster'.*see --help/],
  ["a port that is none", ["--site", "dc1", "--health-port", "http"], /--health-port must be a port/],
  ["an unknown level", ["--site", "dc1", "--log-level", "loud"], /one of debug, info, warn, error/],
  ["a tag in the nodes' image", ["--site", "dc1", "--node-image", "a/b:1"], /without tag/],
  ["a digest of no version", ["--site", "dc1", "--node-image-digests", digest], /VERSION=sha256:/],
  ["half a digest", ["--site", "dc1", "--node-image-digests", "0.1.0=sha256:0a"], /VERSION=sha256:/],
  [
    "Secrets with a space between",
    ["--site", "dc1", "--node-image-pull-secrets", "one, two"],
    /names of Secrets with commas between, " two" is none/,
  ],
  ["an image that is none", ["--site", "dc1", "--node-image", "Foo Bar"], /must be a repository/],
  ["a digest in the nodes' image", ["--site", "dc1", "--node-image", "a/b@sha256:00"], /without tag or digest/],
  ["an unknown pull policy", ["--site", "dc1", "--node-image-pull-policy", "Sometimes"], /one of Always/],
];
for (const [what, flags, message] of refusals) {
  test(`${what} is refused with what would do`, () => assert.throws(() => readSettings(flags, {}), message));
}
