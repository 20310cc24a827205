import assert from "node:assert/strict";
import { test } from "node:test";
import type { KmsNodeSpec, Member } from "@keyfleet/crds/kms-node.ts";
import { aNode, someFacts } from "../testing/facts.ts";
import type { Facts } from "./facts.ts";
import { nextStep } from "./next-step.ts";

const none = aNode();
const found = aNode({ membership: { action: "Found" } });
const joining = aNode({ clusterId: "c-1", membership: { action: "Join", sponsor: "dc2-a" } });
const member = aNode({ clusterId: "c-1", membership: { action: "Member" } });
const standing = (as: Member["standing"], incarnation: string, membership: KmsNodeSpec["membership"]) =>
  aNode({
    clusterId: "c-1",
    membership,
    members: none.spec.members.map((each) => ({ ...each, standing: as, incarnation })),
  });
const departed = standing("Departed", "log-1", { action: "Member" });
const leaving = aNode({ clusterId: "c-1", membership: { action: "Leave" } });
const newer = aNode({ ...member.spec, version: "0.2.0" });
const noSponsor = aNode({ clusterId: "c-1", membership: { action: "Join", sponsor: "dc9-z" } });
const lostHsm = { ready: false, reason: "DeviceLost", message: "gone" } as const;
const clockOff = { servers: [{ address: "ntp", reachable: true, offsetMs: -1_200 }] };
const noClock = { servers: [{ address: "ntp", reachable: false }] };
const news = { peers: [{ name: "dc2-a", connected: true }], caughtUp: true, runningMs: 10 };
const noNews = { ...news, caughtUp: false };
const nobody = { peers: [{ name: "dc2-a", connected: false }], caughtUp: false, runningMs: 3_000 };
const loaded = { document: member, keyring: "loaded", clusterId: "c-1", replication: news } as const;

// A case is a sentence, what differs from a node that has everything, and what it does: step, then reason.
const cases: readonly (readonly [string, Partial<Facts>, string])[] = [
  ["starts while its document is not read", { document: undefined }, "wait Starting"],
  ["waits to be told", { document: none }, "wait AwaitingMembership"],
  ["founds when told to and its clock is right", { document: found }, "found"],
  [
    "founds not in a cluster that exists",
    { document: aNode({ ...found.spec, clusterId: "c-1" }) },
    "refuse AwaitingMembership",
  ],
  ["founds not with a clock beyond the bound", { document: found, time: clockOff }, "refuse ClockOffset"],
  ["joins by its sponsor", { document: joining }, "join"],
  ["waits for a sponsor that is a member", { document: noSponsor }, "wait Joining"],
  ["joins not with a clock beyond the bound", { document: joining, time: clockOff }, "refuse ClockOffset"],
  ["joins not with a clock that cannot be checked", { document: joining, time: noClock }, "refuse ClockOffset"],
  ["waits while chrony starts", { document: joining, time: { servers: undefined } }, "wait Starting"],
  ["joins not with another version", { document: joining, ownVersion: "0.2.0" }, "refuse VersionDiffers"],
  ["joins not without its HSM", { document: joining, hsm: lostHsm }, "refuse RootOfTrustUnavailable"],
  [
    "goes on with a join that crashed after the handover",
    { document: joining, keyring: "stored", clusterId: "c-1" },
    "load",
  ],
  ["stays joining when caught up, until it is made a member", { ...loaded, document: joining }, "catchUp"],
  ["serves as a member", loaded, "serve"],
  ["serves on with a clock that drifted later", { ...loaded, time: clockOff }, "serve"],
  ["serves on while its spec asks for a newer version", { ...loaded, document: newer, serving: true }, "serve"],
  ["starts no service with another version", { ...loaded, document: newer }, "refuse VersionDiffers"],
  [
    "serves at a feature level below its version, until all have it",
    { ...loaded, document: newer, ownVersion: "0.2.0" },
    "serve",
  ],
  [
    "stops when the fleet writes what it does not know",
    { ...loaded, document: aNode({ ...member.spec, featureLevel: "0.2.0" }), serving: true },
    "refuse VersionDiffers",
  ],
  [
    "starts no service two minor versions beyond the feature level",
    { ...loaded, document: aNode({ ...member.spec, version: "0.3.0" }), ownVersion: "0.3.0" },
    "refuse VersionDiffers",
  ],
  ["stops at once without its HSM", { ...loaded, serving: true, hsm: lostHsm }, "refuse RootOfTrustUnavailable"],
  ["unseals again when the HSM is back", { ...loaded, keyring: "stored" }, "load"],
  ["waits for PostgreSQL", { ...loaded, database: { ready: false, message: "no" } }, "wait DatabaseUnavailable"],
  [
    "stops at once when its database is not as it wrote it",
    { ...loaded, serving: true, database: { ready: true, message: "", damage: "rows are missing" } },
    "refuse StoreDamaged",
  ],
  [
    "stops at once when it was started from an older disk and has written since",
    { ...loaded, serving: true, replication: { ...news, forked: "older" } },
    "refuse StoreForked",
  ],
  [
    "serves nothing while it takes in a snapshot, however long that takes",
    { ...loaded, serving: true, replication: { ...news, runningMs: 900_000, importing: "taking a snapshot" } },
    "catchUp",
  ],
  [
    "serves what it holds while it finds nobody to take a snapshot from, which it would need to follow the others",
    { ...loaded, serving: true, replication: { ...noNews, needing: "no snapshot from dc2-a" } },
    "serve",
  ],
  ["waits for its certificate", { ...loaded, certificate: { state: "Requested", message: "" } }, "wait NoCertificate"],
  [
    "serves with a certificate that ends soon",
    { ...loaded, certificate: { state: "ExpiringSoon", message: "" } },
    "serve",
  ],
  ["asks its peers for news before it serves", { ...loaded, replication: noNews }, "catchUp"],
  ["serves alone when no peer answers", { ...loaded, replication: nobody }, "serve"],
  ["does not leave service because news lag", { ...loaded, replication: noNews, serving: true }, "serve"],
  [
    "serves the founded cluster before it is named a member",
    { ...loaded, document: found, replication: { ...news, peers: [] } },
    "serve",
  ],
  [
    "is no member without its master key",
    { ...loaded, keyring: "none", clusterId: undefined },
    "refuse AwaitingMembership",
  ],
  ["serves no other cluster's data", { ...loaded, clusterId: "c-2" }, "refuse AwaitingMembership"],
  ["serves not after it has left", { ...loaded, document: departed }, "wait Departed"],
  [
    "serves not while the others do not speak to it",
    { ...loaded, document: standing("Fenced", "log-1", { action: "Member" }) },
    "wait Departed",
  ],
  [
    "wipes itself when it has left and its very log is named",
    { document: standing("Departed", "log-1", { action: "None", rejoin: "log-1" }) },
    "wipe",
  ],
  [
    "wipes a damaged store too, by the same consent",
    {
      database: { ready: true, message: "", damage: "a row was changed" },
      document: standing("Departed", "log-1", { action: "None", rejoin: "log-1" }),
    },
    "wipe",
  ],
  [
    "wipes itself without a certificate, which the fleet signs for no life that has ended (its new addresses may need one)",
    {
      certificate: { state: "Requested", message: "" },
      document: standing("Departed", "log-1", { action: "None", rejoin: "log-1" }),
    },
    "wipe",
  ],
  [
    "says that it has left, not that it has no certificate",
    { certificate: { state: "Requested", message: "" }, document: departed },
    "wait Departed",
  ],
  [
    "wipes nothing by a consent to another log",
    { document: standing("Departed", "log-1", { action: "None", rejoin: "log-0" }) },
    "wait Departed",
  ],
  [
    "wipes nothing that has not departed, whatever the consent",
    { ...loaded, document: standing("Member", "log-1", { action: "Member", rejoin: "log-1" }) },
    "serve",
  ],
  [
    "wipes nothing of a fenced node: what it holds may still be asked for",
    { document: standing("Fenced", "log-1", { action: "None", rejoin: "log-1" }) },
    "wait Departed",
  ],
  [
    "comes back as a new incarnation and waits for its turn",
    { incarnation: "log-2", document: standing("Departed", "log-1", { action: "None", rejoin: "log-1" }) },
    "wait AwaitingMembership",
  ],
  ["finishes what clients began when it leaves", { ...loaded, document: leaving, serving: true }, "wait Leaving"],
  ["still finishes it after its port is closed", { ...loaded, document: leaving, draining: true }, "wait Leaving"],
  ["is drained when nobody is served any more", { ...loaded, document: leaving }, "wait Drained"],
  ["unseals to go on replicating while it leaves", { document: leaving, keyring: "stored", clusterId: "c-1" }, "load"],
  ["leaves whatever its version", { ...loaded, document: leaving, ownVersion: "0.0.9" }, "wait Drained"],
  ["leaves with a clock that drifted", { ...loaded, document: leaving, time: clockOff }, "wait Drained"],
  ["has nothing to finish when it never held a key", { document: leaving }, "wait Drained"],
];

for (const [sentence, change, expected] of cases) {
  test(sentence, () => {
    const step = nextStep({ ...someFacts(), ...change });
    assert.equal("reason" in step ? `${step.do} ${step.reason}` : step.do, expected);
  });
}

test("a refusal says what to do", () => {
  const step = nextStep({ ...someFacts(), document: joining, time: clockOff });
  const message = "the clock is off by 1200 ms, the bound is 250 ms; mend the machine's clock or settings.ntp.servers";
  assert.deepEqual(step, { do: "refuse", reason: "ClockOffset", message });
});
