import assert from "node:assert/strict";
import { test } from "node:test";
import { changedSince, type RestartField, restartDigest } from "./restart-settings.ts";
import type { NodeSettings } from "./types/kms-node.ts";

const before: NodeSettings = {
  hsm: { library: "/lib.so", token: { label: "t", serial: "1" } },
  interfaces: { kmip: { port: 5697 }, rest: { port: 8444, certificateSecretRef: { name: "web" } } },
  exposure: { type: "LoadBalancer", annotations: { pool: "a" } },
};

// A case is a sentence, what differs from the settings above, and the fields that a running pod cannot take.
const cases: readonly (readonly [string, NodeSettings, readonly RestartField[]])[] = [
  ["the same in another order", { hsm: { token: { serial: "1", label: "t" }, library: "/lib.so" } }, []],
  ["another library of the HSM", { hsm: { library: "/new.so" } }, ["hsm"]],
  ["processor", { resources: { requests: { cpu: "1" } } }, ["resources"]],
  ["a label of machines", { placement: { nodeSelector: { zone: "z" } } }, ["placement"]],
  ["another port of KMIP, which a Service maps", { interfaces: { ...before.interfaces, kmip: { port: 1 } } }, []],
  ["another port of HTTPS", { interfaces: { ...before.interfaces, rest: { port: 1 } } }, ["interfaces"]],
  ["a certificate of its own", { interfaces: { kmip: { certificateSecretRef: { name: "c" } } } }, ["interfaces"]],
  ["an annotation of Services", { exposure: { type: "LoadBalancer", annotations: { pool: "b" } } }, []],
  ["a port on every machine", { exposure: { type: "NodePort" } }, []],
  [
    "the machine's network, where ports are not mapped",
    { exposure: { type: "HostNetwork" } },
    ["interfaces", "exposure"],
  ],
  ["what is reloaded live", { logs: { level: "debug" }, ntp: { servers: ["ntp2"] } }, []],
];

for (const [what, change, fields] of cases)
  test(`what waits for a pod after a change to ${what}: ${fields.join(", ") || "nothing"}`, () => {
    assert.deepEqual(changedSince(restartDigest(before), { ...before, ...change }), fields);
  });

test("a digest of a version that knows fewer fields, or others, says nothing of the rest", () => {
  const [hsm] = restartDigest(before).split(" ");
  assert.deepEqual(changedSince(`${hsm} colour=1`, { hsm: { library: "/new.so" } }), ["hsm"]);
  assert.deepEqual(changedSince("", { ...before, resources: { requests: { cpu: "1" } } }), []);
});
