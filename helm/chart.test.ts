import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { helmProgram } from "./helm-program.ts";

const chart = import.meta.dirname;
const read = (...path: string[]) => readFileSync(join(chart, ...path), "utf8");

function render(...flags: string[]): string {
  return execFileSync(helmProgram(), ["template", "keyfleet", chart, "-n", "keyfleet", ...flags], {
    encoding: "utf8",
    stdio: "pipe",
  });
}

function refusal(...flags: string[]): string {
  try {
    render(...flags);
  } catch (error) {
    return String((error as { stderr?: string }).stderr ?? error);
  }
  throw new assert.AssertionError({ message: `helm took ${flags.join(" ")}` });
}

/** By these words neither Helm nor Argo CD takes away what a whole cluster rests on, whether asked to delete or to prune. */
const kept = {
  "helm.sh/resource-policy": "keep",
  "argocd.argoproj.io/sync-options": "Delete=false,Prune=false",
};

test("the example for Argo CD is a release of this chart", () => {
  const text = readFileSync(join(chart, "../docs/argocd/application.yaml"), "utf8");
  const { spec } = parse(text);
  assert.equal(join(chart, "..", spec.source.path), chart);
  const values = JSON.stringify(spec.source.helm.valuesObject);
  const flags = Object.entries(JSON.parse(values)).flatMap(([name, value]) => [
    "--set-json",
    `${name}=${JSON.stringify(value)}`,
  ]);
  assert.match(render(...flags), new RegExp(`KEYFLEET_SITE, value: "${spec.source.helm.valuesObject.site}"`));
});

test("the default render is the golden one", () => {
  const how = "when the change is meant: helm template keyfleet helm -n keyfleet --set site=dc1 > helm/golden/dc1.yaml";
  assert.equal(render("--set", "site=dc1"), read("golden", "dc1.yaml"), how);
});

test("the CRDs are those of the contract, and rendering changes nothing of their spec", () => {
  const contract = join(chart, "..", "crds", "manifests");
  const how = "copy them: cp crds/manifests/*.yaml helm/crd-manifests/";
  assert.deepEqual(readdirSync(join(chart, "crd-manifests")).sort(), readdirSync(contract).sort(), how);
  const rendered = documents(render("--set", "site=dc1")).filter(({ kind }) => kind === "CustomResourceDefinition");
  for (const file of readdirSync(contract)) {
    const text = readFileSync(join(contract, file), "utf8");
    assert.equal(read("crd-manifests", file), text, how);
    const manifest = parse(text);
    const found = rendered.find(({ metadata }) => metadata.name === manifest.metadata.name);
    assert.deepEqual(found?.spec, manifest.spec);
    assert.deepEqual(found?.metadata.annotations, kept);
  }
});

test("CRDs and peer access can be left out", () => {
  const kinds = documents(
    render("--set", "site=dc1", "--set", "crds.enabled=false", "--set", "peers.enabled=false"),
  ).map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  assert.deepEqual(kinds.sort(), [
    "Deployment/keyfleet-operator",
    "PodDisruptionBudget/keyfleet-operator",
    "PriorityClass/keyfleet-node",
    "Role/keyfleet-operator",
    "RoleBinding/keyfleet-operator",
    "ServiceAccount/keyfleet-operator",
  ]);
});

test("the class of the nodes stays after the release, and can be another one or none", () => {
  const classes = (...flags: string[]) =>
    documents(render("--set", "site=dc1", ...flags)).filter(({ kind }) => kind === "PriorityClass");
  const passed = (...flags: string[]) =>
    /KEYFLEET_NODE_PRIORITY_CLASS, value: "(.*)"/.exec(render("--set", "site=dc1", ...flags))?.[1];
  assert.deepEqual(classes()[0]?.metadata.annotations, kept);
  const own = ["--set", "priorityClass.create=false", "--set", "priorityClass.name=mine"];
  assert.deepEqual([classes(...own).length, passed(...own)], [0, "mine"]);
  const none = ["--set", "priorityClass.name="];
  assert.deepEqual([classes(...none).length, passed(...none)], [0, undefined]);
});

test("named fleets narrow the peers to their Leases", () => {
  const role = documents(render("--set", "site=dc1", "--set", "peers.fleets={bank,test}")).find(
    ({ kind, metadata }) => kind === "Role" && metadata.name === "keyfleet-peer",
  );
  assert.deepEqual(role?.rules?.at(-1)?.resourceNames, ["keyfleet-bank", "keyfleet-test"]);
});

test("no right reaches beyond the namespace, deletes or changes a Secret, or uses a wildcard", () => {
  const all = documents(render("--set", "site=dc1"));
  assert.deepEqual(
    all.filter(({ kind }) => /^Cluster(Role|RoleBinding)$/.test(kind)),
    [],
  );
  for (const rule of all.flatMap(({ rules }) => rules ?? [])) {
    assert.ok(![rule.apiGroups, rule.resources, rule.verbs].flat().includes("*"), JSON.stringify(rule));
    if (rule.resources.includes("secrets")) assert.deepEqual(rule.verbs, ["get", "list", "watch", "create"]);
  }
});

test("a single operator has no budget, which would hold up every drain", () => {
  const kinds = documents(render("--set", "site=dc1", "--set", "replicas=1")).map(({ kind }) => kind);
  assert.ok(kinds.includes("Deployment") && !kinds.includes("PodDisruptionBudget"));
});

const refusals: readonly [string, RegExp, readonly string[]][] = [
  ["a missing site", /site is missing: give the name that this site has in KmsCluster spec\.sites/, []],
  ["a site that no document can name", /at '\/site': '1dc' does not match/, ["--set", "site=1dc"]],
  [
    "a digest of a tag that is no version",
    /nodeImage\/digests/,
    ["--set", "site=dc1", "--set", `nodeImage.digests.latest=sha256:${"0a".repeat(32)}`],
  ],
  ["a digest that is none", /at '\/image\/digest'/, ["--set", "site=dc1", "--set", "image.digest=latest"]],
  [
    "a label by which the Deployment finds its pod",
    /podLabels: app\.kubernetes\.io\/name is the chart's own label; take it out/,
    ["--set", "site=dc1", "--set", "podLabels.app\\.kubernetes\\.io/name=mine"],
  ],
  [
    "the Lease of the leading operator for peers",
    /peers\.fleets: no fleet is called operator.*take it out/,
    ["--set", "site=dc1", "--set", "peers.fleets={bank,operator}"],
  ],
  ["an amount that is none", /requests\/memory/, ["--set", "site=dc1", "--set", "resources.requests.memory=1.2.3"]],
  ["an unknown value", /additional properties 'sites' not allowed/, ["--set", "site=dc1", "--set", "sites=dc1"]],
  [
    "an unknown value deeper down",
    /additional properties 'pullpolicy' not allowed/,
    ["--set", "site=dc1", "--set", "image.pullpolicy=Never"],
  ],
  ["no operator at all", /replicas/, ["--set", "site=dc1", "--set", "replicas=0"]],
  ["a tag in the nodes' image", /nodeImage\/repository/, ["--set", "site=dc1", "--set", "nodeImage.repository=a/b:1"]],
  [
    "switching off the read-only root",
    /additional properties 'securityContext'/,
    ["--set", "site=dc1", "--set", "securityContext.readOnlyRootFilesystem=false"],
  ],
];
for (const [what, message, flags] of refusals) {
  test(`${what} is refused with its place`, () => assert.match(refusal(...flags), message));
}

test("each value reaches what it is for", () => {
  const digest = `sha256:${"0a".repeat(32)}`;
  const spec = (...flags: string[]) => {
    const found = documents(render("--set", "site=dc1", ...flags)).find(({ kind }) => kind === "Deployment")?.spec;
    return JSON.stringify(found);
  };
  const usual = spec();
  const cases: readonly (readonly [string, string])[] = [
    ["replicas=3", '"replicas":3'],
    [`image.repository=reg.example:5000/op,image.tag=1.2.3,image.digest=${digest}`, `op:1.2.3@${digest}"`],
    ["image.pullPolicy=Always", '"imagePullPolicy":"Always"'],
    ["nodeImage.repository=reg.example/node", '"KEYFLEET_NODE_IMAGE","value":"reg.example/node"'],
    [
      `nodeImage.digests.0\\.1\\.0=${digest},nodeImage.digests.0\\.2\\.0=${digest}`,
      `"KEYFLEET_NODE_IMAGE_DIGESTS","value":"0.1.0=${digest},0.2.0=${digest}"`,
    ],
    ["nodeImage.pullPolicy=Never", '"KEYFLEET_NODE_IMAGE_PULL_POLICY","value":"Never"'],
    ["imagePullSecrets={a,b.c}", '"imagePullSecrets":[{"name":"a"},{"name":"b.c"}]'],
    ["imagePullSecrets={a,b.c}", '"KEYFLEET_NODE_IMAGE_PULL_SECRETS","value":"a,b.c"'],
    ["logLevel=debug", '"KEYFLEET_LOG_LEVEL","value":"debug"'],
    ["resources.limits.cpu=0.5", '"cpu":"0.5"'],
    ["nodeSelector.disk=fast", '"nodeSelector":{"disk":"fast"}'],
    ["tolerations[0].key=a,tolerations[0].operator=Exists", '{"key":"a","operator":"Exists"}'],
    ["podLabels.team=keys", '"team":"keys"'],
    ["podAnnotations.scrape=yes", '"annotations":{"scrape":"yes"}'],
  ];
  for (const [flag, wanted] of cases) {
    assert.ok(!usual.includes(wanted), `${wanted} is there anyway`);
    assert.ok(spec("--set", flag).includes(wanted), `${flag} → ${wanted}`);
  }
});

test("every object of the schema is closed", () => {
  const open = closedness(JSON.parse(read("values.schema.json")), "values");
  assert.deepEqual(open, []);
});

test("every value has a comment and the file stays short", () => {
  const lines = read("values.yaml").trimEnd().split("\n");
  assert.ok(lines.length <= 150, `${lines.length} lines`);
  const inner = new Set([
    "  requests:",
    "    cpu: 100m",
    "    memory: 160Mi",
    "  limits:",
    "    memory: 384Mi",
    "podAnnotations: {}",
  ]);
  const leaves = lines
    .map((line, at) => ({ line, above: lines[at - 1] ?? "" }))
    .filter(({ line }) => /^\s*\w+: ?\S/.test(line));
  assert.deepEqual(
    leaves.filter(({ line, above }) => !inner.has(line) && !above.trim().startsWith("#")).map(({ line }) => line),
    [],
  );
});

interface Document {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations?: Record<string, string> };
  readonly spec?: unknown;
  readonly rules?: readonly { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] }[];
}

function documents(text: string): Document[] {
  return parseAllDocuments(text).flatMap((document) => {
    const value = document.toJS() as Document | null;
    return value === null ? [] : [value];
  });
}

interface Schema {
  readonly type?: unknown;
  readonly additionalProperties?: unknown;
  readonly [keyword: string]: unknown;
}

function closedness(schema: Schema, path: string): string[] {
  const open =
    schema.type === "object" && (schema.additionalProperties === undefined || schema.additionalProperties === true);
  const inner = Object.entries(schema).flatMap(([name, value]) =>
    typeof value === "object" && value !== null ? closedness(value as Schema, `${path}/${name}`) : [],
  );
  return open ? [path, ...inner] : inner;
}
