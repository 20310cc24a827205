import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubernetesObject } from "../ports/types.ts";
import {
  aCluster,
  type aNode,
  anObserved,
  aView,
  desiredInTest,
  fleetId,
  inWords,
  type NodeInTest,
  nowMs,
  replaced,
  type WorldInTest,
} from "../testing/builders.ts";
import { type Case, checkCases } from "../testing/cases.ts";
import {
  caughtUp,
  defaulted,
  going,
  manyNodes,
  oldPod,
  podOf,
  reported,
  turnedToClusterIp,
  unboundStorage,
  unschedulable,
  waitingFor,
  without,
  withSpecOf,
  withStorage,
} from "../testing/worlds.ts";
import { covers } from "./covers.ts";
import { planNext } from "./plan.ts";

const heldFor = (operation: string, node: string) => ({ heldByMe: true, holder: "dc1", operation, node });
const heldByDc2 = { heldByMe: false, holder: "dc2", operation: "join", node: "dc2-a" };
const wrongPin = { stage: "waiting", bad: { RootOfTrust: ["PinIncorrect", "the token refused the PIN"] } } as const;
const clockOff = {
  stage: "waiting",
  bad: { TimeSynchronised: ["OffsetTooLarge", "off"] },
  status: { time: { worstOffsetMs: 1234, servers: [] } },
} satisfies NodeInTest;
const justMade = new Date(nowMs - 10_000).toISOString();

const founding: readonly Case[] = [
  ["takes the lock before it founds", { others: "waiting" }, ["lock for found of dc1-a"]],
  ["founds under the lock", { others: "waiting", lock: heldFor("found", "dc1-a") }, ["dc1-a: Found"]],
  ["leaves founding to the site of the first node", { others: "waiting", site: "dc2" }, []],
  [
    "does not found while a site cannot be seen",
    { others: "waiting", unreachable: ["dc3"] },
    [],
    ["allSitesObserved dc3"],
  ],
  [
    "does not found while a site was never seen, and says that the site is unknown",
    { others: "waiting", neverSeen: ["dc3"] },
    [],
    ["allSitesObserved dc3", "siteKnown dc3"],
  ],
  [
    "does not found while copies of the specification differ",
    { others: "waiting", differing: ["dc2"] },
    [],
    ["specAgrees dc2"],
  ],
  [
    "does not found a second fleet when the first one's nodes are gone",
    { others: "waiting", cluster: aCluster((c) => (c.status = { clusterId: fleetId })) },
    [],
    ["noFleetYet bank"],
  ],
  [
    "does not found when another site remembers a fleet",
    { others: "waiting", copies: { dc2: aCluster((c) => (c.status = { clusterId: fleetId })) } },
    [],
    ["noFleetYet bank"],
  ],
  [
    "passes over a first node that cannot, and reports it",
    { others: "waiting", nodes: { "dc1-a": wrongPin } },
    ["lock for found of dc1-b"],
    [],
  ],
  [
    "waits for a first node that has just been made",
    { others: "waiting", nodes: { "dc1-a": { stage: "new", createdAt: justMade } } },
    [],
  ],
  [
    "waits until the founder has made the fleet",
    { others: "waiting", nodes: { "dc1-a": "founding" }, lock: heldFor("found", "dc1-a") },
    [],
  ],
  [
    "makes the founder a member when it has made the fleet",
    {
      others: "waiting",
      nodes: { "dc1-a": { stage: "founding", status: { clusterId: fleetId } } },
      lock: heldFor("found", "dc1-a"),
    },
    ["dc1-a: Member"],
  ],
  [
    "takes the lock again after a crash in the middle of founding",
    { others: "waiting", nodes: { "dc1-a": { stage: "founding", status: { clusterId: fleetId } } } },
    ["lock for found of dc1-a"],
  ],
  [
    "reports a founder that cannot go on, and begins nothing else",
    {
      others: "waiting",
      nodes: { "dc1-a": { stage: "founding", bad: { Serving: ["RootOfTrustUnavailable", "no token"] } } },
      lock: heldFor("found", "dc1-a"),
    },
    [],
    ["lastTouchedRecovered dc1-a"],
  ],
  [
    "gives the lock back when the founder serves",
    { others: "waiting", nodes: { "dc1-a": "member" }, lock: heldFor("found", "dc1-a") },
    ["unlock"],
  ],
];

const changedSince = (set: KubernetesObject) => ({ ...set, metadata: { ...set.metadata, generation: 2 } });
const oneMember = { others: "waiting", nodes: { "dc1-a": "member" } } as const;
const joining: readonly Case[] = [
  ["takes the lock before it lets a node join", oneMember, ["lock for join of dc1-b"]],
  [
    "lets the next node join via a member of its site",
    { ...oneMember, lock: heldFor("join", "dc1-b") },
    ["dc1-b: Join via dc1-a"],
  ],
  ["leaves a join to the site of the node", { ...oneMember, site: "dc2" }, []],
  [
    "lets a node of its own site join when it is next",
    { others: "waiting", nodes: { "dc1-a": "member", "dc1-b": "member" }, site: "dc2", lock: heldFor("join", "dc2-a") },
    ["dc2-a: Join via dc1-a"],
  ],
  ["waits while another site holds the lock", { ...oneMember, lock: heldByDc2 }, []],
  [
    "joins in the order of the specification",
    { others: "waiting", nodes: { "dc1-a": "member", "dc1-b": "member" } },
    [],
  ],
  [
    "never lets a second node join while one joins",
    { others: "waiting", nodes: { "dc1-a": "member", "dc2-a": "joining" } },
    [],
  ],
  [
    "never lets a second node join while one joins elsewhere, even with the lock in hand",
    { others: "waiting", nodes: { "dc1-a": "member", "dc2-a": "joining" }, lock: heldFor("join", "dc1-b") },
    ["unlock"],
  ],
  [
    "waits until the joiner has caught up",
    { others: "waiting", nodes: { "dc1-a": "member", "dc1-b": "joining" }, lock: heldFor("join", "dc1-b") },
    [],
  ],
  [
    "makes the joiner a member when it has caught up",
    {
      others: "waiting",
      nodes: { "dc1-a": "member", "dc1-b": caughtUp("dc1-b") },
      lock: heldFor("join", "dc1-b"),
    },
    ["dc1-b: Member"],
  ],
  [
    "waits until the next node has a pod of its newest settings, which it may not come up with",
    { ...oneMember, objects: oldPod("dc1-b", "False") },
    ["delete Pod dc1-b-0"],
  ],
  [
    "makes no joiner a member while newer settings wait for its next pod",
    {
      others: "waiting",
      nodes: { "dc1-a": "member", "dc1-b": caughtUp("dc1-b") },
      lock: heldFor("join", "dc1-b"),
      objects: oldPod("dc1-b", "False"),
    },
    ["delete Pod dc1-b-0"],
  ],
  [
    "makes no joiner a member before Kubernetes has looked at its newest settings",
    {
      others: "waiting",
      nodes: { "dc1-a": "member", "dc1-b": caughtUp("dc1-b") },
      lock: heldFor("join", "dc1-b"),
      objects: replaced("StatefulSet", "dc1-b", changedSince),
    },
    [],
  ],
  [
    "makes no joiner a member while it has no pod",
    {
      others: "waiting",
      nodes: { "dc1-a": "member", "dc1-b": caughtUp("dc1-b") },
      lock: heldFor("join", "dc1-b"),
      objects: replaced("Pod", "dc1-b-0"),
    },
    [],
  ],
  [
    "resumes a join after a crash by taking the lock again",
    { others: "waiting", nodes: { "dc1-a": "member", "dc1-b": caughtUp("dc1-b") } },
    ["lock for join of dc1-b"],
  ],
  [
    "gives a joiner another sponsor when its sponsor is gone",
    {
      others: "waiting",
      nodes: { "dc1-a": { stage: "member", serving: false }, "dc2-a": "member", "dc1-b": "joining" },
      lock: heldFor("join", "dc1-b"),
    },
    ["dc1-b: Join via dc2-a"],
  ],
  [
    "waits until the new member serves before it gives the lock back",
    {
      others: "waiting",
      nodes: { "dc1-a": "member", "dc1-b": { stage: "member", serving: false } },
      lock: heldFor("join", "dc1-b"),
    },
    [],
  ],
  [
    "says so when the new member does not come to serve",
    {
      others: "waiting",
      nodes: {
        "dc1-a": "member",
        "dc1-b": { stage: "member", serving: false, bad: { Serving: ["DatabaseUnavailable", "no"] } },
      },
      lock: heldFor("join", "dc1-b"),
    },
    [],
    ["lastTouchedRecovered dc1-b"],
  ],
  [
    "gives the lock back when the new member serves",
    { others: "waiting", nodes: { "dc1-a": "member", "dc1-b": "member" }, lock: heldFor("join", "dc1-b") },
    ["unlock"],
  ],
  [
    "gives the lock back when its node was taken out of the specification",
    {
      cluster: without("dc1", "dc1-b"),
      others: "waiting",
      nodes: { "dc1-a": "member" },
      lock: heldFor("join", "dc1-b"),
    },
    ["unlock"],
  ],
  [
    "gives the lock back when its node cannot join any more, so that others can",
    { others: "waiting", nodes: { "dc1-a": "member", "dc1-b": wrongPin }, lock: heldFor("join", "dc1-b") },
    ["unlock"],
  ],
  ["does not join while a site cannot be seen", { ...oneMember, unreachable: ["dc2"] }, [], ["allSitesObserved dc2"]],
  [
    "does not join while copies differ",
    { ...oneMember, differing: ["dc2", "dc3"] },
    [],
    ["specAgrees dc2", "specAgrees dc3"],
  ],
  [
    "does not join when no member serves",
    { others: "waiting", nodes: { "dc1-a": { stage: "member", serving: false } } },
    [],
    ["sponsorServes bank"],
  ],
  [
    "stops when nodes of two fleets have met",
    { others: "waiting", nodes: { "dc1-a": "member", "dc2-a": { stage: "member", spec: { clusterId: "another" } } } },
    [],
    ["oneFleet bank"],
  ],
  [
    "keeps no lock while it waits for a site",
    { ...oneMember, unreachable: ["dc2"], lock: heldFor("join", "dc1-b") },
    ["unlock"],
  ],
  ["joins the 20th node", { cluster: manyNodes(20), nodes: { "dc1-19": "waiting" } }, ["lock for join of dc1-19"]],
];

/** A node that waits, of which its own operator has not written that yet. */
function withoutSpec(field: "clientAddress" | "certificateChain"): NodeInTest {
  return { stage: "waiting", spec: { [field]: undefined } };
}

const gatesOfNodes: readonly Case[] = [
  [
    "passes over a node with a wrong PIN",
    { ...oneMember, nodes: { "dc1-a": "member", "dc1-b": wrongPin } },
    [],
    ["hsmReady dc1-b"],
  ],
  [
    "passes over a node whose clock is off",
    { ...oneMember, nodes: { "dc1-a": "member", "dc1-b": clockOff } },
    [],
    ["clockWithinBound dc1-b"],
  ],
  [
    "passes over a node without the Secret with the PIN",
    { ...oneMember, references: { "Secret/hsm-pin": { present: false, keys: [] } } },
    [],
    ["referencesPresent dc1-b"],
  ],
  [
    "passes over a node whose Secret lacks the key",
    { ...oneMember, references: { "Secret/hsm-pin": { present: true, keys: ["password"] } } },
    [],
    ["referencesPresent dc1-b"],
  ],
  [
    "passes over a node without HSM settings",
    { ...oneMember, cluster: aCluster((c) => (c.spec.defaults = {})) },
    [],
    ["nodeConfigured dc1-b"],
  ],
  [
    "passes over a node whose image is missing",
    { ...oneMember, objects: podOf("dc1-b", waitingFor("ErrImageNeverPull")) },
    [],
    ["imagePresent dc1-b"],
  ],
  [
    "passes over a node whose image cannot be pulled",
    { ...oneMember, objects: podOf("dc1-b", waitingFor("ImagePullBackOff")) },
    [],
    ["imagePresent dc1-b"],
  ],
  [
    "passes over a node that keeps crashing",
    { ...oneMember, objects: podOf("dc1-b", waitingFor("CrashLoopBackOff")) },
    [],
    ["nodeStarted dc1-b"],
  ],
  [
    "passes over a node without storage",
    { ...oneMember, objects: unboundStorage("dc1-b") },
    [],
    ["storageBound dc1-b"],
  ],
  [
    "passes over a node that no machine takes",
    { ...oneMember, objects: podOf("dc1-b", unschedulable) },
    [],
    ["nodeStarted dc1-b"],
  ],
  [
    "passes over a node whose database does not come up",
    {
      others: "waiting",
      nodes: {
        "dc1-a": "member",
        "dc1-b": { stage: "waiting", bad: { Serving: ["DatabaseUnavailable", "waits for PostgreSQL"] } },
      },
    },
    [],
    ["nodeStarted dc1-b"],
  ],
  [
    "passes over a node that has not reported for two minutes",
    { others: "waiting", nodes: { "dc1-a": "member", "dc1-b": "new" } },
    [],
    ["nodeStarted dc1-b"],
  ],
  [
    "waits for a node that was made just now, so that the order stays",
    { others: "waiting", nodes: { "dc1-a": "member", "dc1-b": { stage: "new", createdAt: justMade } } },
    [],
  ],
  [
    "passes over a node that runs another version than the members",
    { others: "waiting", nodes: { "dc1-a": "member", "dc1-b": { stage: "waiting", status: { version: "0.0.9" } } } },
    [],
    ["sameVersion dc1-b"],
  ],
  [
    "passes over a node with the volume of another fleet",
    {
      others: "waiting",
      nodes: { "dc1-a": "member", "dc1-b": { stage: "waiting", status: { clusterId: "another" } } },
    },
    [],
    ["belongsToNoOtherFleet dc1-b"],
  ],
  [
    "passes over a node that the operator of its site has not made",
    { nodes: { "dc2-b": "absent" } },
    [],
    ["siteHasOperator dc2-b"],
  ],
  [
    "passes over a node whose Services have no address",
    { others: "waiting", nodes: { "dc1-a": "member", "dc1-b": withoutSpec("clientAddress") } },
    [],
    ["addressKnown dc1-b"],
  ],
  [
    "passes over a node whose certificate is not signed",
    { others: "waiting", nodes: { "dc1-a": "member", "dc1-b": withoutSpec("certificateChain") } },
    [],
    ["certificateIssued dc1-b"],
  ],
  [
    "passes over a node that measured that it does not reach a member",
    {
      others: "waiting",
      nodes: {
        "dc1-a": "member",
        "dc1-b": { stage: "waiting", status: { peers: [{ name: "dc1-a", connected: false }] } },
      },
    },
    [],
    ["meshReachable dc1-b"],
  ],
  [
    "believes the operator of another site about the pods there",
    {
      others: "waiting",
      nodes: { "dc1-a": "member", "dc1-b": "member", "dc2-a": "new" },
      copies: { dc2: aCluster((c) => (c.status = { blockedBy: [reported("imagePresent", "dc2-a")] })) },
    },
    [],
    ["imagePresent dc2-a"],
  ],
];

const repairs: readonly Case[] = [
  ["writes nothing when everything is as it shall be", {}, []],
  ["makes the CA of the site first", { objects: replaced("Secret", "keyfleet-bank-ca") }, ["make CA"]],
  ["makes a StatefulSet that was deleted", { objects: replaced("StatefulSet", "dc1-a") }, ["apply StatefulSet dc1-a"]],
  ["makes a Service that was deleted", { objects: replaced("Service", "dc1-b-kmip") }, ["apply Service dc1-b-kmip"]],
  ["makes the account of a node again", { objects: replaced("RoleBinding", "dc1-a") }, ["apply RoleBinding dc1-a"]],
  ["leaves a deleted pod to Kubernetes", { objects: replaced("Pod", "dc1-a-0") }, []],
  ["does not write to an object that is going", { objects: replaced("Service", "dc1-a-mesh", going) }, []],
  [
    "puts a changed field right",
    { objects: replaced("Service", "dc1-a-mesh", turnedToClusterIp) },
    ["apply Service dc1-a-mesh"],
  ],
  ["leaves alone what the API server added", { objects: replaced("Service", "dc1-a-mesh", defaulted) }, []],
  [
    "makes a KmsNode that was deleted, as the member that it is",
    { nodes: { "dc1-a": "absent" } },
    ["apply KmsNode dc1-a"],
  ],
  [
    "takes the address of a Service into the KmsNode",
    {
      objects: replaced("Service", "dc1-a-mesh", (o) => ({
        ...o,
        status: { loadBalancer: { ingress: [{ ip: "10.9.9.9" }] } },
      })),
    },
    ["apply KmsNode dc1-a"],
  ],
  [
    "deletes a node that was taken out of the specification and never joined",
    { cluster: without("dc1", "dc1-b"), nodes: { "dc1-b": "waiting" } },
    ["delete KmsNode dc1-b"],
  ],
  [
    "keeps a volume that is larger than it is to be, and says so",
    { objects: replaced("StatefulSet", "dc1-a", withStorage("50Gi")) },
    ["apply StatefulSet dc1-a"],
    ["storageUnchanged dc1-a"],
  ],
  [
    "lets a volume grow",
    { objects: replaced("PersistentVolumeClaim", "data-dc1-a-0", withClaim({ size: "5Gi" })) },
    ["apply PersistentVolumeClaim data-dc1-a-0"],
  ],
  [
    "leaves a volume that has its size, in whatever unit",
    { objects: replaced("PersistentVolumeClaim", "data-dc1-a-0", withClaim({ size: "10240Mi" })) },
    [],
  ],
  [
    "lets no volume grow that is not bound yet",
    { objects: replaced("PersistentVolumeClaim", "data-dc1-a-0", withClaim({ size: "5Gi", phase: "Pending" })) },
    [],
  ],
  [
    "says which ConfigMap of clients' CAs is missing",
    { references: { "ConfigMap/bank-clients": { present: false, keys: [] } } },
    [],
    ["referencesPresent ConfigMap/bank-clients"],
  ],
  [
    "says which ConfigMap of clients' CAs is too large, and goes on",
    { references: { "ConfigMap/bank-clients": aLargeBundle() }, objects: replaced("Service", "dc1-b-kmip") },
    ["apply Service dc1-b-kmip"],
    ["referencesPresent ConfigMap/bank-clients"],
  ],
  [
    "goes on with repairs while a site is away",
    { unreachable: ["dc2", "dc3"], objects: replaced("Service", "dc1-b-kmip") },
    ["apply Service dc1-b-kmip"],
  ],
  ["a lost site is nothing to do when nothing is to be done", { unreachable: ["dc2", "dc3"] }, []],
];

function aLargeBundle() {
  const pem = `-----BEGIN CERTIFICATE-----\n${"A".repeat(300_000)}\n-----END CERTIFICATE-----\n`;
  return { present: true, keys: ["ca.crt"], data: { "ca.crt": pem } };
}

function withClaim({ size, phase = "Bound" }: { size: string; phase?: string }) {
  const spec = { resources: { requests: { storage: size } } };
  return (claim: KubernetesObject): KubernetesObject => ({ ...claim, spec, status: { phase } });
}

checkCases({ founding, joining, gatesOfNodes, repairs });

test("a plan that waits for a person is blocked, one that waits for time looks again, an idle one is settled", () => {
  assert.equal(aView({ ...oneMember, unreachable: ["dc2"] }).plan.kind, "blocked");
  assert.equal(aView({ ...oneMember, lock: heldByDc2 }).plan.kind, "wait");
  assert.deepEqual(aView().plan, { kind: "settled", doing: undefined, blocked: [] });
});

test("signs a certificate once per need, together with the step on the node", () => {
  const world: WorldInTest = { ...oneMember, lock: heldFor("join", "dc1-b") };
  const { plan } = aView(world, (node) => (node.metadata.name === "dc1-b" ? "it has none yet" : undefined));
  assert.deepEqual(inWords(plan).does, ["sign dc1-b"]);
  assert.ok(plan.kind === "act");
  const [action] = plan.actions;
  assert.ok(action?.kind === "signCertificate" && action.needsLock);
  assert.equal((action.object as unknown as ReturnType<typeof aNode>).spec.membership.action, "Join");
});

test("every operator names the same next node from the same facts", () => {
  const doing = ["dc1", "dc2", "dc3"].map((site) => aView({ ...oneMember, site }).plan.doing);
  assert.deepEqual(doing, ["joining dc1-b", "joining dc1-b", "joining dc1-b"]);
});

test("applying what is planned settles: the next pass over the made objects writes nothing", () => {
  const observed = anObserved({ others: "new", settled: false });
  const plan = planNext(desiredInTest(observed), observed, () => undefined);
  assert.ok(plan.kind === "act");
  const made = plan.actions.flatMap((action) => (action.kind === "apply" ? [action.object] : []));
  const sites = observed.sites.map((view) =>
    view.local ? { ...view, nodes: view.nodes.map(withSpecOf(made)) } : view,
  );
  const next = { ...observed, sites, objects: [...observed.objects, ...made.filter(({ kind }) => kind !== "KmsNode")] };
  assert.deepEqual(inWords(planNext(desiredInTest(next), next, () => undefined)).does, []);
});

test("what the API server writes in its own way is no difference", () => {
  for (const [wanted, found, same] of [
    [{ cpu: "1000m" }, { cpu: "1" }, true],
    [{ memory: "1024Mi" }, { memory: "1Gi" }, true],
    [{ cpu: "100m" }, { cpu: "200m" }, false],
    [{ a: false, b: [], c: {}, d: "" }, {}, true],
    [{ a: true }, {}, false],
    [[1, 2], [1, 2, 3], false],
    [{ a: { b: 1 } }, { a: { b: 1, c: 2 }, d: 3 }, true],
    [{ a: "x" }, { a: "y" }, false],
  ] as const)
    assert.equal(covers(wanted, found), same, JSON.stringify([wanted, found]));
});
