import type { KmsNodeStatus, Member } from "@keyfleet/crds/kms-node.ts";
import { siteCaName } from "../desired/ca-secrets.ts";
import { begunAnnotation } from "../desired/consent.ts";
import { type Desired, desiredObjects } from "../desired/desired.ts";
import { planNext } from "../plan/plan.ts";
import type { CertificateNeed, Plan, View } from "../plan/types.ts";
import type {
  Action,
  KmsCluster,
  KmsNode,
  KubernetesObject,
  LockView,
  Observed,
  Reference,
  SiteView,
} from "../ports/types.ts";

/** The moment at which every test happens, unless it says otherwise. */
export const nowMs = Date.parse("2026-03-01T12:00:00Z");
export const fleetId = "11111111-1111-4111-8111-111111111111";
const longAgo = "2026-03-01T10:00:00Z";

/** A bank with two nodes in each of dc1, dc2 and dc3. */
export function aCluster(change: (cluster: KmsCluster) => void = () => {}): KmsCluster {
  const site = (name: string, environment: "OnPremises" | "Cloud") => ({
    name,
    environment,
    nodes: [{ name: `${name}-a` }, { name: `${name}-b` }],
  });
  const cluster: KmsCluster = {
    apiVersion: "keyfleet.io/v1alpha1",
    kind: "KmsCluster",
    metadata: { name: "bank", namespace: "keyfleet", uid: "uid-bank", generation: 1, creationTimestamp: longAgo },
    spec: {
      version: "0.1.0",
      defaults: {
        hsm: { library: "/usr/lib/softhsm/libsofthsm2.so", token: { label: "t" }, pinSecretRef: { name: "hsm-pin" } },
        ntp: { servers: ["ntp1.bank.example"] },
      },
      sites: [site("dc1", "OnPremises"), site("dc2", "OnPremises"), site("dc3", "Cloud")],
      clients: { caBundleRefs: [{ name: "bank-clients" }], administrators: ["CN=kms-admin"] },
    },
  };
  change(cluster);
  return cluster;
}

/** How far a node has come in a test. */
export type Stage = "absent" | "new" | "waiting" | "founding" | "joining" | "member";

/** A node in a test: its stage, and what is different from a healthy one of that stage. */
export interface NodeInTest {
  readonly stage: Stage;
  readonly status?: Partial<KmsNodeStatus>;
  readonly spec?: Partial<KmsNode["spec"]>;
  /** Condition types with the reason and message of their being False. */
  readonly bad?: Readonly<Record<string, readonly [string, string]>>;
  readonly serving?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly createdAt?: string;
}

/** A condition as a node writes it. */
export function aCondition(type: string, status: "True" | "False" | "Unknown", reason: string, message = "") {
  return { type, status, reason, message, lastTransitionTime: longAgo };
}

/** The KmsNode of a node at some stage, healthy unless said otherwise. */
export function aNode(name: string, site: string, given: NodeInTest): KmsNode {
  const { stage } = given;
  const began = stage === "member" || stage === "founding" || stage === "joining";
  const action = {
    absent: "None",
    new: "None",
    waiting: "None",
    founding: "Found",
    joining: "Join",
    member: "Member",
  } as const;
  return {
    apiVersion: "keyfleet.io/v1alpha1",
    kind: "KmsNode",
    metadata: {
      name,
      namespace: "keyfleet",
      uid: `uid-${name}`,
      generation: 1,
      creationTimestamp: given.createdAt ?? longAgo,
      ...annotationsOf(given),
    },
    spec: {
      ...{
        cluster: "bank",
        site,
        version: "0.1.0",
        featureLevel: "0.1.0",
        settings: {},
        durability: "EverySite" as const,
      },
      ...(stage === "member" || stage === "joining" ? { clusterId: fleetId } : {}),
      ...(stage === "new"
        ? {}
        : { address: `${name}.mesh`, clientAddress: `${name}.kmip`, certificateChain: `chain of ${name}` }),
      membership: stage === "joining" ? { action: "Join", sponsor: "dc1-a" } : { action: action[stage] },
      members: [],
      clients: { caBundle: "", administrators: [] },
      ...given.spec,
    },
    ...(stage === "new" ? {} : { status: aNodeStatus(name, given, began) }),
  };
}

/** What founds or joins has begun just now. */
function annotationsOf({ stage, annotations }: NodeInTest): { annotations?: Record<string, string> } {
  const begun = { [begunAnnotation]: new Date(nowMs - 10_000).toISOString() };
  const all = { ...(stage === "founding" || stage === "joining" ? begun : {}), ...annotations };
  return Object.keys(all).length === 0 ? {} : { annotations: all };
}

function aNodeStatus(name: string, given: NodeInTest, began: boolean): KmsNodeStatus {
  const member = given.stage === "member";
  const serving = given.serving ?? member;
  const conditions = [
    serving
      ? aCondition("Serving", "True", "Serving")
      : aCondition("Serving", "False", servingReason(given.stage), "not yet"),
    aCondition("RootOfTrust", "True", "Ready"),
    aCondition("TimeSynchronised", "True", "Synchronised"),
    member ? aCondition("Replicating", "True", "CaughtUp") : aCondition("Replicating", "False", "NotAMember"),
    aCondition("Certificates", "True", "Valid"),
    aCondition("SettingsApplied", "True", "Applied"),
    aCondition("StoreIntact", "True", "Intact"),
  ];
  return {
    version: "0.1.0",
    ...(member ? { clusterId: fleetId } : {}),
    ...(began ? { incarnation: `log-of-${name}` } : {}),
    certificateRequest: `request of ${name}`,
    joinPublicKey: `join key of ${name}`,
    conditions: conditions.map((condition) => {
      const bad = given.bad?.[condition.type];
      return bad ? aCondition(condition.type, "False", bad[0], bad[1]) : condition;
    }),
    ...given.status,
  };
}

function servingReason(stage: Stage): string {
  return stage === "joining" ? "Joining" : stage === "member" ? "Starting" : "AwaitingMembership";
}

/** What a test says of the world; everything else is healthy. */
export interface WorldInTest {
  /** The site whose operator looks; dc1 when absent. */
  readonly site?: string;
  readonly cluster?: KmsCluster;
  /** By node name; a node that is not named is at `others`. */
  readonly nodes?: Readonly<Record<string, NodeInTest | Stage>>;
  /** Stage of nodes that are not named; "member" when absent. */
  readonly others?: Stage;
  readonly unreachable?: readonly string[];
  /** Sites of which nothing was ever seen. */
  readonly neverSeen?: readonly string[];
  readonly lock?: Partial<LockView>;
  /** How every node lists some members. */
  readonly listed?: Readonly<Record<string, Partial<Member>>>;
  readonly references?: Readonly<Record<string, Reference>>;
  readonly differing?: readonly string[];
  /** Copies of the KmsCluster in other sites, with their status. */
  readonly copies?: Readonly<Record<string, KmsCluster>>;
  readonly nowMs?: number;
  /** For how long the operator's machine has run, an hour when absent. */
  readonly sinceBootMs?: number;
  /** Which start of which machine that is; "mine" when absent. */
  readonly boot?: string;
  /** False leaves out what the operator itself makes. */
  readonly settled?: boolean;
  /** Last change to the objects of this site. */
  readonly objects?: (objects: KubernetesObject[]) => KubernetesObject[];
}

const goodReferences: Readonly<Record<string, Reference>> = {
  "Secret/hsm-pin": { present: true, keys: ["pin"] },
  "ConfigMap/bank-clients": {
    present: true,
    keys: ["ca.crt"],
    data: { "ca.crt": "-----BEGIN CERTIFICATE-----\nQ0xJRU5UUw==\n-----END CERTIFICATE-----\n" },
  },
};

/** What the operator of one site observes in such a world, with its own objects as it would have made them. */
export function anObserved(world: WorldInTest = {}): Observed {
  const cluster = world.cluster ?? aCluster();
  const site = world.site ?? "dc1";
  const raw: Observed = {
    site,
    nowMs: world.nowMs ?? nowMs,
    sinceBoot: { boot: world.boot ?? "mine", ms: world.sinceBootMs ?? 3_600_000 },
    cluster,
    sites: cluster.spec.sites.map(({ name }) => aSiteView(name, { world, cluster, local: name === site })),
    lock: { heldByMe: false, holder: undefined, operation: undefined, node: undefined, ...world.lock },
    spec: agreement(world.differing ?? []),
    objects: [anOwnCa(cluster)],
    references: new Map(Object.entries({ ...goodReferences, ...world.references })),
  };
  const observed = world.settled === false ? raw : settled(raw);
  return { ...observed, objects: (world.objects ?? ((all) => all))([...observed.objects]) };
}

function aSiteView(
  name: string,
  { world, cluster, local }: { world: WorldInTest; cluster: KmsCluster; local: boolean },
): SiteView {
  const unseen = world.neverSeen?.includes(name) ?? false;
  const reachable = !unseen && !(world.unreachable?.includes(name) ?? false);
  const problem = unseen ? `no kubeconfig Secret labelled keyfleet.io/site=${name}` : "no answer within 2 s";
  const wanted = cluster.spec.sites.find((entry) => entry.name === name)?.nodes.map((node) => node.name) ?? [];
  const given = Object.keys(world.nodes ?? {}).filter((node) => node.startsWith(`${name}-`) && !wanted.includes(node));
  const nodes = [...wanted, ...given].flatMap((node) => {
    const inTest = world.nodes?.[node] ?? world.others ?? "member";
    const full = typeof inTest === "string" ? { stage: inTest } : inTest;
    return full.stage === "absent"
      ? []
      : [aNode(node, name, { ...full, spec: { members: aList(world), ...full.spec } })];
  });
  return {
    ...{ name, local, reachable },
    ageMs: unseen ? undefined : reachable ? 0 : 40_000,
    problem: reachable ? undefined : problem,
    cluster: unseen ? undefined : local ? cluster : (world.copies?.[name] ?? { ...cluster, status: publishedBy(name) }),
    nodes: unseen ? [] : nodes,
  };
}

function aList({ listed = {} }: WorldInTest): Member[] {
  return Object.entries(listed).map(([name, member]) => ({
    ...{
      name,
      site: name.slice(0, 3),
      identity: `CN=${name},OU=${name.slice(0, 3)},O=bank`,
      standing: "Member" as const,
    },
    ...member,
  }));
}

function publishedBy(site: string): NonNullable<KmsCluster["status"]> {
  return { siteStatus: [{ name: site, reachable: true, caCertificate: `CA of ${site}` }] };
}

function agreement(differing: readonly string[]): Observed["spec"] {
  const differences = differing.map((site) => ({
    site,
    fields: ["spec.version"],
    message: `${site} differs in spec.version`,
  }));
  return { agrees: differing.length === 0, differences, version: "1@dc1", ownedBy: undefined };
}

function anOwnCa(cluster: KmsCluster): KubernetesObject {
  const data = { "tls.crt": Buffer.from("CA of this site").toString("base64") };
  return { apiVersion: "v1", kind: "Secret", metadata: { name: siteCaName(cluster.metadata.name) }, data };
}

/** Puts what the operator would have made into the world, so that a test shows only what it is about. */
function settled(observed: Observed): Observed {
  const first = desiredInTest(observed);
  const nodes = new Map(first.nodes.map(({ kmsNode }) => [kmsNode.metadata.name, kmsNode]));
  const sites = observed.sites.map((view) =>
    view.local ? { ...view, nodes: view.nodes.map((node) => asMade(node, nodes.get(node.metadata.name))) } : view,
  );
  const objects = first.nodes.flatMap((node) => [
    ...node.objects.map(withStatus),
    ...inhabitants(node.facts.name, node.facts.node),
  ]);
  return { ...observed, sites, objects: [...observed.objects, ...first.site, ...objects] };
}

function asMade(node: KmsNode, desired: KmsNode | undefined): KmsNode {
  if (desired === undefined) return node;
  const labels = desired.metadata.labels ?? {};
  // A node that has just been made anew keeps looking so.
  const membership = node.spec.membership;
  return { ...node, metadata: { ...node.metadata, labels }, spec: { ...desired.spec, membership } };
}

function withStatus(object: KubernetesObject): KubernetesObject {
  const metadata = { ...object.metadata, generation: 1 };
  if (object.kind === "StatefulSet")
    return { ...object, metadata, status: { observedGeneration: 1, updateRevision: "revision-1" } };
  return { ...object, metadata };
}

function inhabitants(name: string, node: KmsNode | undefined): KubernetesObject[] {
  const ready = node?.status?.conditions?.find(({ type }) => type === "Serving")?.status ?? "False";
  return [
    aPod(name, {
      conditions: [
        { type: "PodScheduled", status: "True" },
        { type: "Ready", status: ready },
      ],
    }),
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: { name: `data-${name}-0` },
      status: { phase: "Bound" },
    },
  ];
}

/** The pod of a node, of the newest revision unless said otherwise. */
export function aPod(node: string, status: Record<string, unknown>, revision = "revision-1"): KubernetesObject {
  const labels = { "controller-revision-hash": revision };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `${node}-0`, uid: `uid-${node}-0`, creationTimestamp: longAgo, labels },
    status,
  };
}

/** Replaces one object of the world, or takes it out. */
export function replaced(kind: string, name: string, by?: (object: KubernetesObject) => KubernetesObject) {
  return (objects: KubernetesObject[]): KubernetesObject[] =>
    objects.flatMap((object) => {
      if (object.kind !== kind || object.metadata.name !== name) return [object];
      return by === undefined ? [] : [by(object)];
    });
}

/** Gives a node a pod that is older than its specification. */
export function withOldPod(node: string) {
  return replaced("Pod", `${node}-0`, (pod) => aPod(node, pod.status as Record<string, unknown>, "revision-0"));
}

/** Desired objects with an image and with CAs that are all good. */
export function desiredInTest(observed: Observed): Desired {
  const image = { repository: "localhost/keyfleet-node", pullPolicy: "Never" } as const;
  return desiredObjects(observed, { image, isCaOfSite: () => true });
}

/** View and plan of such a world. */
export function aView(
  world: WorldInTest = {},
  certificateNeed: CertificateNeed = () => undefined,
): { view: View; plan: Plan } {
  const observed = anObserved(world);
  const desired = desiredInTest(observed);
  return { view: { observed, desired, certificateNeed }, plan: planNext(desired, observed, certificateNeed) };
}

/** A plan in a few words: what is done, and which gates are closed. */
export function inWords(plan: Plan): { does: string[]; waitsFor: string[]; kind: Plan["kind"] } {
  const does = plan.kind === "act" ? plan.actions.map(actionInWords) : [];
  return { does, waitsFor: plan.blocked.map(({ gate, subject }) => `${gate} ${subject}`), kind: plan.kind };
}

function actionInWords(action: Action): string {
  switch (action.kind) {
    case "takeLock":
      return `lock for ${action.operation} of ${action.node}`;
    case "releaseLock":
      return "unlock";
    case "letGo":
      return "let go";
    case "makeSiteCa":
      return "make CA";
    case "signCertificate":
      return `sign ${action.node}`;
    case "delete":
      return `delete ${action.object.kind} ${action.object.metadata.name}`;
    case "apply":
      return action.needsLock
        ? membershipInWords(action.object)
        : `apply ${action.object.kind} ${action.object.metadata.name}`;
  }
}

function membershipInWords(object: KubernetesObject): string {
  const { metadata, spec } = object as unknown as KmsNode;
  const { action, sponsor, rejoin } = spec.membership;
  const via = sponsor === undefined ? "" : ` via ${sponsor}`;
  return `${metadata.name}: ${action}${via}${rejoin === undefined ? "" : ` after ${rejoin}`}`;
}
