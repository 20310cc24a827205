import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "../testing/fake-clock.ts";
import { anObject, FakeCluster } from "../testing/fake-cluster.ts";
import { quietLog } from "../testing/quiet-log.ts";
import { siteApi, type WriteSink } from "./site-api.ts";

function aSite() {
  const api = new FakeCluster();
  const told: string[] = [];
  const sink: WriteSink = {
    known: ({ kind, metadata }) => api.peek(kind as "KmsCluster", metadata.name),
    wrote: ({ kind, metadata }) => told.push(`wrote ${kind} ${metadata.name}`),
    removed: ({ kind, metadata }) => told.push(`removed ${kind} ${metadata.name}`),
  };
  const stop = new AbortController();
  const log = quietLog();
  const site = siteApi({ api, sink, site: "dc1", signal: stop.signal, clock: new FakeClock(), log });
  return { api, site, stop, log, told };
}

test("apply makes an object in its namespace, and writes nothing when it is so already", async () => {
  const { api, site } = aSite();
  const service = anObject("Service", "dc1-a-mesh", { spec: { type: "LoadBalancer" } });
  const first = await site.apply(service);
  const second = await site.apply(service);
  assert.equal(first.metadata.namespace, "keyfleet");
  assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
  assert.deepEqual(api.peek("Service", "dc1-a-mesh")?.spec, { type: "LoadBalancer" });
});

test("remove deletes that very object, and takes being gone for success", async () => {
  const { api, site } = aSite();
  const old = api.put(anObject("Pod", "dc1-a-0"));
  api.drop("Pod", "dc1-a-0");
  const newer = api.put(anObject("Pod", "dc1-a-0"));
  await site.remove(old);
  assert.ok(api.peek("Pod", "dc1-a-0"), "another pod of the same name stays");
  await site.remove(newer);
  await site.remove(newer);
  assert.equal(api.peek("Pod", "dc1-a-0"), undefined);
});

const isReady = { status: { conditions: [{ type: "Ready", status: "True" }] } };
for (const [sentence, change, deleted] of [
  ["is deleted while both are as they were seen", () => {}, true],
  ["stays when it has become ready", (api) => api.put(anObject("Pod", "dc1-a-0", isReady)), false],
  ["stays when its node says something else", (api) => api.put(anObject("KmsNode", "dc1-a", isReady)), false],
  ["stays when its node is gone", (api) => api.drop("KmsNode", "dc1-a"), false],
  [
    "stays when it becomes ready after it was read",
    (api) => {
      api.beforeRequest = async (what) => {
        if (what.startsWith("delete")) api.put(anObject("Pod", "dc1-a-0", isReady));
      };
    },
    false,
  ],
] as const satisfies readonly (readonly [string, (api: FakeCluster) => unknown, boolean])[])
  test(`a pod that is deleted because of what it and its node said ${sentence}`, async () => {
    const { api, site, told } = aSite();
    const [pod, node] = [api.put(anObject("Pod", "dc1-a-0")), api.put(anObject("KmsNode", "dc1-a"))];
    change(api);
    assert.equal(await site.removeAsSeen(pod, [node]), deleted);
    assert.equal(api.peek("Pod", "dc1-a-0") === undefined, deleted);
    assert.equal(told.includes("removed Pod dc1-a-0"), deleted, "the caches are told when it is gone");
  });

test("what an object has become that was seen otherwise is told to the caches, which may have missed it", async () => {
  const { api, site, told } = aSite();
  const [pod, node] = [api.put(anObject("Pod", "dc1-a-0")), api.put(anObject("KmsNode", "dc1-a"))];
  api.put(anObject("Pod", "dc1-a-0", isReady));
  api.drop("KmsNode", "dc1-a");
  await site.removeAsSeen(pod, [node]);
  assert.deepEqual(told.sort(), ["removed KmsNode dc1-a", "wrote Pod dc1-a-0"]);
});

test("a status is written once, and not again while it is the same", async () => {
  const { api, site } = aSite();
  const cluster = api.put(anObject("KmsCluster", "bank", { spec: { version: "1" } }));
  const status = { message: "6/6 serve", blockedBy: undefined };
  assert.equal(await site.writeStatus({ ...cluster, status }), true);
  assert.equal(await site.writeStatus({ ...cluster, status: { message: "6/6 serve" } }), false);
  assert.deepEqual(api.writes, ["apply KmsCluster/bank/status"]);
});

test("a Secret is created but never replaced, and read as bytes", async () => {
  const { site } = aSite();
  const secret = anObject("Secret", "keyfleet-bank-ca", { data: { "tls.key": Buffer.from("key").toString("base64") } });
  assert.equal(await site.createSecret(secret), true);
  assert.equal(await site.createSecret(secret), false);
  assert.deepEqual(await site.readSecret("keyfleet-bank-ca"), { "tls.key": Buffer.from("key") });
  assert.equal(await site.readSecret("other"), undefined);
});

test("a Secret that is there without its labels is told: it would be made again and again in vain", async () => {
  const { api, site } = aSite();
  const labels = { "keyfleet.io/cluster": "bank" };
  api.put(anObject("Secret", "keyfleet-bank-ca"));
  const secret = anObject("Secret", "keyfleet-bank-ca", { metadata: { labels } });
  await assert.rejects(site.createSecret(secret), /is there without the labels keyfleet\.io\/cluster=bank/);
  api.put(secret);
  assert.equal(await site.createSecret(secret), false);
});

test("an event has what kubectl describe needs, and a note that fits", async () => {
  const { api, site } = aSite();
  const regarding = api.put(anObject("KmsCluster", "bank"));
  await site.event({ regarding, type: "Normal", reason: "Joined", action: "Join", note: "é".repeat(2_000) });
  const written = api.peek("Event", api.writes[0]?.split("/")[1] ?? "") as unknown as Record<
    string,
    string & { uid: string }
  >;
  assert.equal(written.regarding?.uid, regarding.metadata.uid);
  assert.match(written.eventTime ?? "", /^2026-11-24T00:00:00\.000000Z$/);
  assert.ok(Buffer.byteLength(written.note ?? "") <= 1024);
});

test("an event that is refused is logged, and the pass goes on", async () => {
  const { api, site, log } = aSite();
  const regarding = api.put(anObject("KmsCluster", "bank"));
  api.cut();
  await site.event({ regarding, type: "Normal", reason: "Joined", action: "Join", note: "" });
  assert.match(log.lines.join(), /event not written/);
});

test("after its time is over a pass changes nothing more", async () => {
  const { api, site, stop } = aSite();
  stop.abort(new Error("pass took more than 30000 ms"));
  await assert.rejects(site.apply(anObject("Service", "x")), /pass took more than/);
  await assert.rejects(site.remove(anObject("Service", "x")), /pass took more than/);
  await assert.rejects(site.writeStatus(anObject("KmsCluster", "x")), /pass took more than/);
  assert.deepEqual(api.writes, []);
});
