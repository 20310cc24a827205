import "./instance.ts";

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../fleet/await.ts";
import { applyDocument, type Document, editDocument, exampleDocument } from "../fleet/document.ts";
import { clusterAt, waitForAllServing } from "../fleet/fleet.ts";
import { introducePeer } from "../fleet/install.ts";
import { endedSince, livesOf, podsOf } from "../fleet/lives.ts";
import { namespace } from "../fleet/places.ts";
import { waitUntilTold } from "../fleet/say.ts";
import { aTunnelProxy } from "../fleet/tunnel-proxy.ts";
import { aRunningFleet, first, place, second } from "./world.ts";

/** What a story changed and did not set back, because it failed. */
let original: Document["spec"];
before(async () => {
  await aRunningFleet();
  original = (await clusterAt(place, first)).spec;
});
after(async () => {
  await editDocument(place, first, (spec) => Object.assign(spec, original));
  await introducePeer(place, second);
});

const refused: readonly {
  readonly what: string;
  readonly change: (document: Document) => void;
  readonly said: RegExp;
}[] = [
  {
    what: "a 21st node",
    change: ({ spec }) => spec.sites[0]?.nodes.push(...Array.from({ length: 15 }, (_, n) => ({ name: `more-${n}` }))),
    said: /a fleet has at most 20 nodes, 4 to 6 are recommended/,
  },
  {
    what: "a node's name used in two sites",
    change: ({ spec }) => spec.sites[1]?.nodes.push({ name: spec.sites[0]?.nodes[0]?.name ?? "" }),
    said: /a node's name is used in one site only; rename/,
  },
  {
    what: "a node's name used twice in a site",
    change: ({ spec }) => spec.sites[0]?.nodes.push({ name: spec.sites[0]?.nodes[0]?.name ?? "" }),
    said: /Duplicate value/,
  },
  {
    what: "a node that moves to another site",
    change: ({ spec }) => spec.sites[1]?.nodes.push(...(spec.sites[0]?.nodes.splice(0, 1) ?? [])),
    said: /a node cannot move to another site/,
  },
  {
    what: "a field that this version does not act on",
    change: ({ spec }) => {
      spec.defaults = { ...spec.defaults, backup: { destination: "somewhere" } };
    },
    said: /not supported in 0\.1\.0: backup/,
  },
  {
    what: "a field that nobody knows",
    change: ({ spec }) => Object.assign(spec, { replicas: 6 }),
    said: /unknown field "spec\.replicas"/,
  },
];

for (const { what, change, said } of refused) {
  test(`${what} is refused with a sentence`, async () => {
    const document = exampleDocument(place);
    change(document);
    await assert.rejects(applyDocument(place, first, document), said);
  });
}

test("a site that nobody knows is told, and taking out its node, then the site, is enough", async () => {
  await editDocument(place, first, (spec) => {
    spec.sites.push({ name: "dc9", environment: "Cloud", nodes: [{ name: "dc9-a" }] });
  });
  await waitUntilTold(place, first, {
    status: /dc9/,
    remedy: /correct the name in spec\.sites, or make the kubeconfig/,
  });
  // A site goes after its nodes: so no member is ever forgotten with its site.
  await editDocument(place, first, (spec) => {
    for (const site of spec.sites) if (site.name === "dc9") site.nodes = [];
  });
  await editDocument(place, first, (spec) => {
    spec.sites = spec.sites.filter(({ name }) => name !== "dc9");
  });
  await waitForAllServing(place, { deadlineMs: 60_000 });
});

test("another version is told, nothing is torn down, and setting it back is enough", async () => {
  let before = "";
  await editDocument(place, first, (spec) => {
    before = spec.version;
    spec.version = "0.9.0";
  });
  await waitUntilTold(place, first, { status: /more than one minor version away/, remedy: /next minor version first/ });
  await editDocument(place, first, (spec) => {
    spec.version = before;
  });
  await waitForAllServing(place, { deadlineMs: 60_000 });
});

test("an expired kubeconfig of a peer is told, and a new one is enough, without a restart of an operator", async () => {
  const lives = await livesOf(place, podsOf.operators);
  await place.sites.kubectl(first, [
    "-n",
    namespace,
    "patch",
    "secret",
    `keyfleet-site-${second}`,
    "-p",
    await expired(),
  ]);
  await waitUntilTold(place, first, {
    status: new RegExp(`${second}.*expired`),
    remedy: /renew the kubeconfig|keyfleet\.io\/site/,
  });
  await introducePeer(place, second);
  await waitForAllServing(place, { deadlineMs: 60_000 });
  assert.deepEqual(await endedSince(place, podsOf.operators, lives), []);
});

test("a peer whose API server is reached through a proxy is seen like every other, without a restart of an operator", async () => {
  const lives = await livesOf(place, podsOf.operators);
  const proxy = await aTunnelProxy(place);
  try {
    await introducePeer(place, second, { proxy: proxy.address });
    const others = place.sites.names.filter((site) => site !== second);
    const patience = { what: "all other sites look through the proxy", deadlineMs: 60_000 };
    await until(
      async () => proxy.tunnels(),
      (tunnels) => tunnels.length >= others.length,
      patience,
    );
    assert.match(proxy.tunnels()[0] ?? "", /:6443$/);
    await waitForAllServing(place, { deadlineMs: 60_000 });
    await proxy.end();
    await waitUntilTold(place, first, {
      status: new RegExp(`${second} is not reachable`),
      remedy: /through the proxy/,
    });
  } finally {
    await proxy.end();
    await introducePeer(place, second);
  }
  await waitForAllServing(place, { deadlineMs: 60_000 });
  assert.deepEqual(await endedSince(place, podsOf.operators, lives), []);
});

/** The kubeconfig in the Secret, with a token whose time is over. */
async function expired(): Promise<string> {
  const words = ["-n", namespace, "get", "secret", `keyfleet-site-${second}`, "-o", "jsonpath={.data.kubeconfig}"];
  const kubeconfig = Buffer.from((await place.sites.kubectl(first, words)).stdout, "base64").toString();
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const token = [part({ alg: "RS256" }), part({ exp: 1_600_000_000 }), "c2lnbmF0dXJl"].join(".");
  return JSON.stringify({ stringData: { kubeconfig: kubeconfig.replace(/token: [^\s}]+/, `token: ${token}`) } });
}
