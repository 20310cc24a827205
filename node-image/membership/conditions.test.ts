import assert from "node:assert/strict";
import { test } from "node:test";
import { restartDigest } from "@keyfleet/crds/restart-settings.ts";
import { aNode, someFacts } from "../testing/facts.ts";
import { conditions } from "./conditions.ts";
import type { Facts, PeerFacts } from "./facts.ts";

const member = aNode({ clusterId: "c-1", membership: { action: "Member" } });
const joining = aNode({ clusterId: "c-1", membership: { action: "Join", sponsor: "dc2-a" } });
const peers = (...connected: boolean[]): PeerFacts[] =>
  connected.map((each, index) => ({ name: `dc2-${index}`, connected: each }));
const running = (each: PeerFacts[], caughtUp = true) => ({ peers: each, caughtUp, runningMs: 5_000 });
const loaded = { document: member, keyring: "loaded", clusterId: "c-1", replication: running(peers(true)) } as const;
const database = (found: Partial<Facts["database"]>) => ({ ready: true, message: "", audited: true, ...found });
const settings = { licence: { secretRef: { name: "l" } }, proxy: { https: "p" } };
const oldHsm = { hsm: { library: "/old.so" }, resources: { limits: { cpu: "1" } } };
const newHsm = { hsm: { library: "/new.so" }, resources: { limits: { cpu: "2" } }, logs: { level: "debug" } } as const;
const inPod = (startedWith: string): Partial<Facts> => ({ startedWith, document: aNode({ settings: newHsm }) });
const { resourceVersion: _none, ...fromFile } = aNode().metadata;

// A case is a sentence, what differs from a node that has everything, and the condition: type, status, reason, message.
const cases: readonly (readonly [string, Partial<Facts>, readonly [string, string, string, RegExp]])[] = [
  [
    "says at once that it ends, while clients are still served",
    { ...loaded, serving: true, ending: true },
    ["Serving", "False", "Ending", /clients go on at another node/],
  ],
  [
    "names the field of a setting that cannot be used",
    { settingsProblems: ["interfaces.kmip.certificateSecretRef: tls.crt is not there"] },
    ["SettingsApplied", "False", "Invalid", /^interfaces\.kmip\.certificateSecretRef: tls\.crt/],
  ],
  [
    "goes on with the certificate of before, and says that one of the clocks is wrong",
    { certificate: { state: "ExpiringSoon", message: "the one of before", refused: "OutOfTime" } },
    ["Certificates", "True", "OutOfTime", /of before/],
  ],
  [
    "goes on with the certificate of before while the document has none that can be used",
    { certificate: { state: "ExpiringSoon", message: "the one of before", refused: "Requested" } },
    ["Certificates", "True", "ExpiringSoon", /of before/],
  ],
  ["says that it serves", { ...loaded, serving: true }, ["Serving", "True", "Serving", /KMIP is served/]],
  ["says that it opens its port", loaded, ["Serving", "False", "Starting", /opening/]],
  [
    "says why the port does not open",
    { ...loaded, failure: { task: "serve", message: "EADDRINUSE" } },
    ["Serving", "False", "Starting", /EADDRINUSE/],
  ],
  [
    "says what the sponsor refused",
    { document: joining, failure: { task: "join", message: "not Joining" } },
    ["Serving", "False", "Joining", /not Joining/],
  ],
  [
    "says that the token is another one",
    { ...loaded, keyring: "stored", failure: { task: "load", message: "other token" } },
    ["Serving", "False", "RootOfTrustUnavailable", /other token/],
  ],
  ["says that it waits", {}, ["Serving", "False", "AwaitingMembership", /waits to be told/]],
  [
    "knows nothing of the HSM at first",
    { hsm: { ready: false, reason: "Starting", message: "asking" } },
    ["RootOfTrust", "Unknown", "Starting", /asking/],
  ],
  [
    "gives the HSM's own reason",
    { hsm: { ready: false, reason: "PinRefused", message: "put the PIN right" } },
    ["RootOfTrust", "False", "PinRefused", /put the PIN right/],
  ],
  ["finds the clock within the bound", {}, ["TimeSynchronised", "True", "Synchronised", /250 ms/]],
  [
    "finds the clock beyond the bound",
    { time: { servers: [{ address: "ntp", reachable: true, offsetMs: 251 }] } },
    ["TimeSynchronised", "False", "OffsetTooLarge", /mend/],
  ],
  [
    "finds no NTP server",
    { time: { servers: [{ address: "ntp", reachable: false }] } },
    ["TimeSynchronised", "False", "NoServerReachable", /none of ntp answers.*123\/UDP/],
  ],
  [
    "knows nothing of the clock at first",
    { time: { servers: undefined } },
    ["TimeSynchronised", "Unknown", "Starting", /chrony/],
  ],
  ["is alone", { ...loaded, replication: running([]) }, ["Replicating", "True", "Alone", /no other member/]],
  ["is caught up with every peer", loaded, ["Replicating", "True", "CaughtUp", /every peer/]],
  [
    "names the peer that is away",
    { ...loaded, replication: running(peers(true, false)) },
    ["Replicating", "True", "CaughtUp", /all but dc2-1/],
  ],
  [
    "reaches nobody",
    { ...loaded, replication: running(peers(false, false)) },
    ["Replicating", "False", "PeersUnreachable", /dc2-0, dc2-1.*5432/],
  ],
  [
    "tells whose log it takes no more of, and holds all else",
    {
      ...loaded,
      replication: running(peers(true, true).map((peer) => ({ ...peer, refused: "clockTooFarAhead" }))),
    },
    ["Replicating", "True", "CaughtUp", /every peer; takes nothing more of the log of dc2-0: .*day ahead.*join again/],
  ],
  [
    "has a log that runs ahead of all clocks",
    {
      ...loaded,
      replication: { ...running(peers(true)), ownLogRefused: { reason: "clockTooFarAhead", held: 7 } },
    },
    ["Replicating", "False", "LogRefused", /day ahead.*own disk only.*remove.*join again/],
  ],
  [
    "catches up",
    { ...loaded, replication: running(peers(true), false) },
    ["Replicating", "False", "CatchingUp", /pulling/],
  ],
  [
    "has a full volume",
    { ...loaded, database: { ready: true, message: "", writesRefused: "12 MiB left; give the volume more room" } },
    ["Replicating", "False", "DiskFull", /more room/],
  ],
  [
    "has a slow disk",
    { ...loaded, replication: running(peers(true)), database: { ready: true, message: "", slowDisk: true } },
    ["Replicating", "True", "CaughtUp", /every peer; its disk is slow.*look at the volume/],
  ],
  ["replicates not before it is a member", {}, ["Replicating", "False", "NotAMember", /not running/]],
  [
    "waits for its certificate",
    { certificate: { state: "Requested", message: "in the status" } },
    ["Certificates", "False", "Requested", /in the status/],
  ],
  ["has its settings in force", {}, ["SettingsApplied", "True", "Applied", /all/]],
  [
    "names the settings that wait for its next pod",
    inPod(restartDigest(oldHsm)),
    ["SettingsApplied", "False", "RestartNeeded", /^hsm, resources: .*next pod.*operator/],
  ],
  [
    "has its settings in force when its pod was made with them",
    inPod(restartDigest(newHsm)),
    ["SettingsApplied", "True", "Applied", /all/],
  ],
  [
    "of whose pod an operator of before has said nothing claims no more than it sees",
    { document: aNode({ settings: newHsm }) },
    ["SettingsApplied", "True", "Applied", /all/],
  ],
  [
    "outside Kubernetes names the port that waits until it is started again",
    { document: { ...aNode(), metadata: fromFile }, portsWaiting: ["interfaces.kmip.port"] },
    ["SettingsApplied", "False", "RestartNeeded", /^interfaces\.kmip\.port: .*start the node again/],
  ],
  [
    "tells first of what it cannot use",
    { ...inPod(restartDigest(oldHsm)), settingsProblems: ["ntp.servers: none"] },
    ["SettingsApplied", "False", "Invalid", /^ntp\.servers/],
  ],
  [
    "names the settings it has no code for",
    { document: aNode({ settings }) },
    ["SettingsApplied", "False", "NotSupported", /licence, proxy; take them out/],
  ],
  ["has not looked through its database", {}, ["StoreIntact", "Unknown", "NotAudited", /not looked through/]],
  ["finds its database as it was", { database: database({}) }, ["StoreIntact", "True", "Intact", /every row/]],
  [
    "could not look through its database the last time",
    { database: database({ audited: false, auditProblem: "PostgreSQL does not answer" }) },
    ["StoreIntact", "Unknown", "NotAudited", /not come to its end: PostgreSQL does not answer/],
  ],
  [
    "has damaged pages, whether it was looked through or not, and whatever lies on them",
    { database: database({ damagedPages: true, damagedObjects: 2 }) },
    ["StoreIntact", "False", "PagesDamaged", /pages.*not served.*join again/],
  ],
  [
    "counts the objects that were changed",
    { database: database({ damagedObjects: 2 }) },
    ["StoreIntact", "False", "ObjectsDamaged", /2 objects.*verify/],
  ],
  [
    "says that its database is not the one it wrote",
    { database: database({ damage: "rows are missing" }) },
    ["StoreIntact", "False", "Damaged", /rows are missing.*verify/],
  ],
];

for (const [sentence, change, [type, status, reason, message]] of cases) {
  test(`a node ${sentence}`, () => {
    const found = conditions({ ...someFacts(), ...change }, [], "now").find((condition) => condition.type === type);
    assert.deepEqual([found?.status, found?.reason], [status, reason]);
    assert.match(found?.message ?? "", message);
  });
}

test("every condition is always there", () => {
  const types = conditions({ ...someFacts(), document: undefined }, [], "now").map((condition) => condition.type);
  const others = ["RootOfTrust", "TimeSynchronised", "Replicating", "Certificates", "SettingsApplied", "StoreIntact"];
  assert.deepEqual(types, ["Serving", ...others]);
});

test("a condition keeps its time while its status stays, and takes the new one when it changes", () => {
  const before = conditions(someFacts(), [], "first");
  const after = conditions({ ...someFacts(), ...loaded, serving: true }, before, "second");
  const times = Object.fromEntries(after.map((condition) => [condition.type, condition.lastTransitionTime]));
  assert.equal(times.RootOfTrust, "first");
  assert.equal(times.Serving, "second");
});
