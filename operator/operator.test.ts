import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type ApiServer, startApiServer } from "@keyfleet/crds/testing/api-server.ts";
import { KubeConfig } from "@kubernetes/client-node";
import { KeyfleetOperator } from "./keyfleet-operator.ts";
import { systemClock } from "./ports/clock.ts";
import { connect } from "./ports/connect.ts";
import type { Observed, PassPorts } from "./ports/types.ts";
import { quietLog } from "./testing/quiet-log.ts";

// One real API server with a namespace for each site: what matters here is what a real one does with versions,
// generations, watches, apply and metadata, not how many there are.
const names = ["dc1", "dc2", "dc3"] as const;
type Site = (typeof names)[number];

let server: ApiServer;
let folder: string;
const seen = new Map<string, Observed>();
/** Operators that made a pass. */
const passed = new Set<string>();
const ports = new Map<string, PassPorts>();
const operators = new Map<string, KeyfleetOperator>();

before(async () => {
  server = await startApiServer();
  await server.installCrds();
  for (const name of names)
    await make("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  for (const here of names) for (const there of names) if (here !== there) await configurePeer(here, there);
  folder = await mkdtemp(join(tmpdir(), "keyfleet-operator-"));
  process.env.KUBECONFIG = join(folder, "kubeconfig");
  await writeFile(process.env.KUBECONFIG, server.kubeconfig, { mode: 0o600 });
  for (const name of names) await start(name);
});

after(async () => {
  for (const operator of operators.values()) operator.stop();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function start(site: Site, identity = `operator-${site}`): Promise<KeyfleetOperator> {
  const settings = {
    site,
    namespace: site,
    identity,
    healthPort: 0,
    logLevel: "info",
    nodeImage: { repository: "localhost/keyfleet-node", pullPolicy: "Never" },
  } as const;
  const reconcile = async (_cluster: string, given: PassPorts) => {
    const observed = await given.observe();
    ports.set(site, given);
    if (observed === undefined) return { outcome: "gone" } as const;
    seen.set(site, observed);
    passed.add(identity);
    return { outcome: "settled" } as const;
  };
  const operator = new KeyfleetOperator({ settings, reconcile, clock: systemClock, log: quietLog() });
  operators.set(identity, operator);
  await operator.start();
  return operator;
}

async function configurePeer(here: Site, there: Site): Promise<void> {
  const kubeconfig = JSON.parse(server.kubeconfig);
  kubeconfig.contexts[0].context.namespace = there;
  const path = `/api/v1/namespaces/${here}/secrets/keyfleet-site-${there}?fieldManager=test&force=true`;
  const metadata = { name: `keyfleet-site-${there}`, labels: { "keyfleet.io/site": there } };
  const data = { kubeconfig: Buffer.from(JSON.stringify(kubeconfig)).toString("base64") };
  const answer = await server.request("PATCH", path, { apiVersion: "v1", kind: "Secret", metadata, data });
  assert.ok(answer.status < 300, answer.body.message);
}

async function make(path: string, object: object): Promise<void> {
  const answer = await server.request("POST", path, object);
  assert.equal(answer.status, 201, answer.body.message);
}

/** Waits, at most 20 s, until something is so; fails with what was seen last. */
async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const deadlineMs = performance.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    assert.ok(performance.now() < deadlineMs, `${what}: not within 20 s`);
    await delay(50);
  }
}

const copyPath = (site: Site) => `/apis/keyfleet.io/v1alpha1/namespaces/${site}/kmsclusters/bank`;
const softHsm = {
  library: "/usr/lib/softhsm/libsofthsm2.so",
  token: { label: "x" },
  pinSecretRef: { name: "hsm-pin" },
};
const bank = {
  apiVersion: "keyfleet.io/v1alpha1",
  kind: "KmsCluster",
  metadata: { name: "bank" },
  spec: {
    version: "0.1.0",
    defaults: { ntp: { servers: ["ntp1.bank.example"] }, hsm: softHsm },
    clients: { caBundleRefs: [{ name: "bank-clients" }] },
    sites: names.map((name) => ({ name, environment: "OnPremises", nodes: [{ name: `${name}-a` }] })),
  },
};

test("a fleet that is applied in one site is taken over by the others, and all agree", async () => {
  await make(copyPath("dc1").replace(/\/bank$/, ""), bank);
  for (const name of names) await until(`${name} agrees`, () => agreed(name, "1@dc1"));
});

test("an edit in another site reaches all, and is then left alone", async () => {
  const edit = {
    apiVersion: bank.apiVersion,
    kind: bank.kind,
    metadata: { name: "bank" },
    spec: { durability: "Local" },
  };
  const answer = await server.request("PATCH", `${copyPath("dc2")}?fieldManager=somebody&force=true`, edit);
  assert.equal(answer.status, 200, answer.body.message);
  for (const name of names) await until(`${name} agrees`, () => agreed(name, "2@dc2"));
  const versions = await Promise.all(names.map(resourceVersion));
  await delay(500);
  assert.deepEqual(await Promise.all(names.map(resourceVersion)), versions);
  for (const name of names) assert.equal(seen.get(name)?.cluster.spec.durability, "Local");
});

test("a referenced Secret is seen by the names of its keys soon after it was made", async () => {
  await make("/api/v1/namespaces/dc1/secrets", {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "hsm-pin" },
    stringData: { pin: "1234" },
  });
  const found = await until("the Secret is seen", () => {
    const reference = seen.get("dc1")?.references.get("Secret/hsm-pin");
    return reference?.present ? reference : undefined;
  });
  assert.deepEqual(found, { present: true, keys: ["pin"] });
});

test("a copy that is deleted stays until it is let go, and is made again from the others", async () => {
  const copy = async () => (await server.request("GET", copyPath("dc3"))).body;
  const { uid, finalizers } = (await copy()).metadata;
  assert.deepEqual(finalizers, ["keyfleet.io/fleet"]);
  await server.request("DELETE", copyPath("dc3"));
  await until("dc3 sees it", () => seen.get("dc3")?.cluster.metadata.deletionTimestamp);
  await until("dc1 still agrees", () => seen.get("dc1")?.spec.agrees || undefined);
  const marked = await until("its operator has counted the deletion", async () => {
    const { annotations } = (await copy()).metadata;
    return annotations["keyfleet.io/spec-deleted"] === "true" ? annotations : undefined;
  });
  assert.equal(marked["keyfleet.io/spec-version"], "2@dc2", "a deletion is no edit");
  const keep = { apiVersion: bank.apiVersion, kind: bank.kind, ...(await copy()) };
  await server.request("PUT", copyPath("dc3"), { ...keep, metadata: { ...keep.metadata, finalizers: [] } });
  await until("another copy is there", async () => {
    const { metadata, spec } = await copy();
    return (metadata?.uid !== uid && spec?.durability === "Local") || undefined;
  });
});

test("the fleet lock is had by one, refused to the other, and free after the release", async () => {
  const [first, second] = ["dc1", "dc2"].map((site) => ports.get(site)?.lock);
  assert.equal(await first?.take({ operation: "Join", node: "dc1-a" }), true);
  assert.equal(await second?.take({ operation: "Join", node: "dc2-a" }), false);
  await first?.release();
  assert.equal(await second?.take({ operation: "Join", node: "dc2-a" }), true);
  await second?.release();
});

test("apply, status, events and removal do what a real API server makes of them", async () => {
  const api = ports.get("dc1")?.api;
  const cluster = seen.get("dc1")?.cluster as unknown as Parameters<NonNullable<typeof api>["writeStatus"]>[0];
  assert.ok(api !== undefined && cluster !== undefined);
  const status = { message: "0/3 serve", nodes: "0/3" };
  assert.equal(await api.writeStatus({ ...cluster, status }), true);
  assert.equal(await api.writeStatus({ ...cluster, status }), false);
  const metadata = { name: "dc1-a", labels: { "keyfleet.io/cluster": "bank" } };
  const account = await api.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata });
  await until("the account is observed", async () => {
    const observed = await ports.get("dc1")?.observe();
    return observed?.objects.some(({ kind }) => kind === "ServiceAccount") || undefined;
  });
  await api.event({ regarding: cluster, type: "Normal", reason: "Tested", action: "Test", note: "it is so" });
  const events = await server.request("GET", "/apis/events.k8s.io/v1/namespaces/dc1/events");
  assert.ok(events.body.items.some((event: { reason: string }) => event.reason === "Tested"));
  await api.remove(account);
  assert.equal((await server.request("GET", "/api/v1/namespaces/dc1/serviceaccounts/dc1-a")).status, 404);
});

test("a garbled kubeconfig says so in the site's view, and renewing it is enough", async () => {
  const path = "/api/v1/namespaces/dc1/secrets/keyfleet-site-dc3?fieldManager=test&force=true";
  const garbled = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "keyfleet-site-dc3", labels: { "keyfleet.io/site": "dc3" } },
    data: { kubeconfig: "e30=" },
  };
  await server.request("PATCH", path, garbled);
  const problem = await until("the problem is told", () => dc3()?.problem);
  assert.match(problem, /kubeconfig for dc3 .*: renew the Secret keyfleet-site-dc3/);
  await configurePeer("dc1", "dc3");
  await until("dc3 is back", () => dc3()?.reachable || undefined);
});

test("a site that was away takes over the sum of edits that the API server takes one by one only", async () => {
  operators.get("operator-dc2")?.stop();
  await until("nobody leads dc2", async () => (await leaseOf("dc2")).holderIdentity === undefined || undefined);
  const edit = (change: (sites: { name: string; nodes: object[] }[]) => object[]) =>
    until("the edit is taken", async () => {
      const copy = (await server.request("GET", copyPath("dc1"))).body;
      const edited = { ...copy, spec: { ...copy.spec, sites: change(copy.spec.sites) } };
      return (await server.request("PUT", copyPath("dc1"), edited)).status === 200 || undefined;
    });
  await edit((sites) => sites.map((site) => (site.name === "dc3" ? { ...site, nodes: [] } : site)));
  const another = { nodes: [{ name: "dc1-a" }, { name: "dc3-a" }] };
  await edit((sites) => sites.slice(0, 2).map((site) => (site.name === "dc1" ? { ...site, ...another } : site)));
  await start("dc2", "second-of-dc2");
  await until("dc2 has both", async () => {
    const { sites } = (await server.request("GET", copyPath("dc2"))).body.spec;
    return (sites.length === 2 && sites[0].nodes.length === 2) || undefined;
  });
  await until("dc2 works on it", () => seen.get("dc2")?.cluster.spec.sites.length === 2 || undefined);
});

test("a second operator of a site does nothing until the first is ended, and then goes on", async () => {
  const second = await start("dc1", "second-of-dc1");
  assert.equal((await leaseOf("dc1")).holderIdentity, "operator-dc1");
  assert.equal(passed.has("second-of-dc1"), false);
  operators.get("operator-dc1")?.stop();
  await until("the second leads", async () => (await leaseOf("dc1")).holderIdentity === "second-of-dc1" || undefined);
  await until("the second works", () => passed.has("second-of-dc1") || undefined);
  second.stop();
  await until("the Lease is free", async () => (await leaseOf("dc1")).holderIdentity === undefined || undefined);
});

test("what would be sent when the time to lead is over is not sent; reading goes on", async () => {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromString(server.kubeconfig);
  const left = [5_000, 0];
  const api = connect({ kubeConfig, namespace: "dc2", mayWriteMs: () => left.shift() ?? 0 });
  const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "late" } };
  await assert.rejects(api.create(map), { code: "notLeading" });
  await assert.rejects(api.create(map), { code: "notLeading" });
  assert.equal(await api.get("ConfigMap", "late"), undefined);
});

async function leaseOf(site: Site): Promise<{ holderIdentity?: string }> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${site}/leases/keyfleet-operator`;
  return (await server.request("GET", path)).body.spec;
}

test("the process itself starts, gets ready, and ends by itself on SIGTERM", async () => {
  const flags = ["--site", "dc1", "--namespace", "default", "--health-port", "0"];
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  child.stdout.on("data", (data: Buffer) => lines.push(data.toString()));
  try {
    const port = await until("it has started", () => /"healthPort":(\d+)/.exec(lines.join(""))?.[1]);
    await until("it is ready", async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok || undefined);
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    assert.equal(code, 0, lines.join(""));
  } finally {
    child.kill("SIGKILL");
  }
});

function agreed(site: Site, version: string): true | undefined {
  const observed = seen.get(site);
  const good =
    observed?.spec.version === version && observed.spec.agrees && observed.sites.every(({ reachable }) => reachable);
  return good || undefined;
}

async function resourceVersion(site: Site): Promise<string> {
  return (await server.request("GET", copyPath(site))).body.metadata.resourceVersion;
}

function dc3() {
  return seen.get("dc1")?.sites.find(({ name }) => name === "dc3");
}
