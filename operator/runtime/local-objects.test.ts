import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock, settle } from "../testing/fake-clock.ts";
import { anObject, FakeCluster } from "../testing/fake-cluster.ts";
import { quietLog } from "../testing/quiet-log.ts";
import { LocalObjects } from "./local-objects.ts";

const labelled = (cluster: string, annotations = {}) => ({
  metadata: { labels: { "keyfleet.io/cluster": cluster }, annotations },
});

async function aSite() {
  const api = new FakeCluster();
  const told: string[] = [];
  const objects = new LocalObjects({
    api,
    clock: new FakeClock(),
    log: quietLog(),
    onChange: (cluster) => told.push(cluster),
  });
  objects.start();
  await settle();
  return { api, objects, told };
}

test("only labelled objects are seen, each with its own fleet", async () => {
  const { api, objects, told } = await aSite();
  api.put(anObject("StatefulSet", "dc1-a", labelled("bank")));
  api.put(anObject("Pod", "dc1-a-0", labelled("bank")));
  api.put(anObject("Service", "test-a-mesh", labelled("test")));
  api.put(anObject("Pod", "somebody-elses"));
  const names = objects.of("bank").map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  objects.stop();
  assert.deepEqual(
    [objects.ready, names, told],
    [true, ["Pod/dc1-a-0", "StatefulSet/dc1-a"], ["bank", "bank", "test"]],
  );
});

test("of a Secret only certificates are kept, no key and no copy of it in an annotation", async () => {
  const { api, objects } = await aSite();
  const copy = { "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"tls.key":"c2VjcmV0"}}' };
  const data = { "tls.crt": "Y2VydA==", "tls.key": "c2VjcmV0", pin: "c2VjcmV0" };
  api.put(anObject("Secret", "keyfleet-bank-ca", { ...labelled("bank", copy), data }));
  const kept = objects.of("bank");
  objects.stop();
  assert.deepEqual(kept[0]?.data, { "tls.crt": "Y2VydA==" });
  assert.ok(!JSON.stringify(kept).includes("c2VjcmV0"));
});

test("of a Pod what tells how it fares is kept, and not what its StatefulSet says anyway", async () => {
  const { api, objects } = await aSite();
  const waiting = { waiting: { reason: "ErrImagePull", message: "no such image" } };
  const container = { name: "keyserver", image: "keyfleet-node:1", state: waiting };
  const conditions = [{ type: "Ready", status: "False" }];
  const status = { phase: "Pending", hostIP: "10.0.0.1", conditions };
  const shown = { ...status, podIPs: [{ ip: "10.1.0.1" }], containerStatuses: [{ ...container, imageID: "sha256:1" }] };
  api.put(anObject("Pod", "dc1-a-0", { ...labelled("bank"), spec: { containers: [] }, status: shown }));
  const [kept] = objects.of("bank");
  objects.stop();
  assert.deepEqual(JSON.parse(JSON.stringify(kept?.status)), { ...status, containerStatuses: [container] });
  assert.equal(kept?.spec, undefined);
});
