import assert from "node:assert/strict";
import { test } from "node:test";
import { Fleet } from "./fleet.ts";
import { specAnnotations } from "./observe/spec-agreement.ts";
import { ApiError } from "./ports/kubernetes-api.ts";
import type { KubernetesObject, Observed, Reconcile } from "./ports/types.ts";
import { LocalObjects } from "./runtime/local-objects.ts";
import { Sites } from "./runtime/sites.ts";
import { aCluster } from "./testing/builders.ts";
import { FakeClock, settle } from "./testing/fake-clock.ts";
import { anObject, FakeCluster } from "./testing/fake-cluster.ts";
import { quietLog } from "./testing/quiet-log.ts";

const kubeconfig = JSON.stringify({
  "current-context": "x",
  contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
  clusters: [{ name: "x", cluster: { server: "https://dc2.example:6443" } }],
  users: [{ name: "x", user: { token: "x" } }],
});

/** A copy of the document as a site has stamped it. */
function copy(version: string, stamp: string, generation = "1"): KubernetesObject {
  const { metadata, ...cluster } = aCluster(({ spec }) => (spec.version = version));
  const annotations = { [specAnnotations.version]: stamp, [specAnnotations.generation]: generation };
  return { ...cluster, metadata: { ...metadata, finalizers: ["keyfleet.io/fleet"], annotations } } as KubernetesObject;
}

/** The fleet of dc1, which sees dc2, and what its passes do. */
async function aFleet(reconcile: Reconcile) {
  const [dc1, dc2, clock, log] = [new FakeCluster(), new FakeCluster(), new FakeClock(), quietLog()];
  dc1.put(copy("0.1.0", "1@dc1"));
  dc2.put(copy("0.1.0", "1@dc1"));
  const data = { kubeconfig: Buffer.from(kubeconfig).toString("base64") };
  dc1.put(anObject("Secret", "keyfleet-site-dc2", { metadata: { labels: { "keyfleet.io/site": "dc2" } }, data }));
  const nothing = () => {};
  const shared = { onChange: nothing, clock, log };
  const sites = new Sites({ site: "dc1", localApi: dc1, connect: () => dc2, onReachability: nothing, ...shared });
  const objects = new LocalObjects({ api: dc1, ...shared });
  for (const each of [sites, objects]) each.start();
  await clock.advance(1_000);
  const fleet = new Fleet({
    cluster: "bank",
    self: { site: "dc1", instance: "x" },
    ...{ sites, objects, clock, log, reconcile, requeue: nothing, countEvent: nothing },
    nodeImage: { repository: "x", pullPolicy: "Never" },
  });
  const pass = () => fleet.pass(new AbortController().signal);
  const stop = () => {
    for (const each of [fleet, sites, objects]) each.stop();
  };
  return { dc1, dc2, clock, pass, stop };
}

test("what this API server refuses of another site's document is told, and holds up no work on its own", async () => {
  let observed: Observed | undefined;
  const { dc1, dc2, pass, stop } = await aFleet(async (_cluster, ports) => {
    observed = await ports.observe();
    return { outcome: "settled" };
  });
  dc2.put(copy("0.2.0", "2@dc2", "2"));
  await settle();
  dc1.beforeRequest = (what) => {
    if (what === "update KmsCluster/bank") throw new ApiError("invalid", "spec.version: not known here");
  };
  await pass();
  assert.equal(observed?.cluster.spec.version, "0.1.0");
  const said = observed.spec.differences[0]?.message ?? "";
  assert.match(said, /the newer one is not taken in dc1 \(spec\.version: not known/);
  dc1.beforeRequest = () => {};
  await pass();
  assert.deepEqual([observed.cluster.spec.version, observed.spec.agrees], ["0.2.0", true]);
  stop();
});

test("of what flaps some news is told and not all: 200 at once, then one in 5 s", async () => {
  const { dc1, clock, pass, stop } = await aFleet(async (_cluster, { api }) => {
    const regarding = anObject("KmsCluster", "bank");
    for (let at = 0; at < 300; at++)
      await api.event({ regarding, type: "Warning", reason: "SiteLost", action: "Observe", note: `${at}` });
    return { outcome: "settled" };
  });
  const told = () => dc1.writes.filter((what) => what.startsWith("create Event")).length;
  await pass();
  assert.equal(told(), 200);
  await clock.advance(60_000);
  await pass();
  assert.equal(told(), 212);
  stop();
});
