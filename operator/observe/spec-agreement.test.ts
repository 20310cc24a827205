import assert from "node:assert/strict";
import { test } from "node:test";
import type { KmsCluster, SiteView } from "../ports/types.ts";
import { agreementOf, decideSpec, ownerOf, type SpecDecision, specAnnotations } from "./spec-agreement.ts";

const specOf = (version: string): KmsCluster["spec"] => ({
  version,
  sites: ["dc1", "dc2", "dc3"].map((name) => ({ name, environment: "OnPremises", nodes: [] })),
});

/** A copy: its software version, what it is stamped with, and how often its spec was changed since it was made. */
function copy(
  version: string,
  stamp?: string,
  options: { generation?: number; stamped?: number; [more: string]: unknown } = {},
): KmsCluster {
  const { generation = 1, stamped = generation, ...metadata } = options;
  const annotations = { [specAnnotations.version]: stamp ?? "", [specAnnotations.generation]: String(stamped) };
  return {
    apiVersion: "keyfleet.io/v1alpha1",
    kind: "KmsCluster",
    metadata: { name: "bank", generation, ...(stamp !== undefined && { annotations }), ...metadata },
    spec: specOf(version),
  };
}

function view(name: string, cluster: KmsCluster | undefined, reachable = true): SiteView {
  return { name, local: false, reachable, ageMs: 0, problem: undefined, cluster, nodes: [] };
}

const argo = { labels: { "argocd.argoproj.io/instance": "fleet" } };
const deleted = { deletionTimestamp: "2026-11-24T00:00:00Z" };

function ending(stamp: string): KmsCluster {
  return { ...copy("1", stamp, deleted), spec: { ...specOf("1"), deletion: { confirm: "bank" } } };
}

function ofFleet(clusterId: string, cluster: KmsCluster): KmsCluster {
  return { ...cluster, status: { clusterId } };
}

test("a site with another fleet of that name is told, and what to do", () => {
  const local = ofFleet("one", copy("1", "1@dc1"));
  const { agrees, differences } = agreementOf("dc1", local, [view("dc2", ofFleet("other", copy("1", "1@dc1")))]);
  assert.equal(agrees, false);
  assert.match(
    differences[0]?.message ?? "",
    /^dc2 has another fleet called bank \(other\): its kubeconfig may lead astray$/,
  );
});

const cases: readonly [string, KmsCluster | undefined, readonly SiteView[], SpecDecision][] = [
  ["a new document gets the first version", copy("1"), [], { kind: "stamp", version: "1@dc1" }],
  ["a stamped document is left alone", copy("1", "1@dc1"), [view("dc2", copy("1", "1@dc1"))], { kind: "keep" }],
  [
    "a local edit gets the next version",
    copy("2", "3@dc2", { generation: 4, stamped: 3 }),
    [],
    { kind: "stamp", version: "4@dc1" },
  ],
  [
    "a local edit wins over what another site has by now",
    copy("2", "3@dc2", { generation: 4, stamped: 3 }),
    [view("dc2", copy("3", "7@dc2"))],
    { kind: "stamp", version: "8@dc1" },
  ],
  [
    "a missing copy is taken over",
    undefined,
    [view("dc2", copy("1", "1@dc2"))],
    { kind: "adopt", from: "dc2", version: "1@dc2", spec: specOf("1") },
  ],
  ["nothing is taken over that nobody has stamped", undefined, [view("dc2", copy("1"))], { kind: "keep" }],
  [
    "the newer version wins",
    copy("1", "1@dc1"),
    [view("dc3", copy("3", "3@dc3")), view("dc2", copy("2", "2@dc2"))],
    { kind: "adopt", from: "dc3", version: "3@dc3", spec: specOf("3") },
  ],
  [
    "the newer version of another fleet of that name, to which a kubeconfig leads, is left there",
    ofFleet("one", copy("1", "1@dc1")),
    [view("dc2", ofFleet("other", copy("9", "9@dc1"))), view("dc3", ofFleet("one", copy("1", "1@dc1")))],
    { kind: "keep" },
  ],
  [
    "that of the own fleet is taken over, also where the copy here has not heard of its id",
    copy("1", "1@dc1"),
    [view("dc2", ofFleet("one", copy("2", "2@dc1")))],
    { kind: "adopt", from: "dc2", version: "2@dc1", spec: specOf("2") },
  ],
  [
    "versions are numbers",
    copy("1", "9@dc1"),
    [view("dc2", copy("2", "10@dc2"))],
    { kind: "adopt", from: "dc2", version: "10@dc2", spec: specOf("2") },
  ],
  ["the older version is ignored", copy("2", "2@dc1"), [view("dc2", copy("1", "1@dc2"))], { kind: "keep" }],
  [
    "of two edits at once the greater site wins, here",
    copy("1", "2@dc1"),
    [view("dc2", copy("2", "2@dc2"))],
    { kind: "adopt", from: "dc2", version: "2@dc2", spec: specOf("2") },
  ],
  ["and there", copy("1", "2@dc3"), [view("dc2", copy("2", "2@dc2"))], { kind: "keep" }],
  [
    "the same document applied everywhere only shares its version",
    copy("1"),
    [view("dc2", copy("1", "1@dc2"))],
    { kind: "adopt", from: "dc2", version: "1@dc2", spec: specOf("1") },
  ],
  [
    "an unstamped edit elsewhere waits for its own operator",
    copy("1", "1@dc1"),
    [view("dc2", copy("2", "9@dc2", { generation: 2, stamped: 1 }))],
    { kind: "keep" },
  ],
  [
    "an old view of a silent site never wins",
    copy("1", "1@dc1"),
    [view("dc2", copy("2", "2@dc2"), false)],
    { kind: "keep" },
  ],
  [
    "a copy that Argo CD owns is not overwritten",
    copy("1", "1@dc1", argo),
    [view("dc2", copy("2", "2@dc2"))],
    { kind: "keep" },
  ],
  [
    "but stamped when it was edited",
    copy("2", "1@dc1", { ...argo, generation: 2, stamped: 1 }),
    [],
    { kind: "stamp", version: "2@dc1" },
  ],
  [
    "a copy whose deletion nobody confirmed is one like others: it takes over what is newer",
    copy("1", "1@dc1", deleted),
    [view("dc2", copy("2", "2@dc2"))],
    { kind: "adopt", from: "dc2", version: "2@dc2", spec: specOf("2") },
  ],
  [
    "and is taken over",
    undefined,
    [view("dc2", copy("1", "1@dc2", deleted))],
    { kind: "adopt", from: "dc2", version: "1@dc2", spec: specOf("1") },
  ],
  ["a copy with which the fleet ends is not made again", undefined, [view("dc2", ending("2@dc2"))], { kind: "keep" }],
  [
    "but the confirmation is taken over, so that the fleet ends everywhere",
    copy("1", "1@dc1"),
    [view("dc2", ending("2@dc2"))],
    { kind: "adopt", from: "dc2", version: "2@dc2", spec: ending("2@dc2").spec },
  ],
  [
    "an edit of a copy that is being deleted gets the next version",
    copy("2", "1@dc1", { ...deleted, generation: 3, stamped: 1 }),
    [],
    { kind: "stamp", version: "2@dc1" },
  ],
  [
    "the deletion itself is no edit, although it raises the generation: what is newer wins",
    copy("1", "1@dc3", { ...deleted, generation: 2, stamped: 1 }),
    [view("dc2", copy("2", "2@dc2"))],
    { kind: "adopt", from: "dc2", version: "2@dc2", spec: specOf("2") },
  ],
  [
    "and its copy is taken over as it is",
    copy("1", "1@dc1"),
    [view("dc2", copy("2", "2@dc2", { ...deleted, generation: 3, stamped: 2 }))],
    { kind: "adopt", from: "dc2", version: "2@dc2", spec: specOf("2") },
  ],
  ["a garbled version is an edit without one", copy("1", "latest"), [], { kind: "stamp", version: "1@dc1" }],
];
for (const [name, local, sites, expected] of cases) {
  test(name, () => assert.deepEqual(decideSpec({ site: "dc1", local, sites }), expected));
}

test("a site that lost its copy while the fleet ends gets one to end its nodes with", () => {
  const decision = decideSpec({ site: "dc1", local: undefined, sites: [view("dc2", ending("2@dc2"))], hasNodes: true });
  assert.deepEqual(decision, { kind: "adopt", from: "dc2", version: "2@dc2", spec: ending("2@dc2").spec });
});

test("three sites that are edited in any order end up equal", () => {
  const names = ["dc1", "dc2", "dc3"];
  let copies = new Map<string, KmsCluster>(names.map((name, at) => [name, copy(String(at))]));
  for (let round = 0; round < 6; round++) {
    const before = copies;
    copies = new Map(names.map((name) => [name, step(name, before)]));
    if (round === 2)
      copies.set("dc2", {
        ...(copies.get("dc2") as KmsCluster),
        spec: specOf("edited"),
        metadata: { ...copies.get("dc2")?.metadata, name: "bank", generation: 99 },
      });
  }
  const specs = [...copies.values()].map(({ spec }) => spec.version);
  assert.deepEqual(specs, ["edited", "edited", "edited"]);
  assert.equal(
    new Set([...copies.values()].map(({ metadata }) => metadata.annotations?.[specAnnotations.version])).size,
    1,
  );
});

/** What one operator does to its copy, as the API server then shows it. */
function step(site: string, copies: ReadonlyMap<string, KmsCluster>): KmsCluster {
  const local = copies.get(site) as KmsCluster;
  const others = [...copies].filter(([name]) => name !== site).map(([name, cluster]) => view(name, cluster));
  const decision = decideSpec({ site, local, sites: others });
  if (decision.kind === "keep") return local;
  const spec = decision.kind === "adopt" ? decision.spec : local.spec;
  const generation = (local.metadata.generation ?? 0) + (spec.version === local.spec.version ? 0 : 1);
  return { ...copy(spec.version, decision.version, { generation }) };
}

const owners: readonly [string, Record<string, unknown>, ReturnType<typeof ownerOf>][] = [
  ["nobody without labels", {}, undefined],
  ["Argo CD by annotation", { annotations: { "argocd.argoproj.io/tracking-id": "x" } }, "ArgoCD"],
  ["Argo CD by its old label", { labels: { "app.kubernetes.io/instance": "fleet" } }, "ArgoCD"],
  [
    "nobody when Helm set that label",
    { labels: { "app.kubernetes.io/instance": "fleet", "app.kubernetes.io/managed-by": "Helm" } },
    undefined,
  ],
  ["Flux", { labels: { "kustomize.toolkit.fluxcd.io/name": "fleet" } }, "Flux"],
];
for (const [name, metadata, owner] of owners) {
  test(`a copy is owned by ${name}`, () =>
    assert.equal(ownerOf({ ...copy("1"), metadata: { name: "bank", ...metadata } }), owner));
}

test("a difference names the fields and what will happen", () => {
  const agreement = agreementOf("dc1", copy("1", "1@dc1"), [view("dc2", copy("2", "2@dc2"))]);
  assert.equal(agreement.agrees, false);
  assert.deepEqual(agreement.differences, [
    {
      site: "dc2",
      fields: ["spec.version"],
      message: "dc1 and dc2 differ in spec.version; the newer one is being taken over",
    },
  ]);
});

test("a difference that only a GitOps tool can end says whose source", () => {
  const agreement = agreementOf("dc1", copy("1", "1@dc1", argo), [view("dc2", copy("2", "2@dc2"))]);
  assert.equal(agreement.ownedBy, "ArgoCD");
  assert.match(agreement.differences[0]?.message ?? "", /ArgoCD owns the copy here: make its source the same/);
});

test("a lost site and one that was never seen do not keep the sites from agreeing", () => {
  const local = copy("1", "1@dc1");
  local.spec.recovery = { lostSites: ["dc2"] };
  const never = { ...view("dc3", undefined, false), ageMs: undefined };
  assert.equal(agreementOf("dc1", local, [view("dc2", copy("2", "2@dc2")), never]).agrees, true);
});
