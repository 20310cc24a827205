import type { KmsNodeSpec, Member } from "@keyfleet/crds/kms-node.ts";
import { fitsLevel } from "../store/version.ts";
import { isOut } from "./departures.ts";
import { clockBoundMs, type Facts, worstOffsetMs } from "./facts.ts";

/** Why a node does not serve; the reasons of the condition Serving. */
export type NotServingReason =
  | "AwaitingMembership"
  | "Joining"
  | "RootOfTrustUnavailable"
  | "ClockOffset"
  | "VersionDiffers"
  | "NoCertificate"
  | "DatabaseUnavailable"
  | "StoreDamaged"
  | "StoreForked"
  | "Starting"
  | "Leaving"
  | "Drained"
  | "Departed";

/** What the node does next. Everything but `serve` means that clients are not served. */
export type Step =
  | { readonly do: "wait" | "refuse"; readonly reason: NotServingReason; readonly message: string }
  /** Makes the cluster's identity and its first master key. */
  | { readonly do: "found"; readonly message: string }
  /** Fetches the master key from the sponsor. */
  | { readonly do: "join"; readonly sponsor: Member; readonly message: string }
  /** Unseals this node's own copy of the master key. */
  | { readonly do: "load"; readonly message: string }
  | { readonly do: "catchUp"; readonly message: string }
  /** Takes everything away that this node holds, by consent, to come back as a new incarnation. */
  | { readonly do: "wipe"; readonly message: string }
  | { readonly do: "serve" };

/** A member that just started waits this long for its peers' news before it serves alone. */
export const peersGraceMs = 3_000;

type Rule = (facts: Facts, spec: KmsNodeSpec) => Step | undefined;

// Order is precedence: what must never happen comes before what should happen.
const rules: readonly Rule[] = [
  needsRootOfTrust,
  needsSameVersion,
  mustNotBeOut, // first: what the others ask for is not given to a life that has ended; consent to wipe it is the way back
  needsCertificate,
  needsDatabase,
  needsMembership,
  needsSameCluster,
  needsClock,
  needsMasterKey,
  leavesWhenTold,
  needsPeersNews,
];

/** The next step that the facts ask for; pure, the same facts give the same step. */
export function nextStep(facts: Facts): Step {
  if (facts.document === undefined) return wait("Starting", facts.documentProblem ?? "reading the node's document");
  const spec = facts.document.spec;
  for (const rule of rules) {
    const step = rule(facts, spec);
    if (step !== undefined) return step;
  }
  return { do: "serve" };
}

function needsRootOfTrust(facts: Facts): Step | undefined {
  if (facts.hsm.ready) return undefined;
  return refuse("RootOfTrustUnavailable", `the HSM is not usable (${facts.hsm.reason}): ${facts.hsm.message}`);
}

function needsSameVersion(facts: Facts, spec: KmsNodeSpec): Step | undefined {
  if (spec.membership.action === "Leave") return undefined;
  const level = fitsLevel(facts.ownVersion, spec.featureLevel);
  // It would not understand what the others write.
  if (level === "tooOld") return refuse("VersionDiffers", tooOld(facts, spec));
  // A serving node goes on until it is restarted with the new image: the fleet's upgrade drains it when its turn comes.
  if (facts.serving) return undefined;
  if (level === "tooNew") return refuse("VersionDiffers", tooNew(facts, spec));
  if (spec.version === facts.ownVersion) return undefined;
  const message = `this node runs ${facts.ownVersion}, its spec asks for ${spec.version}`;
  return refuse("VersionDiffers", `${message}; run the image of that version, or set the version back`);
}

function tooOld({ ownVersion }: Facts, { featureLevel }: KmsNodeSpec): string {
  return `this node runs ${ownVersion}, and the fleet uses what only ${featureLevel} knows; run the image of ${featureLevel}`;
}

function tooNew({ ownVersion }: Facts, { featureLevel }: KmsNodeSpec): string {
  const step = "go from one minor version to the next, and finish each upgrade first";
  return `this node runs ${ownVersion}, more than one minor version beyond the fleet's feature level ${featureLevel}; ${step}`;
}

function needsCertificate(facts: Facts): Step | undefined {
  const { state, message } = facts.certificate;
  return state === "Valid" || state === "ExpiringSoon" ? undefined : wait("NoCertificate", message);
}

function needsDatabase(facts: Facts): Step | undefined {
  const { damage } = facts.database;
  if (damage !== undefined)
    return refuse("StoreDamaged", `the database is not as this node wrote it: ${damage}; ${damageRemedy}`);
  return facts.database.ready ? undefined : wait("DatabaseUnavailable", facts.database.message);
}

/** What to do with a node whose database cannot be trusted. */
export const damageRemedy = "run keyfleet-node verify, then remove the node and let it join again with an empty volume";

function mustNotBeOut(facts: Facts, spec: KmsNodeSpec): Step | undefined {
  const own = spec.members.find((member) => member.name === facts.document?.metadata.name);
  if (!isOut(own, facts.incarnation)) return undefined;
  if (own?.standing === "Fenced")
    return wait("Departed", "the fleet removes this node; its members no longer speak to it");
  const { rejoin } = spec.membership;
  // What cannot be undone needs three to agree: the entry that departed, the consent, and the log that is here.
  if (rejoin !== undefined && rejoin === own?.incarnation && rejoin === facts.incarnation)
    return { do: "wipe", message: "wiping what was held before the departure, to come back as a new incarnation" };
  const consent = `annotate the KmsCluster with keyfleet.io/rejoin: ${facts.document?.metadata.name}`;
  return wait(
    "Departed",
    `this node has left the fleet; to wipe it and let it join anew, name it in the spec and ${consent}`,
  );
}

function needsMembership(_facts: Facts, spec: KmsNodeSpec): Step | undefined {
  if (spec.membership.action !== "None") return undefined;
  return wait("AwaitingMembership", "ready; waits to be told to found or to join");
}

/** It goes on replicating: the others take what they do not hold yet. */
function leavesWhenTold(facts: Facts, spec: KmsNodeSpec): Step | undefined {
  if (spec.membership.action !== "Leave") return undefined;
  return facts.serving || facts.draining
    ? wait("Leaving", "leaves the fleet; finishes what clients began")
    : wait("Drained", "leaves the fleet; no client is served and every write is finished");
}

function needsSameCluster(facts: Facts, spec: KmsNodeSpec): Step | undefined {
  if (facts.clusterId === undefined || spec.clusterId === undefined || facts.clusterId === spec.clusterId)
    return undefined;
  return refuse(
    "AwaitingMembership",
    `this node's volume belongs to cluster ${facts.clusterId}, its spec to ${spec.clusterId}; give it an empty volume or its own spec`,
  );
}

function needsClock(facts: Facts, spec: KmsNodeSpec): Step | undefined {
  // Only before the first service: a member whose clock drifts later is reported, and goes on (the keys are needed).
  const { action } = spec.membership;
  if (action === "Member" || action === "Leave" || facts.keyring !== "none") return undefined;
  const offsetMs = worstOffsetMs(facts.time);
  const boundMs = clockBoundMs(facts.document);
  if (offsetMs !== undefined && offsetMs <= boundMs) return undefined;
  if (offsetMs === undefined && facts.time.servers === undefined) return wait("Starting", "waits for the time service");
  if (offsetMs === undefined) return refuse("ClockOffset", noServer(spec));
  const message = `the clock is off by ${Math.round(offsetMs)} ms, the bound is ${boundMs} ms`;
  return refuse("ClockOffset", `${message}; mend the machine's clock or settings.ntp.servers`);
}

function noServer(spec: KmsNodeSpec): string {
  const servers = spec.settings.ntp?.servers ?? [];
  if (servers.length === 0) return "the clock cannot be checked: set settings.ntp.servers";
  return `the clock cannot be checked: none of ${servers.join(", ")} answers; check settings.ntp.servers and 123/UDP`;
}

function needsMasterKey(facts: Facts, spec: KmsNodeSpec): Step | undefined {
  if (facts.keyring === "loaded") return undefined;
  if (facts.keyring === "stored") return { do: "load", message: "unsealing the master key" };
  if (spec.membership.action === "Found") return found(spec);
  if (spec.membership.action === "Join") return join(spec);
  if (spec.membership.action === "Leave") return undefined; // it holds nothing that others could miss
  return refuse(
    "AwaitingMembership",
    "the spec says Member, but this node's volume holds no master key; remove the node and let it join anew",
  );
}

function found(spec: KmsNodeSpec): Step {
  // Founding twice would split the fleet into two that cannot read each other's keys.
  if (spec.clusterId === undefined) return { do: "found", message: "making the cluster's master key" };
  return refuse("AwaitingMembership", `cluster ${spec.clusterId} exists already; this node must join it, not found it`);
}

function join(spec: KmsNodeSpec): Step {
  if (spec.clusterId === undefined)
    return wait("Joining", "waits for spec.clusterId, which the founder's status gives");
  const { sponsor: name } = spec.membership;
  const sponsor = spec.members.find((member) => member.name === name && member.standing === "Member");
  if (name === undefined || sponsor === undefined) {
    return wait("Joining", `waits for a sponsor: ${name ?? "none"} is not a member in spec.members`);
  }
  if (sponsor.address === undefined) return wait("Joining", `waits for the address of its sponsor ${name}`);
  return { do: "join", sponsor, message: `waits for ${name} to hand over the master key` };
}

function needsPeersNews(facts: Facts, spec: KmsNodeSpec): Step | undefined {
  const { caughtUp, runningMs, peers, importing, forked } = facts.replication;
  if (forked !== undefined) return refuse("StoreForked", forked);
  if (importing !== undefined) return { do: "catchUp", message: importing };
  if (spec.membership.action === "Join") {
    return { do: "catchUp", message: caughtUp ? "caught up; waits to be made a member" : "pulling the log" };
  }
  if (runningMs === undefined) return { do: "catchUp", message: "starting replication" };
  const alone = peers.length === 0 || runningMs >= peersGraceMs;
  return facts.serving || caughtUp || alone ? undefined : { do: "catchUp", message: "asking the peers for news" };
}

function wait(reason: NotServingReason, message: string): Step {
  return { do: "wait", reason, message };
}

function refuse(reason: NotServingReason, message: string): Step {
  return { do: "refuse", reason, message };
}
