import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeSettings } from "@keyfleet/crds/kms-node.ts";
import type { KmsNode, KubernetesObject, Observed } from "../ports/types.ts";
import { aCluster, anObserved, desiredInTest, fleetId, replaced, type WorldInTest } from "../testing/builders.ts";
import { desiredObjects } from "./desired.ts";
import { missingSettings } from "./settings.ts";

function budgetOf(world: WorldInTest): Pod {
  return desiredInTest(anObserved(world)).site.find(({ kind }) => kind === "PodDisruptionBudget");
}

function down() {
  return { stage: "member", serving: false } as const;
}

function withLost(site: string) {
  return aCluster(({ spec }) => (spec.recovery = { lostSites: [site] }));
}

function kmsNode(name: string, world: WorldInTest = {}): KmsNode {
  return kmsNodeOf(name, anObserved(world));
}

function kmsNodeOf(name: string, observed: Observed): KmsNode {
  const found = desiredInTest(observed).nodes.find(({ facts }) => facts.name === name);
  assert.ok(found, `${name} is not desired`);
  return found.kmsNode;
}

function members(world: WorldInTest, observed = anObserved(world)): string[] {
  const list = kmsNodeOf("dc1-a", observed).spec.members;
  return list.map(({ name, standing, address }) => `${name} ${standing} ${address ?? "-"}`);
}

// biome-ignore lint/suspicious/noExplicitAny: an object as Kubernetes knows it.
type Pod = any;

function podSpec(world: WorldInTest = {}): Pod {
  const set = objects(world).find(({ kind }) => kind === "StatefulSet");
  assert.ok(set);
  return (set.spec as Pod).template.spec;
}

function containersOf(pod: Pod): Pod[] {
  return [...pod.initContainers, ...pod.containers];
}

function objects(world: WorldInTest = {}): readonly KubernetesObject[] {
  return desiredInTest(anObserved(world)).nodes[0]?.objects ?? [];
}

test("a node's own settings win over its site's, those over the fleet's, field by field", () => {
  const cluster = aCluster(({ spec }) => {
    spec.defaults = {
      ntp: { servers: ["a"], maxOffsetMs: 100 },
      hsm: { library: "/fleet", token: { label: "fleet" } },
    };
    const [site] = spec.sites;
    if (site) site.defaults = { hsm: { token: { label: "site", serial: "1" } }, logs: { level: "warn" } };
    if (site?.nodes[0]) site.nodes[0].settings = { ntp: { servers: ["b", "c"] }, hsm: { token: { label: "node" } } };
  });
  const { settings } = kmsNode("dc1-a", { cluster }).spec;
  assert.deepEqual(settings.ntp, { servers: ["b", "c"], maxOffsetMs: 100 });
  assert.deepEqual(settings.hsm, { keyLabel: "bank-dc1-a", library: "/fleet", token: { label: "node", serial: "1" } });
  assert.deepEqual(settings.logs, { level: "warn", kmipActivity: false });
  assert.equal(settings.storage?.size, "10Gi");
  assert.deepEqual(missingSettings(settings), ["hsm.pinSecretRef"]);
});

test("the identity of a member is its site's and cannot be taken by another site's node of the same name", () => {
  const [first] = kmsNode("dc1-a").spec.members;
  assert.equal(first?.identity, "CN=dc1-a,OU=dc1,O=bank");
});

test("members are those that belong or are coming; one that waits is not listed", () => {
  assert.deepEqual(members({ others: "waiting", nodes: { "dc1-a": "member", "dc2-a": "joining" } }), [
    "dc1-a Member dc1-a.mesh",
    "dc2-a Joining dc2-a.mesh",
  ]);
});

test("a site that cannot be seen keeps its members and their last address", () => {
  assert.deepEqual(members({ unreachable: ["dc2", "dc3"] }), members({}));
});

test("after a restart of the operator nothing is forgotten of a site that it never saw", () => {
  const before = anObserved({});
  const sites = before.sites.map((view) =>
    view.local ? view : { ...view, reachable: false, ageMs: undefined, cluster: undefined, nodes: [] },
  );
  assert.deepEqual(members({}, { ...before, sites }), members({}, before));
});

test("a joiner that cannot be seen any more stays a joiner with its key", () => {
  const before = anObserved({ others: "waiting", nodes: { "dc1-a": "member", "dc2-a": "joining" } });
  const sites = before.sites.map((view) => (view.name === "dc2" ? { ...view, reachable: false, nodes: [] } : view));
  const joiner = kmsNodeOf("dc1-a", { ...before, sites }).spec.members.find(({ name }) => name === "dc2-a");
  assert.deepEqual(
    [joiner?.standing, joiner?.joinPublicKey, joiner?.address],
    ["Joining", "join key of dc2-a", "dc2-a.mesh"],
  );
});

test("a member whose KmsNode was deleted gets it back as a member of the same fleet", () => {
  const before = anObserved({});
  const sites = before.sites.map((view) => ({
    ...view,
    nodes: view.nodes.filter((node) => node.metadata.name !== "dc1-b"),
  }));
  const { spec, metadata } = kmsNodeOf("dc1-b", { ...before, sites });
  assert.deepEqual(spec.membership, { action: "Member" });
  assert.equal(spec.clusterId, fleetId);
  assert.equal(metadata.ownerReferences, undefined, "deleting the KmsCluster must not take keys along");
});

test("a node whose volume remembers the fleet is its member, one that remembers another is not", () => {
  const returned = (clusterId: string) =>
    kmsNode("dc1-b", { nodes: { "dc1-b": { stage: "waiting", status: { clusterId } } } }).spec.membership.action;
  assert.equal(returned(fleetId), "Member");
  assert.equal(returned("another"), "None");
});

for (const [when, incarnation] of [
  ["its new log has no name yet", undefined],
  ["its new log has a name", "log-2"],
] as const)
  test(`a departed node that is being wiped is no member by what its volume still remembers of the fleet: ${when}`, () => {
    const { spec } = kmsNode("dc1-b", {
      listed: { "dc1-b": { standing: "Departed", incarnation: "log-1", lastSequence: 7 } },
      nodes: {
        "dc1-b": {
          stage: "waiting",
          spec: { membership: { action: "None", rejoin: "log-1" } },
          status: { clusterId: fleetId, ...(incarnation === undefined ? {} : { incarnation }) },
        },
      },
    });
    assert.equal(spec.membership.action, "None");
    assert.equal(spec.members.find(({ name }) => name === "dc1-b")?.standing, "Departed");
  });

test("a waiting node takes the newest version, a member keeps its own", () => {
  const cluster = aCluster(({ spec }) => (spec.version = "0.2.0"));
  assert.equal(kmsNode("dc1-b", { cluster, nodes: { "dc1-b": "waiting" } }).spec.version, "0.2.0");
  assert.equal(kmsNode("dc1-a", { cluster }).spec.version, "0.1.0");
});

test("the last address stays while a Service has none", () => {
  assert.equal(kmsNode("dc1-a", { objects: replaced("Service", "dc1-a-mesh") }).spec.address, "dc1-a.mesh");
});

test("only certificates leave a ConfigMap of clients' CAs, never a key that somebody put there", () => {
  const pem = (kind: string) => `-----BEGIN ${kind}-----\nQUJD\n-----END ${kind}-----\n`;
  const data = { "ca.crt": `# our CA\n${pem("PRIVATE KEY")}${pem("CERTIFICATE")}` };
  const references = { "ConfigMap/bank-clients": { present: true, keys: ["ca.crt"], data } };
  assert.equal(kmsNode("dc1-a", { references }).spec.clients.caBundle, pem("CERTIFICATE"));
});

test("while a ConfigMap of clients' CAs is missing, the clients trusted before stay", () => {
  const before = anObserved({});
  const after = { ...before, references: new Map([["ConfigMap/bank-clients", { present: false, keys: [] }]]) };
  assert.match(kmsNodeOf("dc1-a", before).spec.clients.caBundle, /BEGIN CERTIFICATE/);
  assert.equal(kmsNodeOf("dc1-a", after).spec.clients.caBundle, kmsNodeOf("dc1-a", before).spec.clients.caBundle);
});

test("a ConfigMap with more CA certificates than a node takes changes nothing: what follows has to reach the nodes", () => {
  const before = anObserved({});
  const many = Array.from(
    { length: 5_000 },
    (_, at) => `-----BEGIN CERTIFICATE-----\nQ${at}=\n-----END CERTIFICATE-----\n`,
  );
  const data = { "ca.crt": many.join("") };
  const after = {
    ...before,
    references: new Map([["ConfigMap/bank-clients", { present: true, keys: ["ca.crt"], data }]]),
  };
  assert.equal(kmsNodeOf("dc1-a", after).spec.clients.caBundle, kmsNodeOf("dc1-a", before).spec.clients.caBundle);
});

test("a CA that could speak for another site is not trusted, even if its site publishes it", () => {
  const image = { repository: "r", pullPolicy: "Never" } as const;
  const isCaOfSite = (pem: string, { site }: { site: string }) => site !== "dc2" && pem !== "";
  const { nodes, cas } = desiredObjects(anObserved({}), { image, isCaOfSite });
  assert.deepEqual([...cas.keys()], ["dc1", "dc3"]);
  assert.equal(nodes[0]?.kmsNode.spec.trustBundle, "CA of this site\nCA of dc3\n");
});

test("a site that is away stays trusted although this site's copy of the document is a new one that has seen nothing", () => {
  const ca = (site: string) =>
    `-----BEGIN CERTIFICATE-----\n${Buffer.from(site).toString("base64")}\n-----END CERTIFICATE-----`;
  const seen = anObserved({ unreachable: ["dc3"] });
  const sites = seen.sites.map((view) => ({
    ...view,
    cluster: view.local ? view.cluster : undefined,
    nodes: view.nodes.map((node) => ({ ...node, spec: { ...node.spec, trustBundle: `${ca("dc2")}\n${ca("dc3")}\n` } })),
  }));
  const isCaOfSite = (pem: string, { site }: { site: string }) => pem === "CA of this site" || pem === ca(site);
  const image = { repository: "r", pullPolicy: "Never" } as const;
  const { nodes } = desiredObjects({ ...seen, sites }, { image, isCaOfSite });
  assert.equal(nodes[0]?.kmsNode.spec.trustBundle, `CA of this site\n${ca("dc2")}\n${ca("dc3")}\n`);
});

test("only the hsm container has the PIN, only the key server a token of the API", () => {
  const pod = podSpec();
  const mounts = (volume: string) =>
    containersOf(pod)
      .filter((c: Pod) => c.volumeMounts.some((m: Pod) => m.name === volume))
      .map((c: Pod) => c.name);
  assert.deepEqual(mounts("pin"), ["hsm"]);
  assert.deepEqual(mounts("api"), ["keyserver"]);
  assert.deepEqual(mounts("run"), ["chrony", "postgres", "hsm", "keyserver"]);
  assert.equal(pod.automountServiceAccountToken, false);
});

test("the sidecars start before the key server and end after it, the database after the HSM", () => {
  const pod = podSpec();
  const inits = pod.initContainers.map(({ name, restartPolicy }: Pod) => `${name} ${restartPolicy}`);
  assert.deepEqual(inits, ["chrony Always", "postgres Always", "hsm Always"]);
  assert.deepEqual(
    pod.containers.map(({ name }: Pod) => name),
    ["keyserver"],
  );
});

const budgets: readonly (readonly [string, WorldInTest, number])[] = [
  ["one while all nodes of the fleet serve", {}, 1],
  ["one while a node of this site is down: Kubernetes counts its own pods", { nodes: { "dc1-b": down() } }, 1],
  ["none while a node of another site does not serve", { nodes: { "dc2-a": down() } }, 0],
  ["none while another site cannot be seen", { unreachable: ["dc3"] }, 0],
  [
    "none while a node of another site is worked on",
    { lock: { holder: "dc2", operation: "restart", node: "dc2-a" } },
    0,
  ],
  ["one while a node of another site only waits to join", { nodes: { "dc3-b": "waiting" } }, 1],
  ["one when the site that cannot be seen is named lost", { unreachable: ["dc3"], cluster: withLost("dc3") }, 1],
];
for (const [what, world, most] of budgets) {
  test(`the number of nodes that Kubernetes may evict in a site is ${what}`, () => {
    assert.equal(budgetOf(world).spec.maxUnavailable, most);
  });
}

test("the budget covers the pods of this fleet's nodes, and nothing owns it", () => {
  const budget = budgetOf({});
  const set = objects().find(({ kind }) => kind === "StatefulSet")?.spec as Pod;
  const { matchLabels } = budget.spec.selector;
  for (const [label, value] of Object.entries(matchLabels)) assert.equal(set.template.metadata.labels[label], value);
  assert.equal(budget.metadata.ownerReferences, undefined);
});

test("a class of priority is set when the operator was given one", () => {
  const isCaOfSite = () => true;
  const image = { repository: "r", pullPolicy: "Never", priorityClassName: "keyfleet-node" } as const;
  const { nodes } = desiredObjects(anObserved({}), { image, isCaOfSite });
  const set = nodes[0]?.objects.find(({ kind }) => kind === "StatefulSet")?.spec as Pod;
  assert.equal(set.template.spec.priorityClassName, "keyfleet-node");
  assert.equal(podSpec().priorityClassName, undefined);
});

test("the machine shows the registry the Secrets that the operator was given", () => {
  const image = { repository: "r", pullPolicy: "Always", pullSecrets: ["one", "two"] } as const;
  const { nodes } = desiredObjects(anObserved({}), { image, isCaOfSite: () => true });
  const set = nodes[0]?.objects.find(({ kind }) => kind === "StatefulSet")?.spec as Pod;
  assert.deepEqual(set.template.spec.imagePullSecrets, [{ name: "one" }, { name: "two" }]);
  assert.equal("imagePullSecrets" in podSpec(), false);
});

test("a version whose digest is known is that very image", () => {
  const image = (digests: Record<string, string>) => {
    const options = { image: { repository: "r", pullPolicy: "Always", digests } as const, isCaOfSite: () => true };
    const { nodes } = desiredObjects(anObserved({}), options);
    const set = nodes[0]?.objects.find(({ kind }) => kind === "StatefulSet")?.spec as Pod;
    const { containers, initContainers } = set.template.spec;
    return [...new Set([...containers, ...initContainers].map((container) => container.image))];
  };
  assert.deepEqual(image({ "0.1.0": "sha256:0a", "0.2.0": "sha256:0b" }), ["r:0.1.0@sha256:0a"]);
  assert.deepEqual(image({ "0.2.0": "sha256:0b" }), ["r:0.1.0"]);
});

test("every container is locked down", () => {
  const pod = podSpec();
  for (const { name, securityContext, image } of containersOf(pod)) {
    assert.equal(image, "localhost/keyfleet-node:0.1.0");
    assert.deepEqual(
      securityContext,
      {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ["ALL"] },
      },
      name,
    );
  }
  assert.deepEqual(pod.securityContext.seccompProfile, { type: "RuntimeDefault" });
  assert.equal(pod.securityContext.runAsUser, 10001);
});

test("Kubernetes never replaces a pod or deletes a volume by itself", () => {
  const set = objects().find(({ kind }) => kind === "StatefulSet")?.spec as Pod;
  assert.deepEqual(set.updateStrategy, { type: "OnDelete" });
  assert.deepEqual(set.persistentVolumeClaimRetentionPolicy, { whenDeleted: "Retain", whenScaled: "Retain" });
});

test("a node's account may read its own KmsNode and write its status, nothing else", () => {
  const role = objects().find(({ kind }) => kind === "Role") as Pod;
  assert.deepEqual(role.rules, [
    { apiGroups: ["keyfleet.io"], resourceNames: ["dc1-a"], resources: ["kmsnodes"], verbs: ["get", "list", "watch"] },
    {
      apiGroups: ["keyfleet.io"],
      resourceNames: ["dc1-a"],
      resources: ["kmsnodes/status"],
      verbs: ["patch"],
    },
  ]);
});

interface Way {
  readonly exposure?: NonNullable<NodeSettings["exposure"]>;
  readonly interfaces?: NonNullable<NodeSettings["interfaces"]>;
}
const onMachine = replaced("Pod", "dc1-a-0", (pod) => ({
  ...pod,
  status: { ...(pod.status as object), hostIP: "192.0.2.7" },
}));
const given = replaced("Service", "dc1-a-kmip", (service) => ({ ...service, spec: { ports: [{ nodePort: 31234 }] } }));
/** What a node's settings say of being reached → its KMIP Service, where clients are told to go, and where the pod listens. */
const ways: readonly (readonly [string, Way, Pod])[] = [
  ["by a load balancer", {}, { type: "LoadBalancer", port: 5696, at: "dc1-a.kmip", inside: 5696 }],
  [
    "by a load balancer at a port of its own, without a restart of the pod",
    { interfaces: { kmip: { port: 7777 } } },
    { type: "LoadBalancer", port: 7777, at: "dc1-a.kmip:7777", inside: 5696 },
  ],
  [
    "by a port of every machine, at the one that runs it",
    { exposure: { type: "NodePort" } },
    { type: "NodePort", port: 5696, at: "192.0.2.7:31234", inside: 5696 },
  ],
  [
    "by a port of every machine that the administrator chose",
    { exposure: { type: "NodePort" }, interfaces: { kmip: { port: 30_001 } } },
    { type: "NodePort", port: 5696, nodePort: 30_001, at: "192.0.2.7:31234", inside: 5696 },
  ],
  [
    "on the network of its machine",
    { exposure: { type: "HostNetwork" }, interfaces: { kmip: { port: 7777 } } },
    { type: "ClusterIP", port: 7777, at: "192.0.2.7:7777", inside: 7777, hostNetwork: true },
  ],
];
for (const [what, settings, expected] of ways) {
  test(`a node is reached ${what}`, () => {
    const cluster = aCluster(({ spec }) => (spec.defaults = { ...spec.defaults, ...settings }));
    const world: WorldInTest = { cluster, nodes: { "dc1-a": "waiting" }, objects: (all) => given(onMachine(all)) };
    const service: Pod = objects(world).find(({ metadata }) => metadata.name === "dc1-a-kmip");
    const { type, ports } = service.spec;
    const { clientAddress, clientPort } = kmsNode("dc1-a", world).spec;
    const { hostNetwork, containers } = podSpec(world);
    const [{ port, nodePort }] = ports;
    const [inside] = containers[0].ports;
    const at = clientPort === undefined ? clientAddress : `${clientAddress}:${clientPort}`;
    const found = { type, port, nodePort, at, inside: inside.containerPort, hostNetwork };
    assert.deepEqual(JSON.parse(JSON.stringify(found)), expected);
    assert.ok(containers[0].command.join(" ").includes(`--kmip-port ${expected.inside}`));
  });
}

test("peers are told the port of a mesh that is not at the standard one", () => {
  const cluster = aCluster(({ spec }) => {
    spec.defaults = { ...spec.defaults, interfaces: { mesh: { port: 6543 } } };
  });
  const nodes = { "dc1-b": { stage: "member", spec: { meshPort: 6543 } } } as const;
  const member = kmsNode("dc1-a", { cluster, nodes }).spec.members.find(({ name }) => name === "dc1-b");
  assert.equal(member?.meshPort, 6543);
  assert.equal(kmsNode("dc1-a", { cluster, nodes: { "dc1-a": "waiting" } }).spec.meshPort, 6543);
});

test("a certificate of its own comes into the key server's container only, and its absence does not keep the pod back", () => {
  const cluster = aCluster(({ spec }) => {
    spec.defaults = {
      ...spec.defaults,
      interfaces: {
        kmip: { certificateSecretRef: { name: "kms-tls" } },
        rest: { certificateSecretRef: { name: "web" } },
      },
    };
  });
  const pod = podSpec({ cluster, nodes: { "dc1-a": "waiting" } });
  const { secret } = pod.volumes.find((volume: Pod) => volume.name === "kmip-certificate");
  assert.deepEqual([secret.secretName, secret.optional], ["kms-tls", true]);
  const [keyServer] = pod.containers;
  const flags = keyServer.command.slice(keyServer.command.indexOf("--kmip-certificate"));
  assert.deepEqual(flags, [
    ...["--kmip-certificate", "/run/secrets/keyfleet/kmip"],
    ...["--rest-certificate", "/run/secrets/keyfleet/rest"],
  ]);
  const mounted = containersOf(pod).filter((each) =>
    each.volumeMounts.some((one: Pod) => one.name === "kmip-certificate"),
  );
  assert.deepEqual(
    mounted.map(({ name }) => name),
    ["keyserver"],
  );
});

test("clients reach a node only when it is ready, peers always", () => {
  const services = objects().filter(({ kind }) => kind === "Service") as Pod[];
  const shown = services.map(({ metadata, spec }) => [
    metadata.name,
    spec.ports[0].port,
    spec.publishNotReadyAddresses,
  ]);
  assert.deepEqual(shown, [
    ["dc1-a-mesh", 5432, true],
    ["dc1-a-kmip", 5696, false],
  ]);
});

test("the HSM sidecar gets its token, key and options by flags, never the PIN", () => {
  const hsm = { token: { serial: "42" }, softToken: { initialise: true }, environment: [{ name: "A", value: "b" }] };
  const cluster = aCluster(({ spec }) => {
    spec.defaults = { hsm: { ...hsm, library: "/lib/p.so", pinSecretRef: { name: "s", key: "k" } } };
  });
  const pod = podSpec({ cluster });
  const container = containersOf(pod).find((c: Pod) => c.name === "hsm");
  const command = container.command.join(" ");
  assert.match(command, /--library \/lib\/p\.so --token-serial 42 --key-label bank-dc1-a --pin-file/);
  assert.match(
    command,
    /--state \/var\/lib\/keyfleet\/hsm --socket \/run\/keyfleet\/hsm\/hsm\.sock --soft-token-initialise$/,
  );
  assert.deepEqual(container.env, [
    { name: "A", value: "b" },
    { name: "KEYFLEET_KEY_OWNER", value: "bank/dc1-a" },
  ]);
  const secret = pod.volumes.find((v: Pod) => v.name === "pin").secret;
  assert.deepEqual([secret.secretName, secret.items], ["s", [{ key: "k", path: "pin" }]]);
});
