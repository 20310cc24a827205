import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../ports/kubernetes-api.ts";
import { FakeClock, settle } from "../testing/fake-clock.ts";
import { anObject, FakeCluster } from "../testing/fake-cluster.ts";
import { quietLog } from "../testing/quiet-log.ts";
import { Sites } from "./sites.ts";

const kubeconfig = (token: string) =>
  JSON.stringify({
    "current-context": "x",
    contexts: [{ name: "x", context: { cluster: "x", user: "x" } }],
    clusters: [{ name: "x", cluster: { server: "https://dc2.example:6443" } }],
    users: [{ name: "x", user: { token } }],
  });

function peerSecret(site: string, text: string, name = `keyfleet-site-${site}`) {
  const data = { kubeconfig: Buffer.from(text).toString("base64") };
  return anObject("Secret", name, { metadata: { labels: { "keyfleet.io/site": site } }, data });
}

/** The sites as dc1 sees them; the answer of a peer depends on the token that it is asked with. */
function aFleet() {
  const clock = new FakeClock();
  const apis = { dc1: new FakeCluster(), dc2: new FakeCluster(), dc3: new FakeCluster() };
  const told: { site: string; atMs: number }[] = [];
  const changed: string[] = [];
  let connections = 0;
  const sites = new Sites({
    site: "dc1",
    localApi: apis.dc1,
    connect: (name, peer) => {
      connections++;
      const token = peer.kubeConfig.getCurrentUser()?.token;
      const api = apis[name as "dc2"];
      api.beforeRequest = () => {
        if (token === "expired") throw new ApiError("unauthorized", "Unauthorized", { status: 401 });
      };
      return api;
    },
    onChange: (cluster) => changed.push(cluster),
    onReachability: (site) => told.push({ site, atMs: clock.nowMs() }),
    clock,
    log: quietLog(),
  });
  const view = (name: string) => sites.views("bank", ["dc1", "dc2", "dc3"]).find((each) => each.name === name);
  const begin = async () => {
    sites.start();
    await clock.advance(1_000);
  };
  return { clock, apis, sites, told, changed, view, begin, connections: () => connections };
}

test("a site with a kubeconfig Secret is seen with its cluster and nodes, one without says what to make", async () => {
  const { apis, sites, view, begin, changed } = aFleet();
  apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
  apis.dc2.put(anObject("KmsCluster", "bank", { spec: {} }));
  apis.dc2.put(anObject("KmsNode", "dc2-a", { spec: { cluster: "bank" } }));
  apis.dc2.put(anObject("KmsNode", "other-a", { spec: { cluster: "other" } }));
  await begin();
  const dc2 = view("dc2");
  assert.deepEqual(
    [dc2?.reachable, dc2?.problem, dc2?.nodes.map(({ metadata }) => metadata.name)],
    [true, undefined, ["dc2-a"]],
  );
  assert.deepEqual([view("dc3")?.reachable, view("dc3")?.ageMs], [false, undefined]);
  assert.match(view("dc3")?.problem ?? "", /no kubeconfig Secret labelled keyfleet\.io\/site=dc3: make one/);
  assert.ok(changed.includes("bank"));
  sites.stop();
});

test("loss and return of a site are told within 4 s each, its last good view stays with its age", async () => {
  const { clock, apis, sites, view, begin, told } = aFleet();
  apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
  apis.dc2.put(anObject("KmsCluster", "bank", { spec: {} }));
  await begin();
  told.length = 0;
  const cutAtMs = clock.nowMs();
  apis.dc2.cut();
  await clock.advance(2_000);
  assert.equal(told[0]?.site, "dc2");
  assert.ok(
    (told[0]?.atMs ?? Number.POSITIVE_INFINITY) - cutAtMs <= 2_000,
    "plus at most 2 s for a probe that gets no answer",
  );
  await clock.advance(10_000);
  assert.deepEqual([view("dc2")?.reachable, view("dc2")?.cluster?.metadata.name], [false, "bank"]);
  assert.ok((view("dc2")?.ageMs ?? 0) >= 10_000);
  assert.match(view("dc2")?.problem ?? "", /dc2 does not answer at dc2\.example:6443/);
  apis.dc2.put(anObject("KmsNode", "dc2-b", { spec: { cluster: "bank" } }));
  told.length = 0;
  const backAtMs = clock.nowMs();
  apis.dc2.heal();
  await clock.advance(4_000);
  assert.ok((told[0]?.atMs ?? Number.POSITIVE_INFINITY) - backAtMs <= 4_000);
  assert.deepEqual([view("dc2")?.reachable, view("dc2")?.nodes.length], [true, 1]);
  sites.stop();
});

test("a site that hangs slows no other", async () => {
  const { clock, apis, sites, view, begin } = aFleet();
  apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
  apis.dc1.put(peerSecret("dc3", kubeconfig("good")));
  await begin();
  apis.dc2.beforeRequest = () => new Promise(() => {});
  apis.dc3.cut();
  await clock.advance(2_000);
  assert.equal(view("dc3")?.reachable, false);
  apis.dc3.heal();
  await clock.advance(2_000);
  assert.equal(view("dc3")?.reachable, true);
  sites.stop();
});

test("an expired kubeconfig says so, and renewing the Secret is enough", async () => {
  const { clock, apis, sites, view, begin } = aFleet();
  apis.dc1.put(peerSecret("dc2", kubeconfig("expired")));
  await begin();
  assert.equal(view("dc2")?.problem, "kubeconfig for dc2 refused (401): renew the Secret keyfleet-site-dc2");
  apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
  await clock.advance(100);
  assert.deepEqual([view("dc2")?.reachable, view("dc2")?.problem], [true, undefined]);
  sites.stop();
});

const broken: readonly [string, ReturnType<typeof peerSecret>[], RegExp][] = [
  ["garbage", [peerSecret("dc2", "garbage: [")], /not valid YAML of a kubeconfig: renew the Secret keyfleet-site-dc2/],
  [
    "another key",
    [{ ...peerSecret("dc2", ""), data: { config: "eA==" } }],
    /Secret keyfleet-site-dc2 has no key kubeconfig/,
  ],
  [
    "two Secrets",
    [peerSecret("dc2", kubeconfig("good")), peerSecret("dc2", kubeconfig("good"), "second")],
    /two Secrets .*delete one/,
  ],
];
for (const [what, secrets, problem] of broken) {
  test(`${what} instead of one good kubeconfig is reported, and mending it is enough`, async () => {
    const { clock, apis, sites, view, begin } = aFleet();
    for (const secret of secrets) apis.dc1.put(secret);
    await begin();
    assert.match(view("dc2")?.problem ?? "", problem);
    if (secrets.length > 1) apis.dc1.drop("Secret", "second");
    else apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
    await clock.advance(1_000);
    assert.equal(view("dc2")?.reachable, true);
    sites.stop();
  });
}

test("a removed Secret ends the connection, and a Secret that only changes its labels keeps it", async () => {
  const { clock, apis, sites, view, begin, connections } = aFleet();
  const secret = peerSecret("dc2", kubeconfig("good"));
  apis.dc1.put(secret);
  await begin();
  apis.dc1.put({ ...secret, metadata: { ...secret.metadata, labels: { ...secret.metadata.labels, team: "kms" } } });
  await settle();
  assert.equal(connections(), 1);
  apis.dc1.drop("Secret", "keyfleet-site-dc2");
  await clock.advance(100);
  assert.equal(view("dc2")?.reachable, false);
  assert.match(view("dc2")?.problem ?? "", /no kubeconfig Secret/);
  sites.stop();
});
