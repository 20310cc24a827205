import assert from "node:assert/strict";
import { test } from "node:test";
import { failures } from "../plan/failures.ts";
import type { Action, KmsNode, KubernetesObject } from "../ports/types.ts";
import { aCluster, aNode, nowMs } from "../testing/builders.ts";
import { requestsFor } from "../testing/certificate-requests.ts";
import { SimulatedSite } from "../testing/simulated-site.ts";
import { type ActPorts, act } from "./act.ts";
import { certificateNeed } from "./certificates.ts";
import { isCaOfSite, makeSiteCa } from "./site-ca.ts";

const cluster = aCluster();
const caName = "keyfleet-bank-ca";

interface Scene {
  readonly site: SimulatedSite;
  readonly ports: ActPorts;
  readonly calls: string[];
}

function aScene(change: Partial<ActPorts> = {}, held = true): Scene {
  const site = new SimulatedSite("dc1", cluster, () => {});
  const calls: string[] = [];
  const quiet = () => {};
  const lock = {
    take: async ({ operation, node }: { operation: string; node: string }) =>
      calls.push(`take ${operation} ${node}`) > 0,
    isHeld: () => held,
    release: async () => void calls.push("release"),
  };
  const ports: ActPorts = {
    ...{ cluster: cluster as unknown as KubernetesObject, site: "dc1", api: site.api(), lock },
    clock: {
      nowMs: () => nowMs,
      monotonicMs: () => 0,
      sinceBoot: () => ({ boot: "boot", ms: 0 }),
      after: () => () => {},
    },
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    signal: new AbortController().signal,
    ...change,
  };
  return { site, ports, calls };
}

function certificateOf(secret: KubernetesObject | undefined): string {
  const data = secret?.data as Record<string, string> | undefined;
  return Buffer.from(data?.["tls.crt"] ?? "", "base64").toString();
}

function aService(name: string): KubernetesObject {
  return { apiVersion: "v1", kind: "Service", metadata: { name } };
}

function apply(name: string): Action {
  return { kind: "apply", object: aService(name), because: "it is missing" };
}

test("one action that is refused does not hold up the others, and is reported", async () => {
  const { site, ports } = aScene();
  const api = {
    ...ports.api,
    apply: async (object: KubernetesObject) => {
      if (object.metadata.name === "bad") throw new Error("exceeded quota");
      return await ports.api.apply(object);
    },
  };
  const outcome = await act([apply("bad"), apply("good")], { ...ports, api });
  assert.deepEqual(
    outcome.failed.map(({ message }) => message),
    ["exceeded quota"],
  );
  assert.deepEqual([...site.objects.keys()], ["Service/good"]);
});

test("a conflict is no failure: the next pass looks again", async () => {
  const { ports } = aScene();
  const conflict = Object.assign(new Error("the object has been modified"), { code: "conflict" });
  const api = { ...ports.api, apply: () => Promise.reject(conflict) };
  assert.deepEqual(await act([apply("a")], { ...ports, api }), { done: [], failed: [] });
});

test("what needs the lock is not done when the lock was lost meanwhile", async () => {
  const action: Action = { kind: "apply", object: aService("a"), because: "a step", needsLock: true };
  const lost = aScene({}, false);
  assert.deepEqual((await act([action], lost.ports)).done, []);
  assert.equal(lost.site.objects.size, 0);
  assert.equal((await act([action], aScene({}, true).ports)).done.length, 1);
});

test("takes and gives back the lock", async () => {
  const { ports, calls } = aScene();
  await act(
    [
      { kind: "takeLock", operation: "join", node: "dc1-a", because: "b" },
      { kind: "releaseLock", because: "b" },
    ],
    ports,
  );
  assert.deepEqual(calls, ["take join dc1-a", "release"]);
});

test("does nothing more when the pass has used up its time", async () => {
  const { site, ports } = aScene({ signal: AbortSignal.abort() });
  assert.deepEqual(await act([apply("a")], ports), { done: [], failed: [] });
  assert.equal(site.objects.size, 0);
});

test("makes the site's CA once, and never replaces it", async () => {
  const { site, ports } = aScene();
  const action: Action = { kind: "makeSiteCa", secret: caName, because: "none yet" };
  assert.equal((await act([action], ports)).done.length, 1);
  const first = structuredClone(site.objects.get(`Secret/${caName}`));
  assert.equal((await act([action], ports)).done.length, 0);
  assert.deepEqual(site.objects.get(`Secret/${caName}`), first);
  assert.ok(isCaOfSite(certificateOf(first), { cluster: "bank", site: "dc1" }));
  assert.equal(first?.metadata.labels?.["keyfleet.io/cluster"], "bank");
});

test("signs a node's request with the site's CA and puts the chain into its KmsNode", async () => {
  const { site, ports } = aScene();
  await act([{ kind: "makeSiteCa", secret: caName, because: "none yet" }], ports);
  const request = requestsFor(cluster).get("dc1-a") ?? "";
  const node = aNode("dc1-a", "dc1", { stage: "waiting", status: { certificateRequest: request } });
  const object = node as unknown as KubernetesObject;
  const outcome = await act(
    [{ kind: "signCertificate", ca: caName, node: "dc1-a", request, object, because: "none yet" }],
    ports,
  );
  assert.deepEqual(outcome.failed, []);
  const stored = site.nodes.get("dc1-a");
  assert.equal(stored?.status, undefined, "the status belongs to the node");
  const ca = certificateOf(site.objects.get(`Secret/${caName}`));
  const signed = { ...stored, status: node.status } as KmsNode;
  assert.equal(certificateNeed(signed, ca, nowMs), undefined);
});

test("says why a request was not signed", async () => {
  const { ports } = aScene();
  await act([{ kind: "makeSiteCa", secret: caName, because: "none yet" }], ports);
  const request = requestsFor(cluster).get("dc1-b") ?? "";
  const object = aNode("dc1-a", "dc1", {
    stage: "waiting",
    status: { certificateRequest: request },
  }) as unknown as KubernetesObject;
  const outcome = await act(
    [{ kind: "signCertificate", ca: caName, node: "dc1-a", request, object, because: "none yet" }],
    ports,
  );
  assert.match(outcome.failed[0]?.message ?? "", /is for .*dc1-b, not for .*dc1-a/);
});

const strangeKey = async () => (await makeSiteCa({ cluster: "bank", site: "dc1" }, nowMs)).key.toString("base64");
const garbage = Buffer.from("-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----").toString("base64");
const brokenCas: readonly (readonly [
  what: string,
  change: () => Promise<Record<string, string | undefined>>,
  RegExp,
])[] = [
  ["has lost its key", async () => ({ "ca.key": undefined }), /Secret keyfleet-bank-ca, has no ca\.key/],
  ["has lost its certificate", async () => ({ "tls.crt": undefined }), /keyfleet-bank-ca, has no tls\.crt/],
  ["has the key of another CA", async () => ({ "ca.key": await strangeKey() }), /is not that of its certificate/],
  ["has a key that is none", async () => ({ "ca.key": "Z2FyYmFnZQ==" }), /a ca\.key that cannot be read/],
  ["has a certificate that is none", async () => ({ "tls.crt": garbage }), /a tls\.crt or a ca\.key that cannot/],
];
for (const [what, change, said] of brokenCas)
  test(`a site's CA that ${what} signs nothing, and that is told with a remedy: nodes keep what they have`, async () => {
    const { site, ports } = aScene();
    await act([{ kind: "makeSiteCa", secret: caName, because: "none yet" }], ports);
    const secret = site.objects.get(`Secret/${caName}`) as KubernetesObject;
    const data = { ...(secret.data as object), ...(await change()) };
    site.objects.set(`Secret/${caName}`, { ...secret, data: JSON.parse(JSON.stringify(data)) });
    const request = requestsFor(cluster).get("dc1-a") ?? "";
    const node = aNode("dc1-a", "dc1", { stage: "member", status: { certificateRequest: request } });
    const object = node as unknown as KubernetesObject;
    const signing = { kind: "signCertificate", ca: caName, node: "dc1-a", request, object, because: "b" } as const;
    const { failed } = await act([signing], ports);
    assert.match(failed[0]?.message ?? "nothing failed", said);
    assert.equal(site.nodes.get("dc1-a"), undefined, "nothing was applied");
    const [told] = failures({ kind: "act", actions: [], doing: undefined, blocked: [] }, failed).blocked;
    assert.deepEqual([told?.gate, told?.subject], ["apiAccepts", "dc1-a"]);
    assert.match(told?.remedy ?? "", /put the Secret of the CA back as it was/);
  });

test("a certificate that comes with a step is not handed out when the lock was lost while the key was read", async () => {
  let held = true;
  const { site, ports } = aScene({}, true);
  const lock = { ...ports.lock, isHeld: () => held };
  const api = {
    ...ports.api,
    readSecret: async (name: string) => {
      held = false;
      return await ports.api.readSecret(name);
    },
  };
  await act([{ kind: "makeSiteCa", secret: caName, because: "none yet" }], ports);
  const request = requestsFor(cluster).get("dc1-a") ?? "";
  const node = aNode("dc1-a", "dc1", { stage: "waiting", status: { certificateRequest: request } });
  const object = node as unknown as KubernetesObject;
  const signing = { kind: "signCertificate", ca: caName, node: "dc1-a", request, object, because: "none yet" } as const;
  const { done } = await act([{ ...signing, needsLock: true }], { ...ports, api, lock });
  assert.deepEqual([done, site.nodes.get("dc1-a")], [[], undefined]);
});
