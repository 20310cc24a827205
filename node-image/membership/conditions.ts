import type { Condition, KmsNode } from "@keyfleet/crds/kms-node.ts";
import { changedSince } from "@keyfleet/crds/restart-settings.ts";
import { unsupportedSettings } from "../config/document.ts";
import { clockBoundMs, type Facts, worstOffsetMs } from "./facts.ts";
import { damageRemedy, nextStep, type Step } from "./next-step.ts";

type Verdict = Pick<Condition, "status" | "reason" | "message">;

const verdicts: Readonly<Record<string, (facts: Facts, step: Step) => Verdict>> = {
  Serving: serving,
  RootOfTrust: rootOfTrust,
  TimeSynchronised: timeSynchronised,
  Replicating: replicating,
  Certificates: certificates,
  SettingsApplied: settingsApplied,
  StoreIntact: storeIntact,
};

/** The seven conditions of a KmsNode; `previous` gives the times of those that did not change, `now` (ISO 8601) the others'. */
export function conditions(facts: Facts, previous: readonly Condition[], now: string): Condition[] {
  const step = nextStep(facts);
  return Object.entries(verdicts).map(([type, judge]) => {
    const verdict = judge(facts, step);
    const before = previous.find((condition) => condition.type === type);
    const same = before?.status === verdict.status;
    return { type, ...verdict, lastTransitionTime: same && before ? before.lastTransitionTime : now };
  });
}

function serving(facts: Facts, step: Step): Verdict {
  if (facts.ending) return no("Ending", "the node's process ends; clients go on at another node");
  if (step.do === "wait" || step.do === "refuse") return no(step.reason, step.message);
  if (step.do === "serve" && facts.serving) return yes("Serving", "KMIP is served");
  const failed = facts.failure?.task === step.do ? facts.failure.message : undefined;
  return no(reasonOf(facts, step, failed), failed ?? (step.do === "serve" ? "opening the KMIP port" : step.message));
}

function reasonOf(facts: Facts, step: Step, failed: string | undefined): string {
  // The HSM answers, yet does not unseal: it is not the one that sealed this node's master key.
  if (step.do === "load" && failed !== undefined) return "RootOfTrustUnavailable";
  return facts.document?.spec.membership.action === "Join" ? "Joining" : "Starting";
}

function rootOfTrust({ hsm }: Facts): Verdict {
  if (hsm.reason === "Starting") return { status: "Unknown", reason: hsm.reason, message: hsm.message };
  return hsm.ready ? yes(hsm.reason, hsm.message) : no(hsm.reason, hsm.message);
}

function timeSynchronised(facts: Facts): Verdict {
  const { servers } = facts.time;
  if (servers === undefined) return { status: "Unknown", reason: "Starting", message: "chrony has not answered yet" };
  const offsetMs = worstOffsetMs(facts.time);
  const boundMs = clockBoundMs(facts.document);
  const names = servers.map((server) => server.address).join(", ");
  if (offsetMs === undefined) {
    const cause = names === "" ? "no NTP server is set" : `none of ${names} answers`;
    return no("NoServerReachable", `${cause}; check settings.ntp.servers and 123/UDP`);
  }
  if (offsetMs <= boundMs) return yes("Synchronised", `within ${boundMs} ms of its NTP servers`);
  return no("OffsetTooLarge", `off by more than ${boundMs} ms; mend the machine's clock or settings.ntp.servers`);
}

const slowDisk = "its disk is slow: a write took a second or more to be durable in the last minute; look at the volume";

function replicating(facts: Facts): Verdict {
  const { peers, caughtUp, runningMs, importing, needing, ownLogRefused } = facts.replication;
  if (facts.database.writesRefused !== undefined) return no("DiskFull", facts.database.writesRefused);
  if (facts.keyring !== "loaded" || runningMs === undefined) return no("NotAMember", "replication is not running");
  if (peers.length === 0) return yes("Alone", "there is no other member");
  const missing = peers.filter((peer) => !peer.connected).map((peer) => peer.name);
  if (missing.length === peers.length) {
    return no("PeersUnreachable", `cannot reach ${missing.join(", ")}; check 5432/TCP both ways and the certificates`);
  }
  if (ownLogRefused?.reason === "clockTooFarAhead") return no("LogRefused", ahead);
  if (!caughtUp) return no("CatchingUp", importing ?? needing ?? "pulling what the peers hold");
  const links = missing.length === 0 ? "connected to every peer" : `connected to all but ${missing.join(", ")}`;
  const troubles = [...refusedLogs(peers), ...(facts.database.slowDisk ? [slowDisk] : [])];
  return yes("CaughtUp", [links, ...troubles].join("; "));
}

const ahead =
  "its log runs more than a day ahead of the other members' clocks: they take nothing of it before its time has come, and " +
  "what it writes is on its own disk only; remove this node, then let it join again";

const changed = "its database is not as it was written; run keyfleet-node verify there";
const again = "remove that node, then let it join again";

/** What is wrong with the log of a peer that is refused, and what to do. */
const wrongWith: Readonly<Record<string, string>> = {
  clockTooFarAhead: `it runs more than a day ahead of the clocks; ${again}`,
  forked: `there are two of that name, since it was started from an older disk; ${again}`,
  badMac: changed,
  malformed: changed,
};

function refusedLogs(peers: Facts["replication"]["peers"]): readonly string[] {
  return peers.flatMap(({ name, refused }) => {
    const what = wrongWith[refused ?? ""];
    return what === undefined ? [] : [`takes nothing more of the log of ${name}: ${what}`];
  });
}

function certificates({ certificate }: Facts): Verdict {
  const good = certificate.state === "Valid" || certificate.state === "ExpiringSoon";
  const { state, refused, message } = certificate;
  // What the operator signed is not good by this node's clock: one of the two clocks is wrong, and it is to know.
  return good ? yes(refused === "OutOfTime" ? refused : state, message) : no(state, message);
}

function settingsApplied(facts: Facts): Verdict {
  if (facts.document === undefined)
    return { status: "Unknown", reason: "Applied", message: "no document has been read" };
  if (facts.documentProblem !== undefined && facts.document.metadata.resourceVersion === undefined) {
    return no("NotSupported", `${facts.documentProblem}; the last good document is in force`);
  }
  const [problem, ...more] = facts.settingsProblems;
  if (problem !== undefined) return no("Invalid", [problem, ...more].join("; "));
  const fields = unsupportedSettings(facts.document.spec.settings);
  if (fields.length === 0) return inForce(facts, facts.document);
  return no(
    "NotSupported",
    `this version has no ${fields.join(", ")}; take ${fields.length === 1 ? "it" : "them"} out of the settings`,
  );
}

function inForce({ startedWith = "", portsWaiting }: Facts, { metadata, spec }: KmsNode): Verdict {
  const fields: readonly string[] = changedSince(startedWith, spec.settings);
  const ports = fields.includes("interfaces") ? [] : portsWaiting;
  const waiting = [...fields, ...ports].join(", ");
  if (waiting === "") return yes("Applied", "all settings are in force");
  const inPod = "in force with the next pod, which the operator makes when it is this node's turn";
  const onMachine = "in force after a restart; start the node again when an interruption suits";
  return no("RestartNeeded", `${waiting}: ${metadata.resourceVersion === undefined ? onMachine : inPod}`);
}

function storeIntact({ database }: Facts): Verdict {
  const { damage, damagedObjects = 0, audited = false, auditProblem } = database;
  if (damage !== undefined) return no("Damaged", `${damage}; ${damageRemedy}`);
  if (database.damagedPages) return no("PagesDamaged", damagedPages);
  if (damagedObjects > 0) {
    return no(
      "ObjectsDamaged",
      `${damagedObjects} objects were changed in the database and are not served; ${damageRemedy}`,
    );
  }
  if (!audited) return { status: "Unknown", reason: "NotAudited", message: notAudited(auditProblem) };
  return yes("Intact", "every row is as a member of the fleet wrote it");
}

const damagedPages =
  "PostgreSQL found pages of its files damaged: what lies on them is not served, and peers may not get it from here; " +
  "look at the volume, then remove the node and let it join again with an empty one";

function notAudited(problem: string | undefined): string {
  if (problem === undefined) return "the database was not looked through yet";
  return `the last look through the database did not come to its end: ${problem}; it is tried again`;
}

function yes(reason: string, message: string): Verdict {
  return { status: "True", reason, message };
}

function no(reason: string, message: string): Verdict {
  return { status: "False", reason, message };
}
