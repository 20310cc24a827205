import assert from "node:assert/strict";
import { test } from "node:test";
import { KubeConfig } from "@kubernetes/client-node";
import { LeaderWork } from "./leader-work.ts";
import { ApiError } from "./ports/kubernetes-api.ts";
import type { KmsCluster, KubernetesObject, Reconcile } from "./ports/types.ts";
import { operatorMetrics } from "./runtime/metrics.ts";
import type { Settings } from "./settings.ts";
import { aCluster } from "./testing/builders.ts";
import { FakeClock } from "./testing/fake-clock.ts";
import { FakeCluster } from "./testing/fake-cluster.ts";
import { quietLog } from "./testing/quiet-log.ts";

/** The leading operator of dc1, which has two fleets, and how often each was worked on. */
async function aLeader(work: (cluster: string) => void = () => {}) {
  const [api, clock] = [new FakeCluster(), new FakeClock()];
  for (const name of ["bank", "shop"]) api.put(named(name));
  const passes = new Map<string, number>();
  const reconcile: Reconcile = async (cluster, ports) => {
    if ((await ports.observe()) === undefined) return { outcome: "gone" };
    passes.set(cluster, (passes.get(cluster) ?? 0) + 1);
    work(cluster);
    return { outcome: "settled" };
  };
  const sources = { leads: () => true, queueDepth: () => 0, sites: () => [], locks: () => [] };
  const metrics = operatorMetrics(sources);
  const settings = { site: "dc1", nodeImage: { repository: "x", pullPolicy: "Never" } } as unknown as Settings;
  const leader = new LeaderWork({
    ...{ settings, reconcile, metrics, clock, log: quietLog(), connect: () => api },
    ...{ term: { leftMs: () => 60_000 }, kubeConfig: new KubeConfig(), namespace: "keyfleet" },
  });
  leader.start();
  await clock.advance(3_000);
  return { api, clock, leader, metrics, passes };
}

function named(name: string): KubernetesObject {
  const cluster = aCluster() as unknown as KubernetesObject;
  return { ...cluster, metadata: { ...cluster.metadata, name } };
}

test("of a fleet that is gone no metric and no lock is kept; the other's are", async () => {
  const { api, clock, leader, metrics } = await aLeader();
  const told = async (cluster: string) => (await metrics.registry.metrics()).includes(`cluster="${cluster}"`);
  const locks = () => leader.locks().map(({ cluster }) => cluster);
  assert.deepEqual([await told("bank"), await told("shop"), locks().sort()], [true, true, ["bank", "shop"]]);
  api.drop("KmsCluster", "shop");
  await clock.advance(3_000);
  assert.deepEqual([await told("bank"), await told("shop"), locks()], [true, false, ["bank"]]);
  await leader.stop();
});

test("a pass that throws over one fleet is tried again, ever more seldom, and holds up no other", async () => {
  const { api, clock, leader, passes } = await aLeader((cluster) => {
    if (cluster === "bank") throw new TypeError("a document that nobody thought of");
  });
  passes.clear();
  api.put({ ...named("shop"), spec: { ...(named("shop").spec as object), version: "0.2.0" } });
  await clock.advance(120_000);
  const [bank = 0, shop = 0] = [passes.get("bank"), passes.get("shop")];
  assert.ok(shop >= 2, `${shop} passes over the fleet that is well`);
  assert.ok(bank >= 3 && bank <= 12, `${bank} passes in two minutes over the one that throws`);
  await leader.stop();
});

for (const [verb, kind] of [
  ["list", "Pod"],
  ["watch", "Pod"],
  ["list", "KmsNode"],
])
  test(`a right to ${verb} ${kind}s that was taken away is told in the status, nothing is done meanwhile, and it passes when it is given back`, async () => {
    const { api, clock, leader, passes } = await aLeader();
    const told = () => (api.peek("KmsCluster", "bank") as unknown as KmsCluster).status;
    api.beforeRequest = (request) => {
      if (request === `${verb} ${kind}`) throw new ApiError("forbidden", "forbidden: no such right", { status: 403 });
    };
    api.compact();
    await clock.advance(60_000);
    const [blocked] = told()?.blockedBy ?? [];
    assert.deepEqual([blocked?.gate, blocked?.subject, leader.ready], ["apiAccepts", kind, false]);
    assert.match(`${told()?.message}; ${blocked?.message}`, new RegExp(`^waiting: .* kind ${kind}; .*no such right`));
    const [written, worked] = [api.writes.length, passes.get("bank")];
    await clock.advance(60_000);
    assert.deepEqual([api.writes.length, passes.get("bank")], [written, worked], "nothing is written again and again");
    api.beforeRequest = () => {};
    await clock.advance(30_000);
    assert.ok(leader.ready && (passes.get("bank") ?? 0) > (worked ?? 0), "it works again");
    await leader.stop();
  });
