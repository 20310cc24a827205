import assert from "node:assert/strict";
import { test } from "node:test";
import { eraseAnnotation, erasePod } from "../desired/erasure.ts";
import type { KubernetesObject } from "../ports/types.ts";
import { aCluster, aView, nowMs, type WorldInTest } from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";
import { keptTime, keptUntil } from "./kept-time.ts";

const hsm = {
  ...{ library: "/usr/lib/hsm.so", token: { label: "dc1" }, keyLabel: "bank-dc1-c" },
  pinSecretRef: { name: "dc1-hsm-pin", key: "code" },
};
const over = 60_000;
const kept = (keptMs: number) =>
  JSON.stringify({ retention: "1m", counts: [{ keptMs, boot: "mine", atMs: 3_600_000 }] });
const at = (ms: number) => new Date(nowMs + ms).toISOString();

function aClaim(annotations: Record<string, string> = {}): KubernetesObject {
  return {
    ...{ apiVersion: "v1", kind: "PersistentVolumeClaim" },
    metadata: {
      name: "data-dc1-c-0",
      namespace: "keyfleet",
      labels: { "keyfleet.io/node": "dc1-c", "keyfleet.io/cluster": "bank" },
      annotations: {
        [keptUntil]: at(-1_000),
        [keptTime]: kept(over),
        [eraseAnnotation]: JSON.stringify({ version: "0.1.0", hsm }),
        ...annotations,
      },
    },
  };
}

const image = { repository: "localhost/keyfleet-node", pullPolicy: "Never" } as const;

/** The claim of a removed node, and the pod that destroys its key in this phase for so long. */
function withClaim(
  phase?: string,
  forMs = 5_000,
  annotations: Record<string, string> = {},
): NonNullable<WorldInTest["objects"]> {
  const pod = erasePod(aClaim(), image);
  assert.ok(pod);
  const metadata = { ...pod.metadata, uid: "uid-erase", creationTimestamp: at(-forMs) };
  const found = phase === undefined ? [] : [{ ...pod, metadata, status: { phase } }];
  return (objects) => [...objects, aClaim(annotations), ...found];
}

const back = aCluster((c) => c.spec.sites[0]?.nodes.push({ name: "dc1-c" }));
const cases: readonly Case[] = [
  ["is kept as long as its volume is", { objects: withClaim(undefined, 0, { [keptTime]: kept(over - 1) }) }, []],
  ["is destroyed before its volume is deleted", { objects: withClaim() }, ["apply Pod dc1-c-erase"]],
  ["is being destroyed: the volume stays", { objects: withClaim("Running") }, []],
  [
    "is destroyed: the volume goes",
    { objects: withClaim("Succeeded") },
    ["delete Pod dc1-c-erase", "delete PersistentVolumeClaim data-dc1-c-0"],
  ],
  [
    "that cannot be destroyed is told, and the volume stays",
    { objects: withClaim("Pending", 61_000) },
    [],
    ["keyDestroyed dc1-c"],
  ],
  [
    "that somebody gives up goes with the volume",
    { objects: withClaim(undefined, 0, { [eraseAnnotation]: "" }) },
    ["delete PersistentVolumeClaim data-dc1-c-0"],
  ],
  [
    "is left alone when its node is back",
    { cluster: back, objects: withClaim("Pending"), nodes: { "dc1-c": "member" } },
    ["delete Pod dc1-c-erase", "apply PersistentVolumeClaim data-dc1-c-0"],
  ],
];
checkCases({ "the key of a removed node in its HSM": cases });

// biome-ignore lint/suspicious/noExplicitAny: an object as Kubernetes knows it.
type Pod = any;

test("the pod runs the node's own sidecar with its volume and PIN, without any account, until it has succeeded", () => {
  const pod: Pod = erasePod(aClaim(), { ...image, pullSecrets: ["registry"] });
  assert.deepEqual(pod.spec.imagePullSecrets, [{ name: "registry" }], "its machine may not have the image");
  const [container] = pod.spec.containers;
  assert.equal(container.image, "localhost/keyfleet-node:0.1.0");
  assert.deepEqual(container.command.slice(-1), ["--erase"]);
  assert.ok(container.command.join(" ").includes("--key-label bank-dc1-c"));
  assert.deepEqual(container.env, [{ name: "KEYFLEET_KEY_OWNER", value: "bank/dc1-c" }]);
  assert.equal(container.securityContext.runAsNonRoot, true);
  assert.deepEqual([pod.spec.restartPolicy, pod.spec.automountServiceAccountToken], ["OnFailure", false]);
  const [pin] = pod.spec.volumes.filter((volume: Pod) => volume.name === "pin");
  assert.deepEqual([pin.secret.secretName, pin.secret.items], ["dc1-hsm-pin", [{ key: "code", path: "pin" }]]);
  assert.equal(pod.metadata.labels["keyfleet.io/node"], undefined, "no Service finds it");
});

for (const text of ["", "{", "[]", "null", '{"version":1}'])
  test(`a mark that says ${text || "nothing"} is none`, () =>
    assert.equal(erasePod(aClaim({ [eraseAnnotation]: text }), image), undefined));

test("a volume is marked with all that is needed when its node goes, and with no secret", () => {
  const cluster = aCluster((c) => void c.spec.sites[0]?.nodes.pop());
  const listed = { "dc1-b": { standing: "Departed", incarnation: "log-of-dc1-b" } } as const;
  const leave = { membership: { action: "Leave" as const }, settings: { hsm } };
  const { plan } = aView({ cluster, listed, nodes: { "dc1-b": { stage: "member", serving: false, spec: leave } } });
  assert.ok(plan.kind === "act");
  const claim = plan.actions.find((action) => action.kind === "apply" && action.object.kind.endsWith("Claim"));
  assert.ok(claim?.kind === "apply");
  const mark = JSON.parse(claim.object.metadata.annotations?.[eraseAnnotation] ?? "null");
  assert.deepEqual(mark, { version: "0.1.0", hsm });
});
