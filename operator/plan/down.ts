import { hasConsent } from "../desired/consent.ts";
import { conditionOf, type NodeFacts, objectOf } from "../desired/facts.ts";
import { hsmReady } from "./node-gates.ts";
import { idleMs } from "./patience.ts";
import { podProblem } from "./pod-problems.ts";
import type { Blocked, View } from "./types.ts";

/** A member that comes back by itself does so in less. */
const comebackMs = 60_000;

/**
 * Wanted members of this site, and those that come back by consent, that have not served for longer than those that come back by themselves, but for the one that
 * is under a step, of which its step tells. Nothing waits for them: what mends them may be work on the fleet. It is one gate
 * whatever the cause, since what a crashing pod says changes all the time.
 */
export function downMembers(view: View): Blocked[] {
  return view.desired.fleet.nodes
    .filter((facts) => isDown(view, facts))
    .map((facts) => ({ gate: "memberServes", subject: facts.name, ...whyDown(view, facts) }));
}

function isDown(view: View, facts: NodeFacts): boolean {
  const { name, entry, local, siteReachable, standing, serving } = facts;
  // Who is told to wipe itself is on its way to be one again, which begins within seconds.
  const isDue = standing === "Member" || (standing === "Departed" && hasConsent(view.observed, facts));
  const isOurs = local && siteReachable && entry !== undefined && isDue;
  return isOurs && !serving && view.observed.lock.node !== name && idleMs(view, facts) >= comebackMs;
}

type Cause = Pick<Blocked, "message" | "remedy">;

/** Its pod first: what a node says is old when that does not run. */
function whyDown(view: View, facts: NodeFacts): Cause {
  const pod = podProblem(view.observed, facts.name);
  if (pod !== undefined && !pod.passing) return { message: pod.message, remedy: pod.remedy };
  const serving = conditionOf(facts.node, "Serving");
  if (serving?.status === "True") return silent(view, facts);
  const hsm = conditionOf(facts.node, "RootOfTrust")?.status === "False" ? hsmReady(view, facts) : undefined;
  if (hsm !== undefined) return { message: hsm.message, remedy: hsm.remedy };
  const { name, site } = facts;
  return {
    message: `${name} does not serve: ${serving?.message || "it says nothing"}`,
    remedy: `mend ${name}: see kubectl describe kmsnode ${name} in site ${site}; to give it up, take it out of the specification`,
  };
}

/** It said last that it serves, and was cut off from saying more. */
function silent(view: View, { name, site }: NodeFacts): Cause {
  if (objectOf(view.observed, "Pod", `${name}-0`) === undefined)
    return { message: `${name} has no pod`, remedy: `see kubectl describe statefulset ${name} in site ${site}` };
  return {
    message: `${name} does not serve: its pod is not ready, and it could not say why`,
    remedy:
      `see kubectl describe pod ${name}-0 and kubectl get nodes in site ${site}; bring its machine back. ` +
      `If that is lost with the volume, take ${name} out of the specification and add it again`,
  };
}
