import type { Desired } from "../desired/desired.ts";
import type { Observed } from "../ports/types.ts";
import { complaints } from "./complaints.ts";
import { endFleet, followEnd } from "./ending.ts";
import { finish } from "./finish.ts";
import { found } from "./found.ts";
import { join } from "./join.ts";
import { keptVolumes } from "./kept-volumes.ts";
import { removeDead, removeJoiner, removeOne } from "./leave.ts";
import { settleLock } from "./lock.ts";
import { nodeObjects, siteObjects } from "./node-objects.ts";
import { raiseLevel } from "./raise-level.ts";
import { finishRemoval } from "./removal.ts";
import { removeObjects } from "./remove.ts";
import { restartIdle, restartOne } from "./restart.ts";
import { rollOne } from "./roll.ts";
import { siteCa } from "./site-ca.ts";
import type { Blocked, CertificateNeed, FleetPolicy, FleetStep, LocalPolicy, Plan, View } from "./types.ts";

/** While something is going on, look again after this time although nothing changed: patience ends with time only. */
const longestWaitMs = 5_000;

/** Fleet work: the order is precedence; the first with an opinion decides. What was begun is finished first. */
const fleetPolicies: readonly FleetPolicy[] = [
  finishRemoval, // a node that leaves has departed
  finish, // a node that founds or joins becomes a member
  settleLock, // the node touched last serves again: give the lock back; until then nothing else
  removeJoiner, // a node that was to join and is not wanted any more
  found,
  join,
  removeDead, // a member that the specification dropped and that does not serve
  restartOne, // a member whose pod is out of date
  rollOne, // another version, other settings
  removeOne, // a member that the specification dropped and that serves: what comes is there before what goes
  raiseLevel, // no way back from there
];

/** Site-local and safe: done at once, whatever the other sites do. */
const localPolicies: readonly LocalPolicy[] = [
  siteCa,
  siteObjects, // the budget of disruptions
  removeObjects,
  keptVolumes,
  nodeObjects, // make what is missing, put right what was changed, sign certificates, and take the fleet's step
  followEnd, // another site ends the fleet
  restartIdle, // a node that does not serve may always take a newer specification
];

/** What shall be and what is → what to do now. Pure; the same facts give the same plan in every site. */
export function planNext(desired: Desired, observed: Observed, certificateNeed: CertificateNeed): Plan {
  const view: View = { desired, observed, certificateNeed };
  const end = endFleet(view);
  if (end !== undefined) return end;
  const { step, closed } = firstOpinion(view);
  const actions = [
    ...localPolicies.flatMap((policy) => policy(view, step)),
    ...(step?.kind === "actions" ? step.actions : []),
  ];
  const blocked = unique([...closed, ...complaints(view)]);
  const shared = { doing: step?.doing, blocked: blocked.filter(({ passing }) => !passing) };
  const recheckAfterMs = Math.min(longestWaitMs, ...blocked.flatMap(({ opensInMs }) => opensInMs ?? []));
  const isGoingOn = step !== undefined || blocked.some(({ passing }) => passing);
  if (actions.length > 0) return { kind: "act", actions, ...(isGoingOn ? { recheckAfterMs } : {}), ...shared };
  if (blocked.some(({ passing }) => passing)) return { kind: "wait", recheckAfterMs, ...shared };
  if (shared.blocked.length > 0) return { kind: "blocked", ...shared };
  return step === undefined ? { kind: "settled", ...shared } : { kind: "wait", recheckAfterMs, ...shared };
}

/** The first opinion decides, but what only a person can mend does not hold up what comes after it. */
function firstOpinion(view: View): { step: FleetStep | undefined; closed: readonly Blocked[] } {
  let yielded: FleetStep | undefined;
  const closed: Blocked[] = [];
  for (const policy of fleetPolicies) {
    const step = policy(view);
    if (step === undefined) continue;
    if (step.kind === "wait") closed.push(...step.blocked);
    if (step.kind !== "wait" || !step.yields) return { step, closed };
    yielded ??= step;
  }
  return { step: yielded, closed };
}

function unique(blocked: readonly Blocked[]): Blocked[] {
  return [...new Map(blocked.map((one) => [`${one.gate}/${one.subject}`, one])).values()];
}
