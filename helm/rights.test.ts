import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseAllDocuments } from "yaml";
import { type ApiServer, startApiServer } from "../crds/testing/api-server.ts";

const verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"] as const;
/** Resources that nobody of keyfleet has anything to do with. */
const others = ["apps/deployments", "core/nodes", "core/namespaces", "core/pods/exec", "core/pods/log"];
const namespace = "keyfleet";
let api: ApiServer;

before(async () => {
  api = await startApiServer();
  const made = await api.request("POST", "/api/v1/namespaces", {
    ...{ apiVersion: "v1", kind: "Namespace" },
    metadata: { name: namespace },
  });
  assert.equal(made.status, 201, made.body.message);
  for (const { kind, ...rest } of rendered()) {
    const plural = { Role: "roles", RoleBinding: "rolebindings" }[kind];
    if (plural === undefined) continue;
    const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/${plural}`;
    const answer = await api.request("POST", path, { kind, ...rest });
    assert.equal(answer.status, 201, answer.body.message);
  }
});
after(() => api?.stop());

for (const account of ["keyfleet-operator", "keyfleet-peer"]) {
  test(`${account} may do what docs/security.md says, and nothing else`, async () => {
    const rights = rightsOf(account);
    assert.ok(rights.size > 0);
    await seen(account);
    const resources = [...new Set([...rightsOf("keyfleet-operator").keys(), ...rights.keys(), ...others])];
    const wrong: string[] = [];
    for (const resource of resources)
      for (const verb of verbs) {
        const wanted = rights.get(resource)?.includes(verb) ?? false;
        if ((await may(account, { resource, verb, namespace })) !== wanted)
          wrong.push(`${verb} ${resource} is ${wanted ? "refused" : "allowed"}`);
      }
    assert.deepEqual(wrong, []);
  });

  test(`${account} may do nothing in another namespace`, async () => {
    const allowed: string[] = [];
    for (const [resource, granted] of rightsOf(account))
      for (const verb of granted)
        if (await may(account, { resource, verb, namespace: "default" })) allowed.push(`${verb} ${resource}`);
    assert.deepEqual(allowed, []);
  });
}

test("the operator's pod may run where Kubernetes takes only what may do next to nothing", async () => {
  const strict = { "pod-security.kubernetes.io/enforce": "restricted" };
  const made = await api.request("POST", "/api/v1/namespaces", {
    ...{ apiVersion: "v1", kind: "Namespace" },
    metadata: { name: "strict", labels: strict },
  });
  assert.equal(made.status, 201, made.body.message);
  const deployment = rendered().find(({ kind }) => kind === "Deployment") as unknown as Deployment;
  const { spec } = deployment.spec.template;
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "tried" }, spec };
  const path = "/api/v1/namespaces/strict/pods?dryRun=All&fieldValidation=Strict";
  const answer = await api.request("POST", path, pod);
  assert.equal(answer.status, 201, answer.body.message);
  const loose = { ...spec, securityContext: {} };
  assert.match((await api.request("POST", path, { ...pod, spec: loose })).body.message, /violates PodSecurity/);
});

test("the example of policies for the network is taken, and names the ports that pods have", async () => {
  const example = documentsOf("../examples/network-policy.yaml") as unknown as Policy[];
  for (const policy of example) {
    const path = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies?fieldValidation=Strict&dryRun=All`;
    const answer = await api.request("POST", path, policy);
    assert.equal(answer.status, 201, answer.body.message);
  }
  const ports = example.map(({ spec }) => spec.ingress.flatMap((rule) => rule.ports.map(({ port }) => port)));
  assert.deepEqual(ports, [[5696, 8443, 5432, 8080], [8081]]);
});

interface Deployment {
  readonly spec: { readonly template: { readonly spec: object } };
}

interface Policy {
  readonly spec: { readonly ingress: readonly { readonly ports: readonly { readonly port: number }[] }[] };
}

interface Question {
  readonly resource: string;
  readonly verb: string;
  readonly namespace: string;
}

/** Asks the API server itself. */
async function may(account: string, question: Question): Promise<boolean> {
  const [group = "", resource, subresource] = question.resource.split("/");
  const answer = await api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
    ...{ apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview" },
    spec: {
      user: `system:serviceaccount:${namespace}:${account}`,
      resourceAttributes: {
        ...{ group: group === "core" ? "" : group, resource, verb: question.verb, namespace: question.namespace },
        ...(subresource === undefined ? {} : { subresource }),
      },
    },
  });
  assert.equal(answer.status, 201, answer.body.message);
  return answer.body.status.allowed;
}

/** The authorizer follows the Roles with a little delay. */
async function seen(account: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (await may(account, { resource: "keyfleet.io/kmsnodes", verb: "get", namespace })) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${account} has not got its rights`);
}

/** "group/resource" → verbs, out of the table under the account's heading. */
function rightsOf(account: string): Map<string, string[]> {
  const page = readFileSync(join(import.meta.dirname, "../docs/security.md"), "utf8");
  const part = page.split(/^## /m).find((section) => section.startsWith(account)) ?? "";
  const rows = [...part.matchAll(/^\| (\S+) \| (\S+) \| ([a-z, ]+) \|/gm)].filter(
    ([, group]) => !/^(group|---)$/.test(group ?? ""),
  );
  return new Map(rows.map(([, group, resource, granted = ""]) => [`${group}/${resource}`, granted.split(", ")]));
}

interface Rendered {
  readonly kind: string;
  readonly [field: string]: unknown;
}

function rendered(): Rendered[] {
  return documentsOf("golden/dc1.yaml");
}

function documentsOf(path: string): Rendered[] {
  return parseAllDocuments(readFileSync(join(import.meta.dirname, path), "utf8")).flatMap(
    (document) => (document.toJS() as Rendered | null) ?? [],
  );
}
