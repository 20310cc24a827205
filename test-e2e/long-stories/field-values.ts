import type { KmsCluster } from "@keyfleet/crds/kms-cluster.ts";

/** Field below spec, a value that it cannot have, what is said then, and a value that it can have (or none). */
export type Refused = readonly [path: string, bad: unknown, said: RegExp, good?: unknown];

const long = (length: number) => "x".repeat(length);
const tolerates = (more: object) => [{ key: "bank", operator: "Exists", effect: "NoSchedule", ...more }];
const external = { name: "dc1-x", management: "External", address: "172.31.0.240" };
const node = (more: object) => [{ name: "dc1-a" }, { ...external, ...more }];

/** One after the other; each document has the good values of those before. Good ones of one field come last. */
export const refused: readonly Refused[] = [
  ["version", "newest", /spec\.version/, "0.1.1"],
  ["durability", "Sometimes", /spec\.durability.*"EverySite", "OtherSite", "Local"/s, "OtherSite"],
  ["pause", "Everything", /spec\.pause/, "Orchestration"],
  ["upgrade.strategy", "Hope", /spec\.upgrade\.strategy/, "RemoveAndRebuild"],
  ["upgrade.approval", "Perhaps", /spec\.upgrade\.approval/, "Manual"],
  ["upgrade.backupMaxAgeHours", 0, /spec\.upgrade\.backupMaxAgeHours.*greater than or equal to 1/, 24],
  ["upgrade.soakSeconds", -1, /spec\.upgrade\.soakSeconds.*greater than or equal to 0/, 60],
  ["upgrade.windows", [{ cron: "at night", duration: "4h" }], /spec\.upgrade\.windows\[0\]\.cron/],
  ["upgrade.windows", [{ cron: "0 2 * * 6", duration: "4 hours" }], /spec\.upgrade\.windows\[0\]\.duration/],
  [
    "upgrade.windows",
    [{ cron: "0 2 * * 6" }],
    /windows\[0\]\.duration.*Required/,
    [{ cron: "0 2 * * 6", duration: "4h" }],
  ],
  ["upgrade.requests.approve", long(65), /spec\.upgrade\.requests\.approve/, "first"],
  ["upgrade.requests.retry", long(65), /spec\.upgrade\.requests\.retry/, "first"],
  ["upgrade.requests.rollback", 7, /spec\.upgrade\.requests\.rollback/],
  ["clients.caBundleRefs", [{ name: "No Name" }], /spec\.clients\.caBundleRefs\[0\]\.name/],
  [
    "clients.caBundleRefs",
    [{ name: "bank-clients", key: "a b" }],
    /caBundleRefs\[0\]\.key/,
    [{ name: "bank-clients", key: "ca.crt" }],
  ],
  ["clients.administrators", [""], /spec\.clients\.administrators\[0\]/, ["CN=kms-admin", "CN=second"]],
  ["clients.legacyCiphers", "perhaps", /spec\.clients\.legacyCiphers.*boolean/, true],
  ["clients.serveCompromised", "perhaps", /spec\.clients\.serveCompromised.*boolean/, true],
  ["recovery.lostSites", ["dc9"], /recovery\.lostSites names sites of spec\.sites only/, []],
  ["deletion.confirm", "bamk", /spec\.deletion\.confirm is the name of the fleet/],
  ["sites.0.name", "DC 1", /spec\.sites\[0\]\.name/],
  ["sites.0.environment", "Moon", /spec\.sites\[0\]\.environment/, "Cloud"],
  ["sites.0.nodes", [{ name: "dc1-a" }, { name: "DC1 B" }], /spec\.sites\[0\]\.nodes\[1\]\.name/],
  ["sites.0.nodes", [{ name: "dc1-a", address: "10.0.0.1" }], /remove nodes\[\]\.address/],
  ["sites.0.nodes", [{ name: "dc1-a", statusPort: 8444 }], /remove nodes\[\]\.statusPort/],
  ["sites.0.nodes", node({ management: "Rented" }), /spec\.sites\[0\]\.nodes\[1\]\.management/],
  ["sites.0.nodes", node({ address: "no host!" }), /spec\.sites\[0\]\.nodes\[1\]\.address/],
  ["sites.0.nodes", node({ address: undefined }), /an External node needs an address; set nodes\[\]\.address/],
  ["sites.0.nodes", node({ statusPort: 0 }), /spec\.sites\[0\]\.nodes\[1\]\.statusPort/],
  [
    "sites.0.nodes",
    node({ settings: { storage: { size: "1Gi" } } }),
    /remove storage, resources, placement and exposure/,
    [{ name: "dc1-a" }],
  ],
  ["defaults.ntp.servers", ["no server!"], /spec\.defaults\.ntp\.servers\[0\]/, ["172.31.0.252", "172.31.0.253"]],
  ["defaults.ntp.maxOffsetMs", 0, /spec\.defaults\.ntp\.maxOffsetMs/, 500],
  ["defaults.hsm.library", "softhsm.so", /spec\.defaults\.hsm\.library/, "/usr/lib/softhsm/libsofthsm2.so"],
  ["defaults.hsm.token.label", long(33), /spec\.defaults\.hsm\.token\.label/, "bank"],
  ["defaults.hsm.token.serial", long(17), /spec\.defaults\.hsm\.token\.serial/, "0123456789abcdef"],
  ["defaults.hsm.pinSecretRef", { name: "No Name" }, /spec\.defaults\.hsm\.pinSecretRef\.name/],
  [
    "defaults.hsm.pinSecretRef",
    { name: "pin", key: "a b" },
    /hsm\.pinSecretRef\.key/,
    { name: "dc1-hsm-pin", key: "pin" },
  ],
  ["defaults.hsm.keyLabel", "", /spec\.defaults\.hsm\.keyLabel/, "bank-master"],
  ["defaults.hsm.environment", [{ name: "1A", value: "x" }], /spec\.defaults\.hsm\.environment\[0\]\.name/],
  ["defaults.hsm.environment", [{ name: "A", value: long(1025) }], /hsm\.environment\[0\]\.value/],
  [
    "defaults.hsm.environment",
    [{ name: "TOKEN_PIN", value: "1" }],
    /a PIN never stands in a specification/,
    [{ name: "A", value: "x" }],
  ],
  ["defaults.hsm.softToken.initialise", "perhaps", /spec\.defaults\.hsm\.softToken\.initialise/, true],
  ["defaults.interfaces.kmip.port", 80, /spec\.defaults\.interfaces\.kmip\.port/, 15696],
  ["defaults.interfaces.rest.port", 65536, /spec\.defaults\.interfaces\.rest\.port/, 18443],
  ["defaults.interfaces.mesh.port", 15696, /interfaces\.kmip\.port and interfaces\.mesh\.port must differ/, 15432],
  ["defaults.interfaces.kmip.certificateSecretRef", { name: "a b" }, /interfaces\.kmip\.certificateSecretRef\.name/],
  [
    "defaults.interfaces.kmip.certificateSecretRef",
    { name: "own", key: "tls.crt" },
    /interfaces\.kmip\.certificateSecretRef names.*remove key/,
  ],
  [
    "defaults.interfaces.rest.certificateSecretRef",
    { name: "own", key: "tls.crt" },
    /interfaces\.rest\.certificateSecretRef names.*remove key/,
  ],
  [
    "defaults.interfaces.mesh.certificateSecretRef",
    { name: "own" },
    /not supported: interfaces\.mesh\.certificateSecretRef/,
  ],
  ["defaults.logs.level", "loud", /spec\.defaults\.logs\.level/, "debug"],
  ["defaults.logs.kmipActivity", "often", /spec\.defaults\.logs\.kmipActivity/, true],
  ["defaults.logs.shipping", { url: "https://logs.bank.example" }, /not supported in 0\.1\.0: logs\.shipping/],
  ["defaults.storage.size", "much", /spec\.defaults\.storage\.size/, "2Gi"],
  ["defaults.storage.retainAfterRemoval", "a week", /spec\.defaults\.storage\.retainAfterRemoval/, "24h"],
  ["defaults.storage.storageClassName", "", /spec\.defaults\.storage\.storageClassName/, "local"],
  [
    "defaults.resources.requests",
    { memory: "much" },
    /spec\.defaults\.resources\.requests\.memory/,
    { memory: "100Mi" },
  ],
  ["defaults.resources.limits", { cpu: "-1" }, /spec\.defaults\.resources\.limits\.cpu/, { memory: "2Gi" }],
  [
    "defaults.placement.nodeSelector",
    { rack: long(64) },
    /spec\.defaults\.placement\.nodeSelector\.rack/,
    { rack: "one" },
  ],
  ["defaults.placement.tolerations", tolerates({ key: long(318) }), /tolerations\[0\]\.key/],
  ["defaults.placement.tolerations", tolerates({ operator: "Maybe" }), /tolerations\[0\]\.operator/],
  ["defaults.placement.tolerations", tolerates({ value: long(64) }), /tolerations\[0\]\.value/],
  ["defaults.placement.tolerations", tolerates({ effect: "Sleep" }), /tolerations\[0\]\.effect/, tolerates({})],
  ["defaults.exposure.type", "Tunnel", /spec\.defaults\.exposure\.type/, "NodePort"],
  [
    "defaults.exposure.annotations",
    { note: long(1_025) },
    /spec\.defaults\.exposure\.annotations\.note/,
    { note: "one" },
  ],
  ["defaults.licence", { secretRef: { name: "licence" } }, /not supported in 0\.1\.0: licence/],
  ["defaults.proxy", { https: "https://proxy.bank.example" }, /not supported in 0\.1\.0: proxy/],
  ["defaults.backup", { destination: "somewhere" }, /not supported in 0\.1\.0: backup/],
];

/** A value of the right form that turns out not to work: what people read, and what to do. */
export interface Doubtful {
  readonly what: string;
  readonly change: (spec: KmsCluster["spec"]) => void;
  readonly status: RegExp;
  readonly remedy: RegExp;
}

/** What is told at the site without harming a node; `next` is a version that the fleet could go to. */
export function doubtful({ site, other, next }: { site: string; other: string; next: string }): readonly Doubtful[] {
  const defaults = (spec: KmsCluster["spec"], more: KmsCluster["spec"]["defaults"]) => {
    spec.defaults = { ...spec.defaults, ...more };
  };
  return [
    {
      what: "a ConfigMap of clients' CAs that is not there",
      change: (spec) => {
        spec.clients = { ...spec.clients, caBundleRefs: [{ name: "bank-clients" }, { name: "nobody" }] };
      },
      status: /ConfigMap nobody has no CA certificates of clients/,
      remedy: /take it out of spec\.clients\.caBundleRefs/,
    },
    {
      what: "a certificate that is not there",
      change: (spec) => defaults(spec, { interfaces: { kmip: { certificateSecretRef: { name: "nobody" } } } }),
      status: /Secret nobody with the certificate of interfaces\.kmip is missing/,
      remedy: /create secret tls nobody .*or take interfaces\.kmip\.certificateSecretRef out/,
    },
    {
      what: "a smaller volume",
      change: (spec) => defaults(spec, { storage: { ...spec.defaults?.storage, size: "512Mi" } }),
      status: /its volume has 1Gi and cannot shrink; the node goes on with it/,
      remedy: new RegExp(`set storage of ${site}-a back to 1Gi`),
    },
    {
      what: "another storage class",
      change: (spec) => defaults(spec, { storage: { ...spec.defaults?.storage, storageClassName: "faster" } }),
      status: /cannot move to another storage class; the node goes on with it/,
      remedy: new RegExp(`set storage of ${site}-a back`),
    },
    {
      what: "time servers that do not answer",
      change: (spec) => defaults(spec, { ntp: { ...spec.defaults?.ntp, servers: ["172.31.0.240"] } }),
      status: /but .*none of 172\.31\.0\.240 answers; check settings\.ntp\.servers/,
      remedy: /none of 172\.31\.0\.240 answers/,
    },
    {
      what: "a limit of memory below what the key server asks for",
      change: (spec) => defaults(spec, { resources: { limits: { memory: "64Mi" } } }),
      status: /waiting: .* is invalid: .*must be less than or equal to memory limit of 64Mi/,
      remedy: /correct the field of the specification/,
    },
    {
      what: "a site that is named lost and answers",
      change: (spec) => {
        spec.recovery = { lostSites: [other] };
      },
      status: new RegExp(`site ${other} is named lost`),
      remedy: new RegExp(`take ${other} out of spec\\.recovery\\.lostSites`),
    },
    {
      what: "a version that a person has to release",
      change: (spec) => {
        spec.version = next;
        spec.upgrade = { approval: "Manual" };
      },
      status: new RegExp(`the upgrade to ${next.replaceAll(".", "\\.")} waits for approval`),
      remedy: /set spec\.upgrade\.requests\.approve to a value that was not used before/,
    },
    {
      what: "a version that wants a fresh backup",
      change: (spec) => {
        spec.version = next;
        spec.upgrade = { backupMaxAgeHours: 24 };
      },
      status: /begins only with a backup that is at most 24 h old; none is told/,
      remedy: /annotate kms \S+ keyfleet\.io\/backed-up-at=/,
    },
    {
      what: "a version while all is paused",
      change: (spec) => {
        spec.version = next;
        spec.pause = "Orchestration";
      },
      status: /paused before upgrading/,
      remedy: /set spec\.pause to None/,
    },
    {
      what: "a window of an hour that does not exist",
      change: (spec) => {
        spec.version = next;
        spec.upgrade = { windows: [{ cron: "0 25 * * *", duration: "1h" }] };
      },
      status: /the window 0 25 \* \* \* is no time/,
      remedy: /write five fields: minute hour day month weekday/,
    },
    {
      what: "a version two steps away",
      change: (spec) => {
        spec.version = "0.9.0";
      },
      status: /more than one minor version away/,
      remedy: /set spec\.version to the next minor version first/,
    },
  ];
}

/** What harms the node that tries it, and what only the machines can tell; asked of one node before any other has it. */
export function harmful(): readonly Doubtful[] {
  type Settings = NonNullable<KmsCluster["spec"]["defaults"]>;
  const settings = (spec: KmsCluster["spec"], more: Settings) => {
    spec.defaults = { ...spec.defaults, ...more };
  };
  const hsm = (spec: KmsCluster["spec"], more: Settings["hsm"]) =>
    settings(spec, { hsm: { ...spec.defaults?.hsm, ...more } });
  const remedy = /mend (\S+): see kubectl describe kmsnode \1 in site/;
  return [
    {
      what: "a library of an HSM that is not there",
      change: (spec) => hsm(spec, { library: "/usr/lib/softhsm/nobody.so" }),
      status: /2\/3 nodes.*no readable PKCS#11 library at \S+nobody\.so; check settings\.hsm\.library/,
      remedy,
    },
    {
      what: "a key of the HSM that is not there",
      change: (spec) => hsm(spec, { keyLabel: "nobody" }),
      status: /2\/3 nodes.*holds no key 'nobody'; this node's key is '\S+'.*check settings\.hsm\.keyLabel/,
      remedy,
    },
    {
      what: "a token that is not there",
      change: (spec) => {
        for (const site of spec.sites)
          site.defaults = { ...site.defaults, hsm: { ...site.defaults?.hsm, token: { label: "nobody" } } };
      },
      status: /2\/3 nodes.*token 'nobody' not found.*check settings\.hsm\.token/,
      remedy,
    },
    {
      what: "memory in which no key server can run",
      change: (spec) => settings(spec, { resources: { requests: { memory: "24Mi" }, limits: { memory: "24Mi" } } }),
      status: /2\/3 nodes.*container keeps ending/,
      remedy: /raise resources\.limits\.memory in the settings of/,
    },
    {
      what: "a placement that no machine has",
      change: (spec) => settings(spec, { placement: { nodeSelector: { "bank.example/rack": "none" } } }),
      status: /2\/3 nodes.*(no machine of the site can take the pod|does not serve)/,
      remedy: /no machine of the site can take the pod.*change placement or resources/,
    },
  ];
}
