import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type ApiServer, startApiServer } from "../crds/testing/api-server.ts";
import { helmProgram } from "./helm-program.ts";

// The life of a release at a real API server, without machines: what Helm makes, changes, leaves and refuses.
const chart = import.meta.dirname;
const definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/kmsclusters.keyfleet.io";
const fleet = "/apis/keyfleet.io/v1alpha1/namespaces/keyfleet/kmsclusters/bank";
const sharedElsewhere = ["--set", "crds.enabled=false,priorityClass.create=false"];
let api: ApiServer;
let folder: string;

before(async () => {
  api = await startApiServer();
  folder = mkdtempSync(join(tmpdir(), "keyfleet-release-"));
  writeFileSync(join(folder, "kubeconfig"), api.kubeconfig);
});
after(async () => {
  await api?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Words {
  readonly release?: string;
  readonly namespace?: string;
  readonly flags?: readonly string[];
}

function helm(verb: "install" | "upgrade" | "uninstall", words: Words = {}, from = chart) {
  const { release = "keyfleet", namespace = "keyfleet", flags = [] } = words;
  const place = ["--namespace", namespace, "--kubeconfig", join(folder, "kubeconfig")];
  const settings = verb === "uninstall" ? [] : [from, "--set", "site=dc1", ...flags];
  const { status, stderr } = spawnSync(helmProgram(), [verb, release, ...settings, ...place], { encoding: "utf8" });
  return { status, said: stderr };
}

const descriptionOf = async () =>
  (await api.request("GET", definition)).body.spec.versions[0].schema.openAPIV3Schema.description;

/** The chart as an earlier version had it: its CRD says something else. */
function earlierChart(): string {
  const copy = join(folder, "earlier");
  cpSync(chart, copy, { recursive: true });
  const file = join(copy, "crd-manifests/kmsclusters.yaml");
  writeFileSync(file, readFileSync(file, "utf8").replace("A fleet of key management servers", "As it was before"));
  return copy;
}

test("an upgrade of the release upgrades the CRDs too, and keeps what there is of them", async () => {
  assert.equal(helm("install", { flags: ["--create-namespace"] }, earlierChart()).status, 0);
  assert.match(await descriptionOf(), /^As it was before/);
  const made = await api.request("POST", fleet.replace("/bank", ""), aFleet());
  assert.equal(made.status, 201, made.body.message);
  const { status, said } = helm("upgrade");
  assert.equal(status, 0, said);
  assert.match(await descriptionOf(), /^A fleet of key management servers/);
  assert.equal((await api.request("GET", fleet)).body.metadata.uid, made.body.metadata.uid);
});

test("the cluster-wide objects are one release's: another one says so, or is told to leave them", () => {
  assert.match(helm("install", { namespace: "zone-b", flags: ["--create-namespace"] }).said, /invalid ownership/);
  const zone = helm("install", { namespace: "zone-b", flags: [...sharedElsewhere, "--create-namespace"] });
  assert.equal(zone.status, 0, zone.said);
});

test("a second release in one namespace is refused, for both would be one operator", () => {
  const second = helm("install", { release: "second", flags: sharedElsewhere });
  assert.match(second.said, /keyfleet-operator.*exists and cannot be imported/);
});

test("a release stays the site that it is: it would make another site's nodes beside its own", () => {
  const { status, said } = helm("upgrade", { flags: ["--set", "site=dc2"] });
  assert.match(said, /this release is site dc1 and cannot become dc2.*leave site as it is/);
  assert.equal(status, 1);
});

test("leaving the CRDs out of an upgrade takes none away", async () => {
  assert.equal(helm("upgrade", { flags: sharedElsewhere }).status, 0);
  assert.equal((await api.request("GET", fleet)).status, 200);
  assert.equal(helm("upgrade").status, 0);
});

test("an uninstalled release leaves CRDs, fleets and the class of the nodes, and nothing of its own", async () => {
  const { status, said } = helm("uninstall");
  assert.equal(status, 0, said);
  const kept = await api.request("GET", fleet);
  assert.equal(kept.status, 200);
  assert.equal(kept.body.metadata.deletionTimestamp, undefined);
  assert.equal((await api.request("GET", "/apis/scheduling.k8s.io/v1/priorityclasses/keyfleet-node")).status, 200);
  const left = [
    ["/apis/apps/v1", "deployments"],
    ["/apis/policy/v1", "poddisruptionbudgets"],
    ["/apis/rbac.authorization.k8s.io/v1", "roles"],
    ["/apis/rbac.authorization.k8s.io/v1", "rolebindings"],
    ["/api/v1", "serviceaccounts"],
  ].map(([group, kind]) => api.request("GET", `${group}/namespaces/keyfleet/${kind}`));
  assert.deepEqual(
    (await Promise.all(left)).flatMap(({ body }) => body.items ?? [body]),
    [],
  );
});

test("installed again it takes up what it had left; under another name only when told to", async () => {
  assert.match(helm("install", { release: "renamed" }).said, /invalid ownership metadata/);
  const renamed = helm("install", { release: "renamed", flags: ["--take-ownership"] });
  assert.equal(renamed.status, 0, renamed.said);
  assert.equal(helm("uninstall", { release: "renamed" }).status, 0);
  const back = helm("install", { flags: ["--take-ownership"] });
  assert.equal(back.status, 0, back.said);
  assert.equal((await api.request("GET", fleet)).status, 200);
});

function aFleet() {
  return {
    apiVersion: "keyfleet.io/v1alpha1",
    kind: "KmsCluster",
    metadata: { name: "bank", finalizers: ["keyfleet.io/fleet"] },
    spec: { version: "0.1.0", sites: [{ name: "dc1", environment: "Cloud", nodes: [{ name: "dc1-a" }] }] },
  };
}
