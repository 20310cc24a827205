import type { KubernetesObject } from "../ports/types.ts";

/** Where a value is not as it must be, as in ".spec.members[3]"; undefined when all of it is. */
type Check = (value: unknown) => string | undefined;

/**
 * What is wrong with a KmsCluster or KmsNode of another site. Its API server keeps to the CRD, unless somebody has changed
 * that, or the server is not what it was: then this site must not stumble over what is there, nor hand it on. Only what
 * this operator reads is looked at, and that as far as its own API server takes it; more fields are welcome.
 */
export function wrongIn(object: KubernetesObject): string | undefined {
  const wrong = object.kind === "KmsCluster" ? cluster(object) : node(object);
  return wrong === undefined ? undefined : `${object.kind}${wrong}`;
}

const text =
  (longest: number): Check =>
  (value) =>
    typeof value === "string" && value.length <= longest ? undefined : "";

const name = text(63);
const id = text(64);
const number: Check = (value) => (typeof value === "number" ? undefined : "");
const yesOrNo: Check = (value) => (typeof value === "boolean" ? undefined : "");
const time: Check = (value) => (Number.isNaN(Date.parse(String(value))) ? "" : id(value));

/** Of 64 at most, as every list of the CRDs. */
function listOf(check: Check): Check {
  return (value) => {
    if (!Array.isArray(value) || value.length > 64) return "";
    for (const [at, one] of value.entries()) {
      const wrong = check(one);
      if (wrong !== undefined) return `[${at}]${wrong}`;
    }
    return undefined;
  };
}

/** Fields that must be there, and others that may. */
function fields(needed: Readonly<Record<string, Check>>, others: Readonly<Record<string, Check>> = {}): Check {
  const [must, may] = [Object.entries(needed), Object.entries(others)];
  return (value) => {
    if (!isRecord(value)) return "";
    const there = may.filter(([field]) => value[field] !== undefined);
    return firstWrong(value, must) ?? firstWrong(value, there);
  };
}

function firstWrong(
  value: Readonly<Record<string, unknown>>,
  checks: readonly (readonly [string, Check])[],
): string | undefined {
  for (const [field, check] of checks) {
    const wrong = check(value[field]);
    if (wrong !== undefined) return `.${field}${wrong}`;
  }
  return undefined;
}

const textsByName: Check = (value) =>
  isRecord(value) && Object.values(value).every((one) => typeof one === "string") ? undefined : "";

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const metadata = fields(
  { name: text(253) },
  {
    annotations: textsByName,
    labels: textsByName,
    generation: number,
    creationTimestamp: time,
    deletionTimestamp: time,
  },
);

const settings = fields({}, { ntp: fields({}, { servers: listOf(text(253)) }) });

const handled = fields({ value: id, version: id }, { earlier: listOf(fields({ value: id, version: id })) });

const cluster = fields(
  {
    metadata,
    spec: fields(
      {
        version: id,
        sites: listOf(fields({ name, nodes: listOf(fields({ name }, { settings })) }, { defaults: settings })),
      },
      {
        defaults: settings,
        recovery: fields({}, { lostSites: listOf(name) }),
        deletion: fields({}, { confirm: text(253) }),
        upgrade: fields({}),
      },
    ),
  },
  {
    status: fields(
      {},
      {
        clusterId: id,
        upgrade: fields({}, { approve: handled, rollback: handled }),
        siteStatus: listOf(fields({ name, reachable: yesOrNo }, { caCertificate: text(16_384) })),
        nodeStatus: listOf(fields({ name, serving: yesOrNo }, { message: text(512) })),
        blockedBy: listOf(fields({ gate: id, subject: text(253), message: text(512), since: time, remedy: text(512) })),
      },
    ),
  },
);

const member = fields(
  { name, site: name, identity: text(256), standing: id },
  { address: text(253), meshPort: number, incarnation: id, lastSequence: number, joinPublicKey: text(8_192) },
);

const condition = fields({ type: id, status: id, reason: id, message: text(1_024), lastTransitionTime: time });

const node = fields(
  {
    metadata,
    spec: fields(
      {
        ...{ cluster: name, site: name, version: id, settings, members: listOf(member) },
        membership: fields({ action: id }, { sponsor: name, rejoin: id }),
      },
      { clusterId: id, featureLevel: id, address: text(253), meshPort: number, trustBundle: text(262_144) },
    ),
  },
  {
    status: fields(
      {},
      {
        ...{ version: id, clusterId: id, incarnation: id, joinPublicKey: text(8_192), observedGeneration: number },
        conditions: listOf(condition),
        peers: listOf(fields({ name, connected: yesOrNo })),
        departures: listOf(fields({ name, incarnation: id, sequence: number })),
        sitesOutOfStep: listOf(name),
      },
    ),
  },
);
