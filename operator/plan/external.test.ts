import assert from "node:assert/strict";
import { test } from "node:test";
import type { KmsNode } from "@keyfleet/crds/kms-node.ts";
import {
  aCluster,
  anObserved,
  aPod,
  aView,
  desiredInTest,
  inWords,
  type NodeInTest,
  replaced,
  type WorldInTest,
} from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";

/** A fleet with an External node in dc1, at the end of the site. */
const mixed = (change: Parameters<typeof aCluster>[0] = () => {}) =>
  aCluster((cluster) => {
    const entry = { name: "dc1-x", management: "External" as const, address: "k470.bank.example", statusPort: 9444 };
    cluster.spec.sites[0]?.nodes.push(entry);
    change(cluster);
  });

const told = { observedGeneration: 1 } as const;
const waits: NodeInTest = { stage: "waiting", status: told };
const member: NodeInTest = { stage: "member", status: told };
const world = (node: NodeInTest | "absent", more: WorldInTest = {}): WorldInTest => ({
  cluster: mixed(),
  ...more,
  nodes: { "dc1-x": node, ...more.nodes },
});
const held = (operation: string, node: string) => ({ heldByMe: true, holder: "dc1", operation, node });

const cases: readonly Case[] = [
  ["is made as a document only", world("absent"), ["apply KmsNode dc1-x"]],
  ["waits until somebody brings its request", world({ stage: "new" }), [], ["nodeStarted dc1-x"]],
  [
    "waits until its machine has the newest document",
    world({ ...waits, status: { observedGeneration: 0 } }),
    [],
    ["nodeStarted dc1-x"],
  ],
  [
    "holds up nobody who comes after it meanwhile",
    world({ stage: "new" }, { nodes: { "dc2-a": "waiting" }, site: "dc2" }),
    ["lock for join of dc2-a"],
  ],
  ["joins in its turn, without a pod", world(waits), ["lock for join of dc1-x"]],
  ["is told to join under the lock", world(waits, { lock: held("join", "dc1-x") }), ["dc1-x: Join via dc1-a"]],
  [
    "that has not been given the document by which it joins is told",
    world(
      { stage: "joining", status: { observedGeneration: 0 } },
      { lock: held("join", "dc1-x"), listed: { "dc1-x": { standing: "Joining" } } },
    ),
    [],
    ["lastTouchedRecovered dc1-x"],
  ],
  ["that does not serve holds up what would take down another", downWithRestart(), [], ["fleetKeepsServing dc1-a"]],
  [
    "that the specification drops is told to leave",
    { ...world(member), cluster: aCluster(), lock: held("remove", "dc1-x") },
    ["dc1-x: Leave"],
  ],
];
checkCases({ "an External node": cases });

function downWithRestart(): WorldInTest {
  const objects = replaced("Pod", "dc1-a-0", ({ status }) =>
    aPod("dc1-a", status as object as Record<string, unknown>, "old"),
  );
  return { ...world({ ...member, serving: false }), objects };
}

function externalNode(given: WorldInTest): KmsNode {
  const found = desiredInTest(anObserved(given)).nodes.find(({ facts }) => facts.name === "dc1-x");
  assert.ok(found);
  assert.deepEqual(found.objects, [], "nothing runs in Kubernetes for it");
  return found.kmsNode;
}

test("its document says where it is reached, and nothing of Kubernetes or of the PIN", () => {
  const { spec } = externalNode({
    ...world(member),
    cluster: mixed(({ spec }) => {
      spec.defaults = { ...spec.defaults, storage: { size: "5Gi" }, interfaces: { kmip: { port: 5697 } } };
    }),
  });
  const { address, clientAddress, clientPort, meshPort, management, statusPort } = spec;
  assert.deepEqual(
    { address, clientAddress, clientPort, meshPort, management, statusPort },
    {
      ...{ address: "k470.bank.example", clientAddress: "k470.bank.example", clientPort: 5697, meshPort: undefined },
      ...{ management: "External", statusPort: 9444 },
    },
  );
  assert.equal(spec.settings.storage, undefined);
  assert.equal(spec.settings.hsm?.pinSecretRef, undefined);
  assert.equal(spec.settings.hsm?.library, "/usr/lib/softhsm/libsofthsm2.so");
});

test("one that does not serve is given other settings at once: nobody sees whether it is only coming up", () => {
  const cluster = mixed(({ spec }) => {
    spec.defaults = { ...spec.defaults, hsm: { ...spec.defaults?.hsm, library: "/new.so" } };
  });
  const library = (serving: boolean) => {
    const observed = { ...anObserved(world({ ...member, serving })), cluster };
    const found = desiredInTest(observed).nodes.find(({ facts }) => facts.name === "dc1-x");
    return found?.kmsNode.spec.settings.hsm?.library;
  };
  assert.deepEqual([library(false), library(true)], ["/new.so", "/usr/lib/softhsm/libsofthsm2.so"]);
});

const upgrading = (others: string): WorldInTest => {
  const at = (version: string): NodeInTest => ({
    stage: "member",
    spec: { version },
    status: { ...told, version },
  });
  const names = ["dc1-a", "dc1-b", "dc2-a", "dc2-b", "dc3-a", "dc3-b"];
  const nodes = Object.fromEntries(names.map((name, index) => [name, at(index === 5 ? others : "0.2.0")]));
  return {
    cluster: mixed(({ spec }) => (spec.version = "0.2.0")),
    nodes: { ...nodes, "dc1-x": at("0.1.0") },
  };
};

test("it is asked to run a new version after all that the operator brings there itself", () => {
  assert.equal(externalNode(upgrading("0.1.0")).spec.version, "0.1.0");
  assert.equal(externalNode(upgrading("0.2.0")).spec.version, "0.2.0");
});

test("it is never restarted: the feature level waits for its administrator, and says what to do", () => {
  const given = upgrading("0.2.0");
  const asked: NodeInTest = { ...member, spec: { version: "0.2.0" } };
  const { plan } = aView({ ...given, nodes: { ...given.nodes, "dc1-x": asked } });
  const { does } = inWords(plan);
  assert.ok(!does.some((one) => one.startsWith("delete") || one.includes("upgrade")), does.join(", "));
  const soaked = plan.blocked.find(({ gate }) => gate === "soaked");
  assert.match(soaked?.remedy ?? "", /install version 0\.2\.0 on its machine.*kubectl get kmsnode dc1-x/);
});

const library = "/new.so";
const waitsForStart = { SettingsApplied: ["RestartNeeded", "hsm: in force after a restart"] } as const;
// A case is a sentence, what the External node before it is like, and the library that the second one is given.
const turns: readonly (readonly [string, Partial<NodeInTest>, string])[] = [
  ["runs with them", {}, library],
  ["waits for its administrator to start it with them", { bad: waitsForStart }, "/usr/lib/softhsm/libsofthsm2.so"],
  ["has not heard of them", { status: { observedGeneration: 0 } }, "/usr/lib/softhsm/libsofthsm2.so"],
];
for (const [sentence, change, given] of turns)
  test(`settings that need a start come to a second External node as the first ${sentence}: ${given}`, () => {
    const entry = { name: "dc1-y", management: "External" as const, address: "k471.bank.example" };
    const before = mixed(({ spec }) => void spec.sites[0]?.nodes.push(entry));
    const after = structuredClone(before);
    after.spec.defaults = { ...after.spec.defaults, hsm: { ...after.spec.defaults?.hsm, library } };
    const observed = anObserved({ cluster: before, nodes: { "dc1-x": { ...member, ...change }, "dc1-y": member } });
    const { pinSecretRef, ...ofMachine } = after.spec.defaults.hsm ?? {};
    const sites = observed.sites.map((view) => ({
      ...view,
      nodes: view.nodes.map((node) => {
        const { name } = node.metadata;
        const pin = name === "dc1-x" || pinSecretRef === undefined ? {} : { pinSecretRef };
        const hsm = { ...ofMachine, ...pin, keyLabel: `bank-${name}` };
        return name === "dc1-y" ? node : { ...node, spec: { ...node.spec, settings: { ...node.spec.settings, hsm } } };
      }),
    }));
    const found = desiredInTest({ ...observed, sites, cluster: after }).nodes.find(
      ({ facts }) => facts.name === "dc1-y",
    );
    assert.equal(found?.kmsNode.spec.settings.hsm?.library, given);
  });
