import { answerOf, objectAt, objectsAt } from "./api.ts";
import { until } from "./await.ts";
import { type ContainerProcess, processesIn } from "./container-processes.ts";
import { cluster, type Place } from "./places.ts";

/** An operator of a site. */
export interface OperatorPod {
  readonly site: string;
  readonly name: string;
  readonly uid: string;
  readonly machine: string;
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly renewTime?: string;
}

/** The operators of a site that are not on their way out. */
export async function operatorsAt(place: Place, site: string): Promise<OperatorPod[]> {
  const pods = await objectsAt<Pod>(place, site, "pods", "app.kubernetes.io/name=keyfleet-operator");
  return pods
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata, spec }) => ({ site, ...metadata, machine: spec.nodeName ?? "" }));
}

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string };
}

/** The operator that leads a site; waits until there is one. */
export async function leaderAt(place: Place, site: string): Promise<OperatorPod> {
  const look = async () => {
    const { holderIdentity } = await leaseAt(place, site, "keyfleet-operator");
    return (await operatorsAt(place, site)).find(({ uid }) => uid === holderIdentity);
  };
  const found = await until(look, (pod) => pod !== undefined, { what: `${site} has a leader`, deadlineMs: 60_000 });
  return found as OperatorPod;
}

/** Who leads a site once its Lease was renewed after a moment (as Date gives it), and how much later that was. */
export async function leaderSince(place: Place, site: string, sinceMs: number, but?: string) {
  const look = () => leaseAt(place, site, "keyfleet-operator");
  const renewed = ({ holderIdentity, renewTime }: LeaseSpec) =>
    holderIdentity !== undefined && holderIdentity !== but && Date.parse(renewTime ?? "") > sinceMs;
  const what = `an operator of ${site} takes over`;
  const lease = await until(look, renewed, { what, deadlineMs: 60_000, everyMs: 200 });
  const leader = (await operatorsAt(place, site)).find(({ uid }) => uid === lease.holderIdentity);
  return { leader, afterMs: Date.parse(lease.renewTime ?? "") - sinceMs };
}

/** What an operator says at /readyz: "leads" or "stands by; ... leads". */
export async function roleOf(place: Place, { site, name }: OperatorPod): Promise<string> {
  return answerOf(place, site, `${name}:8081`, "readyz");
}

/** The site that holds the fleet lock; undefined when none does. */
export async function lockHolder(place: Place, site: string): Promise<string | undefined> {
  return (await leaseAt(place, site, `keyfleet-${cluster}`)).holderIdentity;
}

/** The process of an operator on this machine; waits until it runs. */
export async function operatorProcess(place: Place, { site, name }: OperatorPod): Promise<ContainerProcess> {
  const look = async () => (await processesIn(place, { site, pod: name, container: "operator" }))[0];
  const found = await until(look, (one) => one !== undefined, { what: `${name} runs`, deadlineMs: 120_000 });
  return found as ContainerProcess;
}

async function leaseAt(place: Place, site: string, name: string): Promise<LeaseSpec> {
  return (await objectAt<{ spec: LeaseSpec }>(place, site, "leases", name)).spec;
}

/** How often an operator has called the API servers of all sites, by verb. */
export type CallCounts = ReadonlyMap<string, number>;

/** What an operator counts at /metrics of its calls. */
export async function callsOf(place: Place, { site, name }: OperatorPod): Promise<CallCounts> {
  const counts = new Map<string, number>();
  const lines = (await answerOf(place, site, `${name}:8081`, "metrics")).matchAll(
    /^keyfleet_operator_api_calls_total\{.*verb="(\w+)".*\} (\d+)$/gm,
  );
  for (const [, verb = "", count] of lines) counts.set(verb, (counts.get(verb) ?? 0) + Number(count));
  return counts;
}
