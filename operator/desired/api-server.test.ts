import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type ApiServer, startApiServer } from "../../crds/testing/api-server.ts";
import { planNext } from "../plan/plan.ts";
import { kindOf, pathOf } from "../ports/kinds.ts";
import type { KmsNode, KubernetesObject, Observed } from "../ports/types.ts";
import { aCluster, anObserved, aView, desiredInTest, inWords, replaced } from "../testing/builders.ts";
import { eraseAnnotation, erasePod } from "./erasure.ts";

const namespace = "keyfleet";
/** A namespace in which Kubernetes takes only pods that may do next to nothing (Pod Security Standards). */
const strict = "restricted";
let api: ApiServer;

before(async () => {
  api = await startApiServer();
  await api.installCrds();
  await api.request("POST", "/api/v1/namespaces", {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace },
  });
  await api.request("POST", "/api/v1/namespaces", {
    ...{ apiVersion: "v1", kind: "Namespace" },
    metadata: { name: strict, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
  });
});
after(() => api?.stop());

/** A specification with everything that ends up in objects. */
const full = aCluster(({ spec }) => {
  spec.defaults = {
    ...spec.defaults,
    storage: { size: "1Gi", storageClassName: "fast" },
    resources: { requests: { cpu: "1000m", memory: "1024Mi" }, limits: { memory: "2Gi" } },
    placement: { nodeSelector: { disk: "ssd" }, tolerations: [{ key: "kms", operator: "Exists" }] },
    exposure: { annotations: { "example.com/internal": "true" } },
  };
  spec.defaults.hsm = {
    ...spec.defaults.hsm,
    softToken: { initialise: true },
    environment: [{ name: "A", value: "b" }],
  };
});

test("a real API server takes all desired objects, and afterwards nothing is left to write", async () => {
  let observed = anObserved({ cluster: full, others: "new", settled: false });
  for (const round of [1, 2, 3]) {
    const plan = planNext(desiredInTest(observed), observed, () => undefined);
    if (plan.kind !== "act") break;
    assert.ok(round < 3, `writes again: ${inWords(plan).does}`);
    const applied: KubernetesObject[] = [];
    for (const action of plan.actions) if (action.kind === "apply") applied.push(await apply(action.object));
    observed = withApplied(observed, applied);
  }
  const kinds = observed.objects
    .map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    .filter((name) => name.includes("dc1-a") || name.includes("Budget"));
  assert.deepEqual(kinds.sort(), [
    "PodDisruptionBudget keyfleet-bank",
    "Role dc1-a",
    "RoleBinding dc1-a",
    "Service dc1-a-kmip",
    "Service dc1-a-mesh",
    "ServiceAccount dc1-a",
    "StatefulSet dc1-a",
  ]);
});

for (const type of ["NodePort", "HostNetwork"] as const)
  test(`a real API server takes a node that is reached by ${type}`, async () => {
    const cluster = structuredClone(full);
    const certificateSecretRef = { name: "kms-tls" };
    const interfaces = { kmip: { port: 30_696, certificateSecretRef }, mesh: { port: 30_432 } };
    cluster.spec.defaults = { ...cluster.spec.defaults, exposure: { type }, interfaces };
    const { nodes } = desiredInTest(anObserved({ cluster, others: "new", settled: false }));
    for (const { kmsNode, objects } of nodes.slice(0, 1)) {
      await apply(kmsNode as unknown as KubernetesObject);
      for (const object of objects) await apply(object);
    }
  });

for (const [type, refused] of [
  ["LoadBalancer", undefined],
  ["NodePort", undefined],
  ["HostNetwork", /violates PodSecurity.*host namespaces/],
] as const)
  test(`a namespace that enforces the level restricted ${refused ? "refuses" : "takes"} a node reached by ${type}`, async () => {
    const cluster = structuredClone(full);
    cluster.spec.defaults = { ...cluster.spec.defaults, exposure: { type } };
    const [node] = desiredInTest(anObserved({ cluster, others: "new", settled: false })).nodes;
    const set = node?.objects.find(({ kind }) => kind === "StatefulSet")?.spec as { template: { spec: PodSpec } };
    const { spec } = set.template;
    const data = { name: "data", persistentVolumeClaim: { claimName: "data-dc1-a-0" } };
    const answer = await inStrict({ ...spec, volumes: [...spec.volumes, data] });
    if (refused === undefined) assert.equal(answer.status, 201, answer.body.message);
    else assert.match(answer.body.message, refused);
  });

test("a namespace that enforces the level restricted takes the pod that destroys a key", async () => {
  const pinSecretRef = { name: "dc1-hsm-pin" };
  const hsm = { library: "/usr/lib/hsm.so", token: { label: "dc1" }, keyLabel: "k", pinSecretRef };
  const claim = {
    ...{ apiVersion: "v1", kind: "PersistentVolumeClaim" },
    metadata: {
      name: "data-dc1-a-0",
      labels: { "keyfleet.io/node": "dc1-a", "keyfleet.io/cluster": "bank" },
      annotations: { [eraseAnnotation]: JSON.stringify({ version: "0.1.0", hsm }) },
    },
  };
  const image = { repository: "localhost/keyfleet-node", pullPolicy: "Never" } as const;
  const answer = await inStrict(erasePod(claim, image)?.spec);
  assert.equal(answer.status, 201, answer.body.message);
});

interface PodSpec {
  readonly volumes: readonly object[];
}

function inStrict(spec: unknown) {
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "tried" }, spec };
  return api.request("POST", `/api/v1/namespaces/${strict}/pods?dryRun=All&fieldValidation=Strict`, pod);
}

for (const [what, allowVolumeExpansion, expected] of [
  ["grows a volume whose class allows it", true, /^$/],
  [
    "refuses to grow one whose class does not, which the operator hands on",
    false,
    /must support resize|can be resized/,
  ],
] as const)
  test(`a real API server ${what}`, async () => {
    const name = allowVolumeExpansion ? "growing" : "fixed";
    await apply({
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name },
      provisioner: "x/y",
      allowVolumeExpansion,
    });
    const claim = await boundClaim(name);
    const observed = anObserved({
      objects: replaced("PersistentVolumeClaim", "data-dc1-a-0", () => ({
        ...claim,
        metadata: { ...claim.metadata, name: "data-dc1-a-0" },
      })),
    });
    const node = desiredInTest(observed).nodes.find(({ facts }) => facts.name === "dc1-a");
    const grown = node?.objects.find(({ kind }) => kind === "PersistentVolumeClaim");
    assert.ok(grown);
    assert.match(await apply({ ...grown, metadata: { ...grown.metadata, name } }).then(() => "", String), expected);
  });

/** A claim of 1Gi of that class, named like it, bound to a volume. */
async function boundClaim(name: string): Promise<KubernetesObject> {
  const spec = {
    accessModes: ["ReadWriteOnce"],
    storageClassName: name,
    volumeName: name,
    resources: { requests: { storage: "1Gi" } },
  };
  const claim = { apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name, namespace }, spec };
  // Made by another than the operator, as by the controller of StatefulSets.
  const made = await api.request("POST", `/api/v1/namespaces/${namespace}/persistentvolumeclaims`, claim);
  assert.equal(made.status, 201, made.body.message);
  const path = `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${name}/status`;
  const status = { phase: "Bound", capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"] };
  const answer = await api.request("PATCH", `${path}?fieldManager=test&force=true`, { ...claim, status });
  assert.equal(answer.status, 200, answer.body.message);
  return answer.body;
}

test("a change of settings is one write, and settles again", async () => {
  const before = anObserved({ cluster: full, others: "new", settled: false });
  const applied = await Promise.all(
    aView({ cluster: full, others: "new", settled: false }).view.desired.nodes.map(({ kmsNode }) =>
      apply(kmsNode as unknown as KubernetesObject),
    ),
  );
  const settled = withApplied(before, applied);
  const changed = structuredClone(full);
  changed.spec.defaults = { ...changed.spec.defaults, logs: { level: "debug" } };
  const observed = { ...settled, cluster: changed };
  const plan = planNext(desiredInTest(observed), observed, () => undefined);
  const nodes = inWords(plan).does.filter((did) => did.includes("KmsNode"));
  assert.deepEqual(nodes, ["apply KmsNode dc1-a", "apply KmsNode dc1-b"]);
});

async function apply(object: KubernetesObject): Promise<KubernetesObject> {
  const path =
    object.kind === "StorageClass"
      ? `/apis/storage.k8s.io/v1/storageclasses/${object.metadata.name}`
      : pathOf(kindOf(object), namespace, object.metadata.name);
  const answer = await api.request("PATCH", `${path}?fieldManager=keyfleet&force=true&fieldValidation=Strict`, object);
  assert.ok(
    answer.status === 200 || answer.status === 201,
    `${object.kind} ${object.metadata.name}: ${answer.body.message}`,
  );
  return answer.body;
}

function withApplied(observed: Observed, applied: readonly KubernetesObject[]): Observed {
  const nodes = applied.filter(({ kind }) => kind === "KmsNode") as unknown as KmsNode[];
  const others = applied.filter(({ kind }) => kind !== "KmsNode");
  const names = new Set(others.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
  const kept = observed.objects.filter(({ kind, metadata }) => !names.has(`${kind}/${metadata.name}`));
  const sites = observed.sites.map((view) => (view.local && nodes.length > 0 ? { ...view, nodes } : view));
  return { ...observed, sites, objects: [...kept, ...others] };
}
