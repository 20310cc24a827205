import { act, type Outcome } from "./act/act.ts";
import { certificateNeed } from "./act/certificates.ts";
import { isCaOfSite } from "./act/site-ca.ts";
import { desiredObjects } from "./desired/desired.ts";
import { failures } from "./plan/failures.ts";
import { planNext } from "./plan/plan.ts";
import type { Plan, View } from "./plan/types.ts";
import type { Action, KubernetesObject, PassPorts, PassResult, Reconcile } from "./ports/types.ts";
import { eventsOf } from "./status/events.ts";
import { fleetStatus } from "./status/fleet-status.ts";

/** No watch tells this process of its own lock, and the next step waits for it only. */
const afterLockMs = 50;
/** What was written comes back by the watch; this is for what does not. */
const afterActionMs = 1_000;

/** One pass over one KmsCluster: look, think, do at most one step on the fleet, say so. */
export const reconcile: Reconcile = async (_name, ports) => {
  const observed = await ports.observe();
  if (observed === undefined) return { outcome: "gone" };
  const desired = desiredObjects(observed, { image: ports.nodeImage, isCaOfSite });
  const plan = planNext(desired, observed, certificateNeed);
  const view = { observed, desired, certificateNeed };
  const outcome = await carryOut(plan, view, ports);
  if (outcome.done.some(({ kind }) => kind === "letGo")) return { outcome: "gone" };
  await report(failures(plan, outcome.failed), view, { outcome, ports });
  return result(plan, outcome);
};

function isOfLock({ kind }: Action): boolean {
  return kind === "takeLock" || kind === "releaseLock";
}

async function carryOut(plan: Plan, { observed }: View, ports: PassPorts): Promise<Outcome> {
  if (plan.kind !== "act") return { done: [], failed: [] };
  const cluster = observed.cluster as unknown as KubernetesObject;
  const { api, lock, clock, log, signal } = ports;
  return await act(plan.actions, { cluster, site: observed.site, api, lock, clock, log, signal });
}

async function report(
  plan: Plan,
  view: View,
  { outcome, ports }: { outcome: Outcome; ports: PassPorts },
): Promise<void> {
  const { cluster } = view.observed;
  const status = fleetStatus(view, plan);
  const wrote = await ports.api.writeStatus({ ...(cluster as unknown as KubernetesObject), status });
  if (!wrote && outcome.done.length === 0) return;
  for (const event of eventsOf(cluster, wrote ? status : (cluster.status ?? status), outcome.done))
    await ports.api.event(event);
}

/**
 * After an action the watch brings the next pass; a failed one is tried again with the runtime's backoff. The rest does not
 * wait for that: one Service that is refused for ever must not slow down an upgrade.
 */
function result(plan: Plan, outcome: Outcome): PassResult {
  if (outcome.failed.length > 0) {
    const message = outcome.failed.map(({ message }) => message).join("; ");
    throw Object.assign(new Error(message), { requeueAfterMs: restAfterMs(plan, outcome) });
  }
  switch (plan.kind) {
    case "act":
      return { outcome: "acted", requeueAfterMs: afterDoneMs(outcome) };
    case "wait":
      return { outcome: "waiting", requeueAfterMs: plan.recheckAfterMs };
    default:
      return { outcome: plan.kind };
  }
}

/** When to look again for the sake of what did not fail; undefined when nothing else is going on. */
function restAfterMs(plan: Plan, outcome: Outcome): number | undefined {
  if (outcome.done.length > 0) return afterDoneMs(outcome);
  return plan.kind === "act" ? plan.recheckAfterMs : undefined;
}

function afterDoneMs({ done }: Outcome): number {
  return done.some(isOfLock) ? afterLockMs : afterActionMs;
}
