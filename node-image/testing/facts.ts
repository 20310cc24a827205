import type { KmsNode, KmsNodeSpec, Member } from "@keyfleet/crds/kms-node.ts";
import type { Facts } from "../membership/facts.ts";

const members: Member[] = ["dc1-a", "dc2-a"].map((name) => ({
  name,
  site: name.slice(0, 3),
  address: "192.0.2.1",
  identity: `CN=${name},OU=${name.slice(0, 3)},O=bank`,
  standing: "Member",
}));

/** The document of node dc1-a of cluster bank, not told to do anything. */
export function aNode(spec: Partial<KmsNodeSpec> = {}): KmsNode {
  return {
    apiVersion: "keyfleet.io/v1alpha1",
    kind: "KmsNode",
    metadata: { name: "dc1-a", namespace: "keyfleet", resourceVersion: "1", generation: 1 },
    spec: {
      cluster: "bank",
      site: "dc1",
      version: "0.1.0",
      featureLevel: "0.1.0",
      settings: { ntp: { servers: ["ntp"], maxOffsetMs: 250 } },
      durability: "EverySite",
      membership: { action: "None" },
      members,
      clients: { caBundle: "", administrators: [] },
      ...spec,
    },
  };
}

/** A node that has everything to go on, and no master key yet. */
export function someFacts(): Facts {
  return {
    ownVersion: "0.1.0",
    document: aNode(),
    documentProblem: undefined,
    hsm: { ready: true, reason: "Ready", message: "token dc1 is open", tokenLabel: "dc1" },
    time: { servers: [{ address: "ntp", reachable: true, stratum: 2, offsetMs: 0.4 }] },
    certificate: { state: "Valid", message: "valid until 2027-01-01", notAfter: "2027-01-01T00:00:00.000Z" },
    database: { ready: true, message: "PostgreSQL answers" },
    keyring: "none",
    clusterId: undefined,
    incarnation: "log-1",
    departures: [],
    replication: { peers: [], caughtUp: false, runningMs: undefined },
    serving: false,
    draining: false,
    ending: false,
    ownCertificate: { parts: undefined, problem: undefined },
    settingsProblems: [],
    startedWith: undefined,
    portsWaiting: [],
    failure: undefined,
  };
}
