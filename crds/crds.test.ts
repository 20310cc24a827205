import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { type ApiServer, startApiServer } from "./testing/api-server.ts";
import type { KmsCluster } from "./types/kms-cluster.ts";
import type { KmsNode } from "./types/kms-node.ts";

const clusters = "/apis/keyfleet.io/v1alpha1/namespaces/default/kmsclusters";
const nodes = "/apis/keyfleet.io/v1alpha1/namespaces/default/kmsnodes";
let api: ApiServer;

before(async () => {
  api = await startApiServer();
  await api.installCrds();
});
after(() => api?.stop());

const hsm = { library: "/usr/lib/softhsm/libsofthsm2.so", token: { label: "dc1" }, pinSecretRef: { name: "dc1-pin" } };

function aBank(): KmsCluster {
  return {
    apiVersion: "keyfleet.io/v1alpha1",
    kind: "KmsCluster",
    metadata: { name: "bank" },
    spec: {
      version: "0.1.0",
      defaults: { ntp: { servers: ["ntp1.bank.example", "2001:db8::1"], maxOffsetMs: 250 }, storage: { size: "10Gi" } },
      sites: [
        { name: "dc1", environment: "OnPremises", defaults: { hsm }, nodes: [{ name: "dc1-a" }, { name: "dc1-b" }] },
        { name: "dc2", environment: "OnPremises", nodes: [{ name: "dc2-a" }] },
        { name: "dc3", environment: "Cloud", nodes: [{ name: "dc3-a" }] },
      ],
      durability: "EverySite",
      upgrade: {
        strategy: "InPlace",
        approval: "Manual",
        soakSeconds: 30,
        windows: [{ cron: "0 2 * * 6", duration: "4h" }],
        requests: { approve: "change-4711" },
      },
      clients: { caBundleRefs: [{ name: "bank-clients" }], administrators: ["CN=kms-admin"] },
      recovery: { lostSites: ["dc3"] },
      pause: "Orchestration",
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: the cases put wrong things into the document on purpose.
type Change = (spec: any) => void;

/** Ports that there are not, addresses that are half there, and what would be a line of chrony's configuration. */
const badTimeServers = [
  "ntp1:0",
  "ntp1:65536",
  "ntp1:99999",
  "ntp1:ntp",
  "ntp1:",
  "[fd00::1]:70000",
  "[fd00::1",
  "fd00::1]",
  "ntp 1",
  "a\nmakestep",
];

/** What a certificate's subject never is as a node compares it. */
const badAdministrators = ["kms-admin", "CN=kms-admin, O=bank", "/CN=kms-admin/O=bank", "CN=a\nCN=b"];

const refused: readonly (readonly [string, Change, RegExp])[] = [
  ["a 21st node", (s) => s.sites[0].nodes.push(...names(17)), /at most 20 nodes.*every node keeps a link/],
  [
    "a fleet without nodes",
    (s) => s.sites.splice(0, 4, { name: "dc1", environment: "Cloud", nodes: [] }),
    /at least one node/,
  ],
  ["a node name used in two sites", (s) => s.sites[1].nodes.push({ name: "dc1-a" }), /used in one site only; rename/],
  ["a node name used twice in a site", (s) => s.sites[0].nodes.push({ name: "dc1-a" }), /Duplicate value/],
  ["a site name used twice", (s) => (s.sites[1].name = "dc1"), /Duplicate value/],
  [
    "a node name that is no DNS label",
    (s) => (s.sites[0].nodes[0].name = "DC1_A"),
    /nodes\[0\]\.name.*lower case letters, digits and dashes/,
  ],
  ["a node name that is too long", (s) => (s.sites[0].nodes[0].name = "n".repeat(41)), /may not be more than 40/],
  [
    "a site name that is no DNS label",
    (s) => (s.sites[0].name = "dc 1"),
    /sites\[0\]\.name.*lower case letters, digits and dashes/,
  ],
  ["an eighth site", (s) => s.sites.push(...sites(5)), /must have at most 7 items/],
  ...["default", "keyfleet-operator", "keyfleet-peer"].map((name): (typeof refused)[number] => [
    `a node whose account would be ${name} of the namespace or the operator`,
    (s) => (s.sites[0].nodes[0].name = name),
    /nodes\[0\]\.name.*no node is called default or keyfleet-something.*choose another name/,
  ]),
  ["a version that is none", (s) => (s.version = "latest"), /spec\.version.*three numbers, for example 0\.1\.0/],
  ["a version with a v", (s) => (s.version = "v0.1.0"), /spec\.version.*without a v/],
  ["a setting nobody knows", (s) => (s.defaults.ntp.server = "x"), /unknown field "spec\.defaults\.ntp\.server"/],
  ...badTimeServers.map((server): (typeof refused)[number] => [
    `the time server ${JSON.stringify(server)}`,
    (s) => (s.defaults.ntp.servers = [server]),
    /ntp\.servers\[0\].*a host name or an address, with its port when that is not 123/,
  ]),
  ...badAdministrators.map((name): (typeof refused)[number] => [
    `the administrator ${JSON.stringify(name)}, who would never be one`,
    (s) => (s.clients.administrators = [name]),
    /administrators\[0\].*RFC 2253.*no space between parts/,
  ]),
  [
    "an External node without address",
    (s) => (s.sites[0].nodes[0] = { name: "x", management: "External" }),
    /External node needs an address; set nodes\[\]\.address/,
  ],
  [
    "an External node with a volume",
    (s) => (s.sites[0].nodes[0] = { ...external(), settings: { storage: { size: "1Gi" } } }),
    /remove storage, resources, placement and exposure/,
  ],
  [
    "a status port of a Managed node",
    (s) => (s.sites[0].nodes[0].statusPort = 8444),
    /writes its status itself; remove nodes\[\]\.statusPort/,
  ],
  ...["k470/status", "k470.dc1:5696", "[fd00::1]", "10.0.0.1:5432"].map((address): (typeof refused)[number] => [
    `the address ${address} of an External node`,
    (s) => (s.sites[0].nodes[0] = { ...external(), address }),
    /nodes\[0\]\.address.*without port or brackets/,
  ]),
  ["an address of a Managed node", (s) => (s.sites[0].nodes[0].address = "x"), /gets its address from its Service/],
  [
    "an upgrade strategy that is none",
    (s) => (s.upgrade.strategy = "Recreate"),
    /upgrade\.strategy.*Unsupported value/,
  ],
  [
    "a window of more than a week",
    (s) => (s.upgrade.windows = [{ cron: "0 2 * * 6", duration: "169h" }]),
    /windows\[0\]\.duration.*whole minutes or hours long, a week \(168h\) at most/,
  ],
  ...["every day", "0 2 * * sun", "99 2 * * 6", "0 2 * *", ", , , , ,", "0 2 * * 6 *"].map(
    (cron): (typeof refused)[number] => [
      `a window that begins at ${cron}`,
      (s) => (s.upgrade.windows = [{ cron, duration: "4h" }]),
      /windows\[0\]\.cron/,
    ],
  ),
  [
    "a window without duration",
    (s) => (s.upgrade.windows = [{ cron: "0 2 * * 6" }]),
    /windows\[0\]\.duration: Required/,
  ],
  ["a lost site that is not configured", (s) => (s.recovery.lostSites = ["dc9"]), /names sites of spec\.sites only/],
  [
    "the loss of all sites",
    (s) => (s.recovery.lostSites = ["dc1", "dc2", "dc3"]),
    /lostSites leaves at least one site.*take out the site that is left/,
  ],
  [
    "a volume without unit",
    (s) => (s.defaults.storage = { size: "10" }),
    /storage\.size.*whole number with Mi, Gi.*for example 10Gi/,
  ],
  [
    "a time in days for a volume",
    (s) => (s.defaults.storage = { retainAfterRemoval: "7d" }),
    /retainAfterRemoval.*whole minutes or hours, for example 168h/,
  ],
  [
    "a library without its folder",
    (s) => (s.defaults.hsm = { library: "libsofthsm2.so" }),
    /hsm\.library.*an absolute path/,
  ],
  [
    "a licence",
    (s) => (s.defaults.licence = { secretRef: { name: "l" } }),
    /0\.1\.0: licence \(keyfleet needs none\); remove the field/,
  ],
  [
    "a proxy of a site",
    (s) => (s.sites[0].defaults.proxy = { https: "x" }),
    /0\.1\.0: proxy \(a node calls nobody outside its fleet\); remove the field/,
  ],
  [
    "a backup of a node",
    (s) => (s.sites[0].nodes[0].settings = { backup: {} }),
    /0\.1\.0: backup \(there is no backup yet.*remove the field/,
  ],
  [
    "one key out of the Secret of the certificate of HTTPS",
    (s) => (s.defaults.interfaces = { rest: { certificateSecretRef: { name: "x", key: "y" } } }),
    /rest\.certificateSecretRef names a Secret with tls\.crt and tls\.key/,
  ],
  [
    "an own certificate of the mesh",
    (s) => (s.defaults.interfaces = { mesh: { certificateSecretRef: { name: "x" } } }),
    /interfaces\.mesh\.certificateSecretRef \(members know each other by certificates of the sites' CAs/,
  ],
  [
    "one key out of the Secret of a certificate",
    (s) => (s.defaults.interfaces = { kmip: { certificateSecretRef: { name: "x", key: "y" } } }),
    /Secret with tls\.crt and tls\.key \(kubernetes\.io\/tls\); remove key/,
  ],
  [
    "one port for two interfaces",
    (s) => (s.defaults.interfaces = { kmip: { port: 5432 } }),
    /interfaces\.kmip\.port and interfaces\.mesh\.port must differ/,
  ],
  [
    "one port for KMIP and HTTPS",
    (s) => (s.defaults.interfaces = { kmip: { port: 9443 }, rest: { port: 9443 } }),
    /interfaces\.kmip\.port and interfaces\.rest\.port must differ/,
  ],
  [
    "the port that HTTPS has by itself for KMIP",
    (s) => (s.sites[0].defaults.interfaces = { kmip: { port: 8443 } }),
    /interfaces\.kmip\.port and interfaces\.rest\.port must differ/,
  ],
  [
    "one port for the mesh and HTTPS",
    (s) => (s.sites[0].nodes[0].settings = { interfaces: { mesh: { port: 9443 }, rest: { port: 9443 } } }),
    /interfaces\.mesh\.port and interfaces\.rest\.port must differ/,
  ],
  ...["kmip", "mesh", "rest"].map((door): (typeof refused)[number] => [
    `the health port for ${door}`,
    (s) => (s.defaults.interfaces = { [door]: { port: 8080 } }),
    new RegExp(`interfaces\\.${door}\\.port.*8080 is the port at which a node tells its health; choose another`),
  ]),
  ...[5432, 5696].map((port): (typeof refused)[number] => [
    `port ${port} of the pod for HTTPS, also when Services map it elsewhere`,
    (s) => (s.defaults.interfaces = { kmip: { port: 15_696 }, mesh: { port: 15_432 }, rest: { port } }),
    /interfaces\.rest\.port is neither 5432 nor 5696, where the pod serves the mesh and KMIP; choose another/,
  ]),
  ["log shipping", (s) => (s.defaults.logs = { shipping: { url: "x" } }), /0\.1\.0: logs\.shipping/],
  ["an exposure that is none", (s) => (s.defaults.exposure = { type: "Ingress" }), /exposure\.type.*Unsupported value/],
  [
    "a PIN in the environment",
    (s) => (s.sites[0].defaults.hsm.environment = [{ name: "TOKEN_PIN", value: "1234" }]),
    /PIN never stands in a specification; put it in a Secret/,
  ],
  ...["NODE_OPTIONS", "NODE_PATH", "LD_PRELOAD", "LD_AUDIT", "OPENSSL_CONF", "PATH", "KEYFLEET_RUN"].map(
    (name): (typeof refused)[number] => [
      `${name}, by which other code would run beside the PIN`,
      (s) => (s.sites[0].defaults.hsm.environment = [{ name, value: "--import=data:text/javascript,0" }]),
      /hsm\.environment.*is for the vendor's library.*take them out/,
    ],
  ),
];

for (const [what, change, expected] of refused) {
  test(`refuses ${what} and says what to do`, async () => {
    const document = structuredClone(aBank());
    change(document.spec);
    const answer = await api.request("POST", `${clusters}?fieldValidation=Strict&dryRun=All`, document);
    assert.match(String(answer.body.message), expected);
    assert.ok(answer.status === 422 || answer.status === 400, `status ${answer.status}`);
  });
}

test("refuses a fleet whose name does not fit into certificates, labels and Leases", async () => {
  for (const [name, expected] of [
    ["a".repeat(41), /at most 40 characters/],
    ["bank.example", /no dots/],
    ["operator", /Lease/],
  ] as const) {
    const answer = await api.request("POST", clusters, { ...aBank(), metadata: { name } });
    assert.equal(answer.status, 422);
    assert.match(answer.body.message, expected);
  }
});

test("takes the whole of a good specification, and keeps a node in its site", async () => {
  const made = await api.request("POST", `${clusters}?fieldValidation=Strict`, aBank());
  assert.equal(made.status, 201, made.body.message);
  const full = structuredClone(made.body);
  full.spec.sites[0].nodes.push(...names(16));
  assert.equal((await api.request("PUT", `${clusters}/bank?dryRun=All`, full)).status, 200, "20 nodes are allowed");
  const moved = structuredClone(made.body);
  moved.spec.sites[1].nodes.push(moved.spec.sites[0].nodes.pop());
  const answer = await api.request("PUT", `${clusters}/bank`, moved);
  assert.equal(answer.status, 422);
  assert.match(answer.body.message, /cannot move to another site.*add a node with a new name/);
});

test("takes every form that a time server, an administrator, an address and a window have", async () => {
  const cases: readonly (readonly [string, Change])[] = [
    ...["ntp1", "ntp1.bank.example:1123", "10.0.0.1", "10.0.0.1:65535", "fd00::1", "::1", "[fd00::1]:123", "[::1]"].map(
      (server) => [`time server ${server}`, (s: Parameters<Change>[0]) => (s.defaults.ntp.servers = [server])] as const,
    ),
    ...[
      "CN=kms-admin",
      "CN=kms-admin,OU=keys,O=bank",
      "CN=kms-admin,issuer(CN=clients,O=bank)",
      "CN=Bank\\, the,O=a\\+b",
      "CN=Jürgen Groß,emailAddress=j@bank.example",
      "1.2.3.4=#0C01,CN=a+OU=b",
    ].map((name) => [name, (s: Parameters<Change>[0]) => (s.clients.administrators = [name])] as const),
    ...["k470", "k470.dc1.bank.example", "10.0.0.1", "fd00::470"].map(
      (address) => [address, (s: Parameters<Change>[0]) => (s.sites[0].nodes[0] = { ...external(), address })] as const,
    ),
    ...["ChrystokiConfigurationPath", "LD_LIBRARY_PATH", "SOFTHSM2_CONF", "NFAST_HOME", "CS_PKCS11_R3_CFG"].map(
      (name) =>
        [
          name,
          (s: Parameters<Change>[0]) => (s.defaults.hsm = { environment: [{ name, value: "/etc/luna" }] }),
        ] as const,
    ),
    ...["0 2 * * 6", "*/15 0-6,22-23 1,15 */2 1-5", "59 23 31 12 7", "5/10 * * * *"].map(
      (cron) => [cron, (s: Parameters<Change>[0]) => (s.upgrade.windows = [{ cron, duration: "90m" }])] as const,
    ),
  ];
  for (const [what, change] of cases) {
    const document = { ...structuredClone(aBank()), metadata: { name: "forms" } };
    change(document.spec);
    const answer = await api.request("POST", `${clusters}?fieldValidation=Strict&dryRun=All`, document);
    assert.equal(answer.status, 201, `${what}: ${answer.body.message}`);
  }
});

test("takes the documents that the examples show, as they are written", async () => {
  const keyfleet = { apiVersion: "v1", kind: "Namespace", metadata: { name: "keyfleet" } };
  assert.equal((await api.request("POST", "/api/v1/namespaces", keyfleet)).status, 201);
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
  const [node = ""] = read("../node-image/examples/node.yaml").split(/^---$/m);
  for (const [kind, namespace, text] of [
    ["kmsclusters", "keyfleet", read("../examples/kmscluster.yaml")],
    ["kmsnodes", "default", node],
  ] as const) {
    const path = `/apis/keyfleet.io/v1alpha1/namespaces/${namespace}/${kind}?fieldValidation=Strict&dryRun=All`;
    const answer = await api.request("POST", path, text);
    assert.equal(answer.status, 201, `${kind}: ${answer.body.message}`);
  }
});

test("takes an External node, which stays External", async () => {
  const bank = { ...aBank(), metadata: { name: "mixed" } };
  const entry = { ...external(), statusPort: 9444, settings: { hsm: { token: { label: "k470" } } } };
  const withExternal = structuredClone(bank);
  (withExternal.spec.sites[0] as { nodes: object[] }).nodes.push(entry);
  const made = await api.request("POST", `${clusters}?fieldValidation=Strict`, withExternal);
  assert.equal(made.status, 201, made.body.message);
  made.body.spec.sites[0].nodes[2] = { name: entry.name };
  const answer = await api.request("PUT", `${clusters}/mixed`, made.body);
  assert.equal(answer.status, 422);
  assert.match(answer.body.message, /management of a node cannot change; add a node with another name/);
});

test("a site goes out of the specification after its nodes", async () => {
  const made = await api.request("POST", clusters, { ...aBank(), metadata: { name: "shrinks" } });
  const put = (sites: unknown[]) =>
    api.request("PUT", `${clusters}/shrinks`, { ...made.body, spec: { ...made.body.spec, recovery: {}, sites } });
  const [dc1, dc2, dc3] = made.body.spec.sites;
  const refusal = await put([dc1, dc2]);
  assert.equal(refusal.status, 422);
  assert.match(refusal.body.message, /set its nodes to \[\] first/);
  const emptied = await put([dc1, dc2, { ...dc3, nodes: [] }]);
  assert.equal(emptied.status, 200, emptied.body.message);
  made.body.metadata.resourceVersion = emptied.body.metadata.resourceVersion;
  assert.equal((await put([dc1, dc2])).status, 200);
});

test("shows the state of a fleet in the columns that people read", async () => {
  const status = {
    nodes: "1/4",
    sites: "3/3",
    message: "joining dc1-b (1/4)",
    blockedBy: [{ gate: "hsmReady", subject: "dc1-b", message: "m", since: "2026-01-01T00:00:00Z", remedy: "r" }],
    conditions: [
      { type: "Ready", status: "False", reason: "NotYet", message: "", lastTransitionTime: "2026-01-01T00:00:00Z" },
    ],
  };
  const made = await api.request("POST", clusters, { ...aBank(), metadata: { name: "columns" } });
  const put = await api.request("PUT", `${clusters}/columns/status`, { ...made.body, status });
  assert.equal(put.status, 200, put.body.message);
  const definition = await api.request(
    "GET",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/kmsclusters.keyfleet.io",
  );
  const columns = definition.body.spec.versions[0].additionalPrinterColumns.map(
    (column: { name: string }) => column.name,
  );
  assert.deepEqual(columns, ["Nodes", "Version", "Sites", "Ready", "Status", "Age"]);
  assert.deepEqual(definition.body.spec.names.shortNames, ["kms"]);
  const conditions: { type: string; status: string }[] = definition.body.status.conditions;
  assert.deepEqual(
    conditions.find(({ type }) => type === "NonStructuralSchema"),
    undefined,
  );
});

test("a node keeps its fleet, its site and the identity of the fleet", async () => {
  const made = await api.request("POST", `${nodes}?fieldValidation=Strict`, aNode("dc1-a"));
  assert.equal(made.status, 201, made.body.message);
  for (const [change, expected] of [
    [{ site: "dc2" }, /one site for its life/],
    [{ cluster: "other" }, /one fleet for its life/],
    [{ clusterId: "beef" }, /identity of a fleet never changes/],
    [{ membership: { action: "Join" } }, /Join needs a sponsor/],
  ] as const) {
    const answer = await api.request("PUT", `${nodes}/dc1-a`, { ...made.body, spec: { ...made.body.spec, ...change } });
    assert.equal(answer.status, 422);
    assert.match(answer.body.message, expected);
  }
});

test("a node that lost its HSM can say so: what its status named before is gone", async () => {
  await api.request("POST", nodes, aNode("dc1-b"));
  const report = (status: KmsNode["status"]) =>
    api.request("PATCH", `${nodes}/dc1-b/status?fieldManager=node&force=true`, {
      ...aNode("dc1-b"),
      spec: undefined,
      status,
    });
  assert.equal((await report({ version: "0.1.0", hsm: { tokenLabel: "dc1", tokenSerial: "1" } })).status, 200);
  const answer = await report({ version: "0.1.0" });
  assert.equal(answer.status, 200, answer.body.message);
  assert.equal(answer.body.status.hsm, undefined);
});

test("a node is not given ports that collide, wherever in the document they come from", async () => {
  for (const [interfaces, expected] of [
    [{ kmip: { port: 9443 }, rest: { port: 9443 } }, /interfaces\.kmip\.port and interfaces\.rest\.port must differ/],
    [{ kmip: { port: 5432 } }, /interfaces\.kmip\.port and interfaces\.mesh\.port must differ/],
    [{ rest: { port: 8080 } }, /8080 is the port at which a node tells its health/],
  ] as const) {
    const node = aNode("dc1-ports");
    const answer = await api.request("POST", `${nodes}?dryRun=All`, {
      ...node,
      spec: { ...node.spec, settings: { interfaces } },
    });
    assert.equal(answer.status, 422);
    assert.match(answer.body.message, expected);
  }
});

function aNode(name: string): KmsNode {
  return {
    apiVersion: "keyfleet.io/v1alpha1",
    kind: "KmsNode",
    metadata: { name },
    spec: {
      cluster: "bank",
      clusterId: "0f0e",
      site: "dc1",
      version: "0.1.0",
      featureLevel: "0.1.0",
      settings: {},
      durability: "EverySite",
      membership: { action: "Member" },
      members: [{ name, site: "dc1", identity: `CN=${name},OU=dc1,O=bank`, standing: "Member" }],
      clients: { caBundle: "", administrators: [] },
    },
  };
}

function names(count: number): { name: string }[] {
  return Array.from({ length: count }, (_, index) => ({ name: `extra-${index}` }));
}

function sites(count: number): unknown[] {
  return Array.from({ length: count }, (_, index) => ({ name: `more-${index}`, environment: "Cloud", nodes: [] }));
}

function external() {
  return { name: "dc1-k470", management: "External", address: "k470.dc1.bank.example" };
}
