import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parse, parseAllDocuments } from "yaml";

const chart = import.meta.dirname;
const read = (...path: string[]) => readFileSync(join(chart, ...path), "utf8");

/** Path of helm in the cache of tools; fails with what to do when it is missing. */
function helm(): string {
  const base = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const tools = join(process.env.KEYFLEET_CACHE ?? join(base, "keyfleet"), "tools");
  const folders = existsSync(tools) ? readdirSync(tools).filter((name) => name.startsWith("helm-")) : [];
  const found = folders.map((name) => join(tools, name, "helm")).find((path) => existsSync(path));
  assert.ok(found, `helm is not in ${tools}; run test-e2e/sites/build-tools.sh helm`);
  return found;
}

function render(...flags: string[]): string {
  return execFileSync(helm(), ["template", "keyfleet", chart, "-n", "keyfleet", ...flags], {
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
    assert.equal(found?.metadata.annotations?.["helm.sh/resource-policy"], "keep");
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
  assert.equal(classes()[0]?.metadata.annotations?.["helm.sh/resource-policy"], "keep");
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
  ["a missing site", /at '\/site'/, []],
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
