import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../ports/kubernetes-api.ts";
import type { KmsNode, KubernetesObject } from "../ports/types.ts";
import { aCluster, aNode } from "../testing/builders.ts";
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

const aBank = aCluster() as unknown as KubernetesObject;
const aKmsNode = (name: string, cluster = "bank") =>
  aNode(name, "dc2", { stage: "member", spec: { cluster } }) as unknown as KubernetesObject;

/** The sites as dc1 sees them; the answer of a peer depends on the token that it is asked with, and so does where it leads. */
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
      const api = apis[(token?.startsWith("to-") ? token.slice(3) : name) as "dc2"];
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
  apis.dc2.put(aBank);
  apis.dc2.put(aKmsNode("dc2-a"));
  apis.dc2.put(aKmsNode("other-a", "other"));
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
  apis.dc2.put(aBank);
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
  apis.dc2.put(aKmsNode("dc2-b"));
  told.length = 0;
  const backAtMs = clock.nowMs();
  apis.dc2.heal();
  await clock.advance(4_000);
  assert.ok((told[0]?.atMs ?? Number.POSITIVE_INFINITY) - backAtMs <= 4_000);
  assert.deepEqual([view("dc2")?.reachable, view("dc2")?.nodes.length], [true, 1]);
  sites.stop();
});

test("a site that lets nobody read at first when it is back, as one that has not read its roles yet, is reached once it does", async () => {
  const { clock, apis, sites, view, begin } = aFleet();
  apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
  apis.dc2.put(aBank);
  await begin();
  apis.dc2.cut();
  await clock.advance(10_000);
  apis.dc2.beforeRequest = (request) => {
    if (request !== "probe") throw new ApiError("forbidden", "no such role", { status: 403 });
  };
  apis.dc2.heal();
  await clock.advance(2_000);
  assert.match(view("dc2")?.problem ?? "", /dc2 does not let us read KmsClusters \(403\)/);
  apis.dc2.beforeRequest = () => {};
  await clock.advance(20_000);
  assert.deepEqual([view("dc2")?.reachable, view("dc2")?.problem], [true, undefined]);
  sites.stop();
});

for (const site of ["dc1", "dc2"] as const)
  test(`what a backup of the etcd of ${site} has is shown within 4 s of its being put back, though no question went unanswered`, async () => {
    const { clock, apis, sites, view, begin } = aFleet();
    const put = (message: string) => apis[site].put({ ...aBank, status: { message } });
    const messages = [];
    apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
    put("before");
    const backup = apis[site].backup();
    await begin();
    put("after");
    await clock.advance(2_000);
    messages.push(view(site)?.cluster?.status?.message);
    apis[site].restore(backup);
    await clock.advance(4_000);
    messages.push(view(site)?.cluster?.status?.message);
    assert.deepEqual([messages, view(site)?.reachable], [["after", "before"], true]);
    sites.stop();
  });

test("the kubeconfig that a backup of this site's etcd has is used within 4 s of its being put back", async () => {
  const { clock, apis, sites, view, begin } = aFleet();
  apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
  const backup = apis.dc1.backup();
  await begin();
  apis.dc1.put(peerSecret("dc2", kubeconfig("expired")));
  await clock.advance(2_000);
  assert.equal(view("dc2")?.reachable, false);
  apis.dc1.restore(backup);
  await clock.advance(4_000);
  assert.equal(view("dc2")?.reachable, true);
  sites.stop();
});

test("a node of this site that another one has too, as after a backup was put back there, is none of that site", async () => {
  const { apis, sites, view, begin } = aFleet();
  apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
  const ofDc1 = aNode("dc1-a", "dc1", { stage: "member" }) as unknown as KubernetesObject;
  for (const api of [apis.dc1, apis.dc2]) api.put(ofDc1);
  apis.dc2.put(aKmsNode("dc2-a"));
  await begin();
  const names = (site: string) => view(site)?.nodes.map(({ metadata }) => metadata.name);
  assert.deepEqual([names("dc1"), names("dc2")], [["dc1-a"], ["dc2-a"]]);
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

const tokenUntil = (exp: number) => `e30.${Buffer.from(JSON.stringify({ exp })).toString("base64url")}.x`;

test("a kubeconfig that has expired says when once it is refused", async () => {
  const { apis, sites, view, begin } = aFleet();
  apis.dc1.put(peerSecret("dc2", kubeconfig(tokenUntil(Date.parse("2026-11-23T00:00:00Z") / 1000))));
  apis.dc2.cut();
  await begin();
  const problem =
    /^kubeconfig for dc2 expired at 2026-11-23T00:00:00\.000Z \(.*\): renew the Secret keyfleet-site-dc2$/;
  assert.match(view("dc2")?.problem ?? "", problem);
  sites.stop();
});

test("a kubeconfig that came while this machine's clock was months ahead is used: the server says when it has expired", async () => {
  const { clock, apis, sites, view, begin } = aFleet();
  const inAMonth = clock.nowMs() / 1000 + 30 * 86_400;
  clock.jump(60 * 86_400_000);
  apis.dc1.put(peerSecret("dc2", kubeconfig(tokenUntil(inAMonth))));
  await begin();
  clock.jump(-60 * 86_400_000);
  await clock.advance(1_000);
  assert.deepEqual([view("dc2")?.reachable, sites.expiresAtMs("dc2")], [true, inAMonth * 1000]);
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
    "a server that was left to be filled in",
    [peerSecret("dc2", kubeconfig("good").replace("dc2.example", "<API-SERVER>"))],
    /names a server whose address cannot be read: renew the Secret keyfleet-site-dc2/,
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
    assert.ok(sites.ready, "this site is worked on all the same");
    assert.match(view("dc2")?.problem ?? "", problem);
    if (secrets.length > 1) apis.dc1.drop("Secret", "second");
    else apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
    await clock.advance(1_000);
    assert.equal(view("dc2")?.reachable, true);
    sites.stop();
  });
}

const astray: readonly (readonly [sentence: string, leads: string])[] = [
  ["to this site", "dc1"],
  ["to a third one", "dc3"],
];
for (const [sentence, there] of astray)
  test(`a kubeconfig that leads ${sentence} is told, that one counts once only, and the right one is enough`, async () => {
    const { clock, apis, sites, view, begin } = aFleet();
    for (const name of ["dc1", "dc2", "dc3"] as const) {
      apis[name].put(aBank);
      apis[name].put(aNode(`${name}-a`, name, { stage: "member" }) as unknown as KubernetesObject);
    }
    apis.dc1.put(peerSecret("dc2", kubeconfig(`to-${there}`)));
    apis.dc1.put(peerSecret("dc3", kubeconfig("good")));
    await begin();
    assert.deepEqual([view("dc2")?.reachable, view("dc3")?.reachable], [false, true]);
    assert.match(view("dc2")?.problem ?? "", new RegExp(`kubeconfig for dc2 leads to ${there}: put that of dc2 into`));
    assert.equal(sites.reachedApi("dc2"), undefined, "no share of the fleet lock is taken there");
    apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
    await clock.advance(1_000);
    assert.deepEqual([view("dc2")?.reachable, view("dc2")?.problem], [true, undefined]);
    assert.equal(sites.reachedApi("dc2"), apis.dc2);
    sites.stop();
  });

const { spec, status } = aKmsNode("dc2-a") as unknown as KmsNode;
const hostile: readonly [string, KubernetesObject, string][] = [
  ["a node without a specification", anObject("KmsNode", "dc2-a"), "KmsNode.spec"],
  [
    "a node without members",
    anObject("KmsNode", "dc2-a", { spec: { ...spec, members: null } }),
    "KmsNode.spec.members",
  ],
  [
    "a node with conditions that are none",
    anObject("KmsNode", "dc2-a", { spec, status: { ...status, conditions: [null] } }),
    "KmsNode.status.conditions[0]",
  ],
  [
    "a name that no API server takes",
    anObject("KmsNode", "dc2-a", { spec: { ...spec, site: "x".repeat(1_000) } }),
    "KmsNode.spec.site",
  ],
  ["a document without sites", anObject("KmsCluster", "bank", { spec: { version: "1" } }), "KmsCluster.spec.sites"],
  [
    "a word that could not be handed on",
    anObject("KmsCluster", "bank", {
      spec: aBank.spec,
      status: { blockedBy: [{ gate: "x", subject: "dc2", message: "x", since: "yesterday", remedy: "x" }] },
    }),
    "KmsCluster.status.blockedBy[0].since",
  ],
];
for (const [what, object, path] of hostile)
  test(`of a site that has ${what} nothing is believed, and nobody stumbles over it`, async () => {
    const { clock, apis, sites, view, begin } = aFleet();
    apis.dc1.put(peerSecret("dc2", kubeconfig("good")));
    apis.dc2.put(aBank);
    apis.dc2.put(aKmsNode("dc2-a"));
    await begin();
    apis.dc2.put(object);
    await clock.advance(1_000);
    const shown = view("dc2");
    assert.deepEqual([shown?.reachable, shown?.nodes.map((node) => node.spec.site)], [false, ["dc2"]]);
    assert.ok(shown?.problem?.includes(`is not as it must be: ${path})`), shown?.problem);
    apis.dc2.put({ ...aBank, status: {} });
    apis.dc2.put(aKmsNode("dc2-a"));
    await clock.advance(20_000);
    assert.deepEqual([view("dc2")?.reachable, view("dc2")?.problem], [true, undefined]);
    sites.stop();
  });

test("a Secret whose label is changed to another site is at once that one's and no more the first one's", async () => {
  const { clock, apis, sites, view, begin } = aFleet();
  for (const name of ["first", "second"]) apis.dc1.put(peerSecret("dc2", kubeconfig("good"), name));
  await begin();
  assert.match(view("dc2")?.problem ?? "", /two Secrets are labelled/);
  apis.dc1.put(peerSecret("dc3", kubeconfig("good"), "second"));
  await clock.advance(2_000);
  assert.deepEqual([view("dc2")?.reachable, view("dc3")?.reachable], [true, true]);
  apis.dc1.put(peerSecret("dc3", kubeconfig("good"), "first"));
  await clock.advance(2_000);
  assert.match(view("dc2")?.problem ?? "", /no kubeconfig Secret/);
  assert.match(view("dc3")?.problem ?? "", /two Secrets are labelled/);
  sites.stop();
});

test("a peer that was one too many is taken when another one goes", async () => {
  const { clock, apis, sites, begin } = aFleet();
  for (let nth = 10; nth < 27; nth++) apis.dc1.put(peerSecret(`site-${nth}`, kubeconfig("to-dc3")));
  await begin();
  assert.equal(sites.get("site-26"), undefined);
  apis.dc1.drop("Secret", "keyfleet-site-site-10");
  await clock.advance(1_000);
  assert.notEqual(sites.get("site-26"), undefined);
  sites.stop();
});

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
