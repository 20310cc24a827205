import assert from "node:assert/strict";
import { test } from "node:test";
import type { KmsCluster } from "../ports/types.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { anObject, FakeCluster } from "../testing/fake-cluster.ts";
import { quietLog } from "../testing/quiet-log.ts";
import { References, wantedReferences } from "./references.ts";

const cluster: KmsCluster = {
  apiVersion: "keyfleet.io/v1alpha1",
  kind: "KmsCluster",
  metadata: { name: "bank" },
  spec: {
    version: "0.1.0",
    clients: { caBundleRefs: [{ name: "bank-clients" }] },
    sites: [
      {
        name: "dc1",
        environment: "OnPremises",
        defaults: { hsm: { pinSecretRef: { name: "dc1-hsm-pin" } } },
        nodes: [
          { name: "dc1-a", settings: { interfaces: { kmip: { certificateSecretRef: { name: "dc1-a-kmip" } } } } },
        ],
      },
      {
        name: "dc2",
        environment: "OnPremises",
        defaults: { hsm: { pinSecretRef: { name: "dc2-hsm-pin" } } },
        nodes: [],
      },
    ],
  },
};

function followed() {
  const api = new FakeCluster();
  const clock = new FakeClock();
  const changes: number[] = [];
  const references = new References({ api, clock, log: quietLog(), onChange: () => changes.push(clock.nowMs()) });
  return { api, clock, changes, references };
}

test("only what this site's nodes refer to is wanted", () => {
  assert.deepEqual(wantedReferences(cluster, "dc1"), [
    "ConfigMap/bank-clients",
    "Secret/dc1-a-kmip",
    "Secret/dc1-hsm-pin",
  ]);
  assert.deepEqual(wantedReferences(cluster, "dc9"), []);
});

test("of a Secret the names of its keys are known, and its values were never asked for", async () => {
  const { api, references } = followed();
  api.put(anObject("Secret", "dc1-hsm-pin", { data: { pin: "MTIzNA==" } }));
  const asked: string[] = [];
  api.beforeRequest = (request) => void asked.push(request);
  const known = await references.current(["Secret/dc1-hsm-pin"]);
  references.stop();
  assert.deepEqual(known.get("Secret/dc1-hsm-pin"), { present: true, keys: ["pin"] });
  assert.deepEqual(asked, ["get Secret/dc1-hsm-pin metadata"]);
});

test("a missing Secret that appears is told within 5 s", async () => {
  const { api, clock, changes, references } = followed();
  assert.deepEqual((await references.current(["Secret/pin"])).get("Secret/pin"), { present: false, keys: [] });
  await clock.advance(10_000);
  assert.deepEqual(changes, []);
  api.put(anObject("Secret", "pin", { data: { pin: "MTIzNA==" } }));
  const appearedAtMs = clock.nowMs();
  await clock.advance(5_000);
  references.stop();
  assert.equal(changes.length, 1);
  assert.ok((changes[0] ?? 0) - appearedAtMs <= 5_000);
});

test("what is there is asked for seldom, and told when it changes or goes", async () => {
  const { api, clock, changes, references } = followed();
  api.put(anObject("ConfigMap", "bank-clients", { data: { "ca.crt": "one" } }));
  await references.current(["ConfigMap/bank-clients"]);
  let asked = 0;
  api.beforeRequest = () => void asked++;
  await clock.advance(60_000);
  assert.ok(asked <= 2, `${asked} requests a minute`);
  api.put(anObject("ConfigMap", "bank-clients", { data: { "ca.crt": "two" } }));
  await clock.advance(35_000);
  references.stop();
  assert.equal(changes.length, 1);
  assert.deepEqual((await references.current(["ConfigMap/bank-clients"])).get("ConfigMap/bank-clients")?.data, {
    "ca.crt": "two",
  });
});

test("an API server that does not answer changes nothing of what is known", async () => {
  const { api, clock, changes, references } = followed();
  api.put(anObject("ConfigMap", "bank-clients", { data: { "ca.crt": "one" } }));
  await references.current(["ConfigMap/bank-clients"]);
  api.cut();
  await clock.advance(120_000);
  const known = await references.current(["ConfigMap/bank-clients"]);
  references.stop();
  assert.equal(known.get("ConfigMap/bank-clients")?.present, true);
  assert.deepEqual(changes, []);
});
