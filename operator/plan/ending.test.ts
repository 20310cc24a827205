import assert from "node:assert/strict";
import { test } from "node:test";
import type { KmsCluster, KubernetesObject, SiteView } from "../ports/types.ts";
import { aCluster, aView, inWords, nowMs, replaced, type WorldInTest } from "../testing/builders.ts";
import { planNext } from "./plan.ts";

const deletionTimestamp = new Date(nowMs).toISOString();

const siteStatus = ["dc1", "dc2", "dc3"].map((name) => ({ name, reachable: true, caCertificate: `CA of ${name}` }));

/** The fleet's document: whether it was deleted, and whether that is confirmed. */
function doc({ deleted = true, confirmed = true } = {}): KmsCluster {
  return aCluster((cluster) => {
    const { metadata, spec } = cluster;
    if (deleted) metadata.deletionTimestamp = deletionTimestamp;
    if (confirmed) spec.deletion = { confirm: "bank" };
    cluster.status = { siteStatus };
  });
}

const everywhere = { dc2: doc(), dc3: doc() };
const living = { dc2: doc({ deleted: false }), dc3: doc({ deleted: false }) };
/** What is left of a site in the course of its end. */
const without = (...nodes: string[]) => Object.fromEntries(nodes.map((node) => [node, "absent" as const]));
const objectsWithout = (node: string) => (objects: KubernetesObject[]) =>
  objects.filter(({ metadata }) => !metadata.name.startsWith(node));

function aPod(name: string, metadata: object): KubernetesObject {
  return { apiVersion: "v1", kind: "Pod", metadata: { name, ...metadata } };
}
const erasing = aPod("dc1-x-erase", { labels: { "keyfleet.io/erases": "dc1-x" } });

const cases: readonly [string, WorldInTest, { does?: readonly string[]; waitsFor?: readonly string[] }][] = [
  [
    "a deletion that nobody confirmed waits and says what to do; nothing else changes",
    { cluster: doc({ confirmed: false }), copies: living },
    { waitsFor: ["deletionConfirmed bank"] },
  ],
  [
    "meanwhile the fleet is looked after",
    { cluster: doc({ confirmed: false }), copies: living, objects: replaced("Service", "dc1-b-kmip") },
    { does: ["apply Service dc1-b-kmip"], waitsFor: ["deletionConfirmed bank"] },
  ],
  ["a confirmation without a deletion does nothing", { cluster: doc({ deleted: false }) }, {}],
  [
    "a site whose copy is not deleted follows one that ends",
    { cluster: doc({ deleted: false }), copies: { ...living, dc3: doc() } },
    { does: ["delete KmsCluster bank"] },
  ],
  [
    "but not one whose deletion is not confirmed",
    { cluster: doc({ deleted: false }), copies: { ...living, dc3: doc({ confirmed: false }) } },
    {},
  ],
  [
    "nor before the confirmation has come here",
    { cluster: doc({ deleted: false, confirmed: false }), copies: { ...living, dc3: doc() } },
    {},
  ],
  [
    "nothing ends before every site does",
    { cluster: doc(), copies: { dc2: doc(), dc3: doc({ deleted: false }) } },
    { waitsFor: ["sitesEnd dc3"] },
  ],
  [
    "a site that cannot be asked holds it up, with the way out",
    { cluster: doc(), copies: everywhere, unreachable: ["dc2"] },
    { waitsFor: ["sitesEnd dc2"] },
  ],
  [
    "a lost site does not",
    { cluster: withLost(doc(), "dc2"), copies: everywhere, unreachable: ["dc2"] },
    { does: ["apply PersistentVolumeClaim data-dc1-a-0", "delete KmsNode dc1-a"] },
  ],
  [
    "the lock is given back first",
    { cluster: doc(), copies: everywhere, lock: { heldByMe: true, holder: "dc1", operation: "join", node: "dc1-b" } },
    { does: ["unlock"] },
  ],
  [
    "the first node goes, its volume says until when it is kept",
    { cluster: doc(), copies: everywhere },
    { does: ["apply PersistentVolumeClaim data-dc1-a-0", "delete KmsNode dc1-a"] },
  ],
  [
    "the second one waits until the pod of the first is gone",
    {
      cluster: doc(),
      copies: everywhere,
      nodes: without("dc1-a"),
      objects: (all) => [...all, { apiVersion: "v1", kind: "Pod", metadata: { name: "dc1-a-0" } }],
    },
    {},
  ],
  [
    "a pod whose machine does not answer is told of, with what to do",
    {
      cluster: doc(),
      copies: everywhere,
      nodes: without("dc1-a"),
      objects: (all) => [
        ...objectsWithout("dc1-a")(all),
        aPod("dc1-a-0", { deletionTimestamp: new Date(nowMs - 300_000).toISOString() }),
      ],
    },
    { waitsFor: ["nodeStarted dc1-a"] },
  ],
  [
    "a pod that destroys the key of a node that was removed before holds nothing up",
    {
      cluster: doc(),
      copies: everywhere,
      objects: (all) => [...all, erasing],
    },
    { does: ["apply PersistentVolumeClaim data-dc1-a-0", "delete KmsNode dc1-a"] },
  ],
  [
    "it is put away with what the nodes had in common",
    { cluster: doc(), copies: everywhere, nodes: without("dc1-a", "dc1-b"), objects: () => [erasing] },
    { does: ["delete Pod dc1-x-erase"] },
  ],
  [
    "and goes then",
    { cluster: doc(), copies: everywhere, nodes: without("dc1-a"), objects: objectsWithout("dc1-a") },
    { does: ["apply PersistentVolumeClaim data-dc1-b-0", "delete KmsNode dc1-b"] },
  ],
  [
    "after the nodes what they had in common",
    {
      cluster: doc(),
      copies: everywhere,
      nodes: without("dc1-a", "dc1-b"),
      objects: () => [{ apiVersion: "policy/v1", kind: "PodDisruptionBudget", metadata: { name: "keyfleet-bank" } }],
    },
    { does: ["delete PodDisruptionBudget keyfleet-bank"] },
  ],
  [
    "last the document",
    { cluster: doc(), copies: everywhere, nodes: without("dc1-a", "dc1-b"), objects: () => [] },
    { does: ["let go"] },
  ],
];

for (const [name, world, expected] of cases) {
  test(name, () => {
    const { does, waitsFor } = inWords(aView(world).plan);
    assert.deepEqual({ does, waitsFor }, { does: [], waitsFor: [], ...expected });
  });
}

test("a site that has ended already holds nobody up", () => {
  const { view } = aView({ cluster: doc(), copies: everywhere });
  const planWith = (left: Partial<SiteView>) => {
    const sites = view.observed.sites.map((site) => (site.name === "dc3" ? { ...site, ...left } : site));
    return inWords(planNext(view.desired, { ...view.observed, sites }, () => undefined));
  };
  const { does } = planWith({ cluster: undefined, nodes: [] });
  assert.deepEqual(does, ["apply PersistentVolumeClaim data-dc1-a-0", "delete KmsNode dc1-a"]);
  assert.deepEqual(planWith({ cluster: undefined }).waitsFor, ["sitesEnd dc3"], "one that has nodes has not ended");
});

test("a copy that a GitOps tool owns is not deleted: it is said who has to", () => {
  const { view } = aView({ cluster: doc({ deleted: false }), copies: { ...living, dc3: doc() } });
  const spec = { ...view.observed.spec, ownedBy: "ArgoCD" as const };
  const { does, waitsFor } = inWords(planNext(view.desired, { ...view.observed, spec }, () => undefined));
  assert.deepEqual({ does, waitsFor }, { does: [], waitsFor: ["deletionConfirmed dc1"] });
});

function withLost(cluster: KmsCluster, site: string): KmsCluster {
  return { ...cluster, spec: { ...cluster.spec, recovery: { lostSites: [site] } } };
}
