import assert from "node:assert/strict";
import { test } from "node:test";
import { Fleet } from "./fleet.ts";
import { specAnnotations } from "./observe/spec-agreement.ts";
import { ApiError } from "./ports/kubernetes-api.ts";
import type { KubernetesObject, Observed } from "./ports/types.ts";
import { LocalObjects } from "./runtime/local-objects.ts";
import { Sites } from "./runtime/sites.ts";
import { aCluster } from "./testing/builders.ts";
import { FakeClock } from "./testing/fake-clock.ts";
import { anObject, FakeCluster } from "./testing/fake-cluster.ts";
import { quietLog } from "./testing/quiet-log.ts";

const kubeconfig = JSON.stringify({
  "current-context": "x",
  contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
  clusters: [{ name: "x", cluster: { server: "https://dc2.example:6443" } }],
  users: [{ name: "x", user: { token: "x" } }],
});

/** A copy of the document as a site has stamped it. */
function copy(version: string, stamp: string): KubernetesObject {
  const { metadata, ...cluster } = aCluster(({ spec }) => (spec.version = version));
  const annotations = { [specAnnotations.version]: stamp, [specAnnotations.generation]: "1" };
  return { ...cluster, metadata: { ...metadata, finalizers: ["keyfleet.io/fleet"], annotations } } as KubernetesObject;
}

test("what this API server refuses of another site's document is told, and holds up no work on its own", async () => {
  const [dc1, dc2, clock, log] = [new FakeCluster(), new FakeCluster(), new FakeClock(), quietLog()];
  dc1.put(copy("0.1.0", "1@dc1"));
  dc2.put(copy("0.2.0", "2@dc2"));
  const data = { kubeconfig: Buffer.from(kubeconfig).toString("base64") };
  dc1.put(anObject("Secret", "keyfleet-site-dc2", { metadata: { labels: { "keyfleet.io/site": "dc2" } }, data }));
  const nothing = () => {};
  const shared = { onChange: nothing, clock, log };
  const sites = new Sites({ site: "dc1", localApi: dc1, connect: () => dc2, onReachability: nothing, ...shared });
  const objects = new LocalObjects({ api: dc1, ...shared });
  for (const each of [sites, objects]) each.start();
  await clock.advance(1_000);
  let observed: Observed | undefined;
  const fleet = new Fleet({
    cluster: "bank",
    self: { site: "dc1", instance: "x" },
    ...{ sites, objects, clock, log, requeue: nothing, countEvent: nothing },
    nodeImage: { repository: "x", pullPolicy: "Never" },
    reconcile: async (_cluster, ports) => {
      observed = await ports.observe();
      return { outcome: "settled" };
    },
  });
  dc1.beforeRequest = (what) => {
    if (what === "update KmsCluster/bank") throw new ApiError("invalid", "spec.version: not known here");
  };
  await fleet.pass(new AbortController().signal);
  assert.equal(observed?.cluster.spec.version, "0.1.0");
  assert.match(
    observed.spec.differences[0]?.message ?? "",
    /the newer one is not taken in dc1 \(spec\.version: not known/,
  );
  dc1.beforeRequest = nothing;
  await fleet.pass(new AbortController().signal);
  assert.deepEqual([observed.cluster.spec.version, observed.spec.agrees], ["0.2.0", true]);
  for (const each of [fleet, sites, objects]) each.stop();
});
