import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type ApiServer, startApiServer } from "../../crds/testing/api-server.ts";
import { kindOf, kinds, pathOf } from "../ports/kinds.ts";
import { anObserved, desiredInTest } from "../testing/builders.ts";

const verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"] as const;
const namespace = "keyfleet";
const account = "dc1-a";
let api: ApiServer;

before(async () => {
  api = await startApiServer();
  await api.installCrds();
  await make("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const [node] = desiredInTest(anObserved({ others: "new", settled: false })).nodes;
  assert.equal(node?.facts.name, account);
  const wanted = node.objects.filter(({ kind }) => /^(ServiceAccount|Role|RoleBinding)$/.test(kind));
  assert.equal(wanted.length, 3);
  for (const { metadata, ...object } of wanted) {
    const { ownerReferences: _owner, ...own } = metadata;
    await make(pathOf(kindOf(object), namespace), { ...object, metadata: own });
  }
});
after(() => api?.stop());

test("a node may do with its own KmsNode what docs/security.md says, and nothing else with anything", async () => {
  const rights = rightsInTable();
  assert.deepEqual([...rights.keys()], ["keyfleet.io/kmsnodes", "keyfleet.io/kmsnodes/status"]);
  for (let tries = 0; !(await may({ resource: "keyfleet.io/kmsnodes", verb: "get", name: account })); tries++) {
    assert.ok(tries < 100, "it has not got its rights");
    await new Promise((resolve) => setTimeout(resolve, 50)); // the authorizer follows the Roles with a little delay
  }
  const wrong: string[] = [];
  for (const resource of resources())
    for (const verb of verbs)
      for (const name of [account, "dc1-b", undefined]) {
        const wanted = name === account && (rights.get(resource)?.includes(verb) ?? false);
        if ((await may({ resource, verb, name })) !== wanted)
          wrong.push(`${verb} ${resource} ${name ?? "(all)"} is ${wanted ? "refused" : "allowed"}`);
      }
  assert.deepEqual(wrong, []);
});

/** All that the operator touches, and what nobody of keyfleet does. */
function resources(): string[] {
  const own = Object.values(kinds).map(({ apiVersion, plural }) => `${groupOf(apiVersion)}/${plural}`);
  return [...own, "keyfleet.io/kmsnodes/status", "keyfleet.io/kmsclusters/status", "core/nodes", "core/pods/exec"];
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : "core";
}

/** "group/resource" → verbs. */
function rightsInTable(): Map<string, string[]> {
  const page = readFileSync(join(import.meta.dirname, "../../docs/security.md"), "utf8");
  const part = page.split(/^## /m).find((section) => section.startsWith("The account of a node")) ?? "";
  const rows = [...part.matchAll(/^\| (keyfleet\.io) \| (\S+) \| ([a-z, ]+) \|/gm)];
  return new Map(rows.map(([, group, resource, granted = ""]) => [`${group}/${resource}`, granted.split(", ")]));
}

interface Question {
  readonly resource: string;
  readonly verb: string;
  readonly name: string | undefined;
}

async function may({ resource: what, verb, name }: Question): Promise<boolean> {
  const [group = "", resource, subresource] = what.split("/");
  const resourceAttributes = {
    ...{ group: group === "core" ? "" : group, resource, verb, namespace },
    ...(subresource === undefined ? {} : { subresource }),
    ...(name === undefined ? {} : { name }),
  };
  const user = `system:serviceaccount:${namespace}:${account}`;
  const review = { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview" };
  const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
  const answer = await api.request("POST", path, { ...review, spec: { user, resourceAttributes } });
  assert.equal(answer.status, 201, answer.body.message);
  return answer.body.status.allowed;
}

async function make(path: string, object: object): Promise<void> {
  const answer = await api.request("POST", path, object);
  assert.equal(answer.status, 201, answer.body.message);
}
