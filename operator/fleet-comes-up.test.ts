import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type ApiServer, startApiServer } from "@keyfleet/crds/testing/api-server.ts";
import { KeyfleetOperator } from "./keyfleet-operator.ts";
import { systemClock } from "./ports/clock.ts";
import type { KmsCluster, KmsNode, KubernetesObject } from "./ports/types.ts";
import { reconcile } from "./reconcile.ts";
import { aCluster, aCondition } from "./testing/builders.ts";
import { requestsFor } from "./testing/certificate-requests.ts";
import { quietLog } from "./testing/quiet-log.ts";

// The operators of three sites, whole and real, against a real API server with a namespace for each site. Played are only
// the site's own controllers (addresses, pods) and the nodes.
const names = ["dc1", "dc2", "dc3"] as const;
type Site = (typeof names)[number];

const fleet = aCluster(({ spec }) => {
  for (const site of spec.sites) site.nodes = site.nodes.slice(0, 1);
});
const requests = requestsFor(fleet);
const volumes = new Map<string, string>();
const operators: KeyfleetOperator[] = [];
let server: ApiServer;
let folder: string;
let playing = true;
let player: Promise<void>;

before(async () => {
  server = await startApiServer();
  await server.installCrds();
  folder = await mkdtemp(join(tmpdir(), "keyfleet-fleet-"));
  process.env.KUBECONFIG = join(folder, "kubeconfig");
  await writeFile(process.env.KUBECONFIG, server.kubeconfig, { mode: 0o600 });
  for (const site of names) await makeSite(site);
  for (const site of names) await startOperator(site);
  player = play();
});

after(async () => {
  playing = false;
  for (const operator of operators) operator.stop();
  await player;
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test("a fleet that is applied in one site comes up in all three, one node after the other", async () => {
  const { name } = fleet.metadata;
  await call("POST", "dc1", "kmsclusters", { ...fleet, metadata: { name } });
  for (const site of names)
    await until(`${site} sees 3/3`, async () => (await clusterOf(site))?.status?.message === "all nodes serve");
  const nodes = await Promise.all(names.map((site) => nodeOf(site)));
  assert.deepEqual(
    nodes.map((node) => node?.spec.membership.action),
    ["Member", "Member", "Member"],
  );
  assert.equal(new Set(nodes.map((node) => node?.spec.clusterId)).size, 1);
  for (const node of nodes) {
    assert.deepEqual(
      node?.spec.members.map(({ name, standing }) => `${name} ${standing}`),
      names.map((site) => `${site}-a Member`),
    );
    assert.equal(node?.spec.trustBundle?.match(/BEGIN CERTIFICATE/g)?.length, 3);
  }
});

test("then it is quiet: nothing is written", async () => {
  await delay(1_000);
  const before = await versions();
  await delay(2_000);
  assert.deepEqual(await versions(), before);
});

test("a deleted Service and a deleted KmsNode come back, and the node is still a member", async () => {
  await server.request("DELETE", "/api/v1/namespaces/dc2/services/dc2-a-kmip");
  await until(
    "the Service is back",
    async () => (await server.request("GET", "/api/v1/namespaces/dc2/services/dc2-a-kmip")).status === 200,
  );
  const gone = (await nodeOf("dc3"))?.metadata.uid;
  await server.request("DELETE", "/apis/keyfleet.io/v1alpha1/namespaces/dc3/kmsnodes/dc3-a");
  await until("the KmsNode is back as a member", async () => {
    const node = await nodeOf("dc3");
    return node !== undefined && node.metadata.uid !== gone && node.spec.membership.action === "Member";
  });
});

test("a site's CA that is deleted is missed in every site, is taken when it is back, and is made anew by consent only", async () => {
  const secret = "secrets/keyfleet-bank-ca";
  const { body: backup } = await call("GET", "dc1", secret);
  const chain = async () => (await nodeOf("dc1"))?.spec.certificateChain;
  const { spec: before } = (await nodeOf("dc1")) ?? {};
  const missed = async (site: Site) =>
    (await clusterOf(site))?.status?.blockedBy?.find((one) => `${one.gate} ${one.subject}` === "certificateIssued dc1");
  await call("DELETE", "dc1", secret);
  for (const site of names) await until(`${site} says so`, async () => (await missed(site)) !== undefined);
  await delay(1_000);
  assert.equal((await call("GET", "dc1", secret)).status, 404);
  const { certificateChain, trustBundle } = (await nodeOf("dc1"))?.spec ?? {};
  assert.deepEqual([certificateChain, trustBundle], [before?.certificateChain, before?.trustBundle]);

  const { name, labels } = backup.metadata;
  await call("POST", "dc1", "secrets", { ...backup, metadata: { name, labels } });
  for (const site of names)
    await until(`${site} is content`, async () => (await clusterOf(site))?.status?.message === "all nodes serve");
  assert.equal(await chain(), before?.certificateChain);

  await call("DELETE", "dc1", secret);
  await until("it is missed again", async () => (await missed("dc1")) !== undefined);
  const [annotation = "", consent] =
    /(keyfleet\.io\/new-ca)=(\w{16});/.exec((await missed("dc1"))?.remedy ?? "")?.slice(1) ?? [];
  const { apiVersion, kind } = fleet;
  await call("PATCH", "dc2", "kmsclusters/bank", {
    ...{ apiVersion, kind, metadata: { name: "bank", annotations: { [annotation]: consent } } },
  });
  await until("a new one signs", async () => (await chain()) !== before?.certificateChain);
  const others = async () => (await nodeOf("dc3"))?.spec.trustBundle ?? "";
  const [, issuer = "-"] = (await chain())?.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  await until("the others trust it", async () => (await others()).includes(issuer));
  assert.equal((await others()).match(/BEGIN CERTIFICATE/g)?.length, 3);
});

async function makeSite(site: Site): Promise<void> {
  const create = async (path: string, object: object) => {
    const { status, body } = await server.request("POST", path, object);
    assert.equal(status, 201, body.message);
  };
  const secrets = `/api/v1/namespaces/${site}/secrets`;
  await create("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: site } });
  await create(secrets, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "hsm-pin" },
    stringData: { pin: "1234" },
  });
  const bundle = { "ca.crt": "-----BEGIN CERTIFICATE-----\nQ0xJRU5UUw==\n-----END CERTIFICATE-----\n" };
  const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "bank-clients" }, data: bundle };
  await create(`/api/v1/namespaces/${site}/configmaps`, configMap);
  for (const peer of names.filter((name) => name !== site)) {
    const kubeconfig = JSON.parse(server.kubeconfig);
    kubeconfig.contexts[0].context.namespace = peer;
    const metadata = { name: `keyfleet-site-${peer}`, labels: { "keyfleet.io/site": peer } };
    await create(secrets, {
      apiVersion: "v1",
      kind: "Secret",
      metadata,
      stringData: { kubeconfig: JSON.stringify(kubeconfig) },
    });
  }
}

async function startOperator(site: Site): Promise<void> {
  const nodeImage = { repository: "localhost/keyfleet-node", pullPolicy: "Never" } as const;
  const settings = { site, namespace: site, identity: site, healthPort: 0, logLevel: "info", nodeImage } as const;
  const operator = new KeyfleetOperator({ settings, reconcile, clock: systemClock, log: quietLog() });
  operators.push(operator);
  await operator.start();
}

/** Plays each site's controllers and its node until the end. */
async function play(): Promise<void> {
  while (playing) {
    for (const site of names) await playSite(site).catch(() => undefined);
    await delay(100);
  }
}

async function playSite(site: Site): Promise<void> {
  for (const service of await listOf(site, "api/v1", "services")) {
    if ((service.status as { loadBalancer?: { ingress?: unknown } })?.loadBalancer?.ingress !== undefined) continue;
    const at = service.metadata.name.length + site.charCodeAt(2);
    await call(
      "PATCH",
      site,
      `services/${service.metadata.name}/status`,
      status(service, { loadBalancer: { ingress: [{ ip: `10.0.0.${at}` }] } }),
    );
  }
  const node = await nodeOf(site);
  const sets = await listOf(site, "apis/apps/v1", "statefulsets");
  if (node === undefined || sets.length === 0) return;
  const name = node.metadata.name;
  const labels = { "keyfleet.io/cluster": "bank", "keyfleet.io/node": name, "controller-revision-hash": "first" };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: `${name}-0`, labels } };
  for (const set of sets) await call("PATCH", site, `statefulsets/${set.metadata.name}/status`, lookedAt(set));
  const containers = [{ name: "keyserver", image: "keyfleet-node" }];
  await call("POST", site, "pods", { ...pod, spec: { containers, automountServiceAccountToken: false } });
  const serves = playNode(node);
  const reported = await reportOf(node, serves);
  await call("PATCH", site, `kmsnodes/${name}/status`, reported);
  const ready = { type: "Ready", status: serves ? "True" : "False" };
  await call("PATCH", site, `pods/${name}-0/status`, status(pod, { conditions: [ready] }));
}

/** What Kubernetes says of a StatefulSet that it has looked at. */
function lookedAt(set: KubernetesObject): KubernetesObject {
  return status(set, { observedGeneration: set.metadata.generation, updateRevision: "first", replicas: 1 });
}

/** Whether the node serves; its volume remembers the fleet. */
function playNode(node: KmsNode): boolean {
  const { name } = node.metadata;
  const { action } = node.spec.membership;
  if (action === "Found") volumes.set(name, "the-fleet");
  if (action === "Join" && node.spec.clusterId !== undefined) volumes.set(name, node.spec.clusterId);
  return action === "Member" && volumes.has(name);
}

async function reportOf(node: KmsNode, serves: boolean): Promise<KubernetesObject> {
  const { name } = node.metadata;
  const clusterId = volumes.get(name);
  const conditions = [
    aCondition("Serving", serves ? "True" : "False", serves ? "Serving" : "AwaitingMembership", "-"),
    aCondition("RootOfTrust", "True", "Ready"),
    aCondition("TimeSynchronised", "True", "Synchronised"),
    aCondition(
      "Replicating",
      clusterId === undefined ? "False" : "True",
      clusterId === undefined ? "NotAMember" : "CaughtUp",
    ),
  ];
  return status(node as unknown as KubernetesObject, {
    ...{ version: "0.1.0", certificateRequest: requests.get(name), joinPublicKey: `key of ${name}`, conditions },
    ...(clusterId === undefined ? {} : { clusterId }),
  });
}

function status(of: Pick<KubernetesObject, "apiVersion" | "kind" | "metadata">, content: object): KubernetesObject {
  return { apiVersion: of.apiVersion, kind: of.kind, metadata: { name: of.metadata.name }, status: content };
}

const groups = [
  { prefix: "kms", group: "apis/keyfleet.io/v1alpha1" },
  { prefix: "statefulsets", group: "apis/apps/v1" },
] as const;

async function call(method: string, site: Site, path: string, body?: object) {
  const group = groups.find(({ prefix }) => path.startsWith(prefix))?.group ?? "api/v1";
  const query = method === "PATCH" ? "?fieldManager=player&force=true" : "";
  return await server.request(method, `/${group}/namespaces/${site}/${path}${query}`, body);
}

async function listOf(site: Site, group: string, plural: string): Promise<KubernetesObject[]> {
  const { body } = await server.request("GET", `/${group}/namespaces/${site}/${plural}`);
  const { apiVersion, items = [] } = body as { apiVersion: string; items?: KubernetesObject[] };
  const kind = plural === "services" ? "Service" : "StatefulSet";
  return items.map((item) => ({ ...item, apiVersion, kind }));
}

async function clusterOf(site: Site): Promise<KmsCluster | undefined> {
  const { status, body } = await call("GET", site, "kmsclusters/bank");
  return status === 200 ? body : undefined;
}

async function nodeOf(site: Site): Promise<KmsNode | undefined> {
  const { status, body } = await call("GET", site, `kmsnodes/${site}-a`);
  return status === 200 ? body : undefined;
}

async function versions(): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const site of names) {
    const all = [
      await clusterOf(site),
      await nodeOf(site),
      ...(await listOf(site, "api/v1", "services")),
      ...(await listOf(site, "apis/apps/v1", "statefulsets")),
    ];
    found.push(...all.map((object) => `${object?.kind} ${object?.metadata.name} ${object?.metadata.resourceVersion}`));
  }
  return found;
}

/** Waits, at most a minute; fails with what all sites say. */
async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!(await look())) {
    if (performance.now() > deadlineMs) {
      const said = await Promise.all(names.map(async (site) => (await clusterOf(site))?.status?.message));
      assert.fail(`${what}: not within a minute; the sites say: ${said.join(" | ")}`);
    }
    await delay(100);
  }
}
