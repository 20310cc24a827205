import type { Gate } from "@keyfleet/crds/reasons.ts";
import { objectOf } from "../desired/facts.ts";
import type { KubernetesObject, Observed } from "../ports/types.ts";
import type { Blocked } from "./types.ts";

/** Kubernetes needs a moment to bind volumes and to place pods; before that nothing is wrong. */
const patienceMs = 30_000;
/** Volumes are attached, images pulled and containers made in less, on a machine that is well. */
const makingPatienceMs = 120_000;
/** A pod is gone by the time that it was given to end, unless its machine does not answer. */
const endingPatienceMs = 60_000;

interface ContainerStatus {
  readonly name: string;
  readonly image?: string;
  readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
  readonly lastState?: { readonly terminated?: Ended };
}

interface Ended {
  readonly reason?: string;
  readonly exitCode?: number;
  readonly message?: string;
}

interface PodCondition {
  readonly type: string;
  readonly status: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

interface PodStatus {
  readonly conditions?: readonly PodCondition[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
  readonly containerStatuses?: readonly ContainerStatus[];
}

/** What is wrong with the pod of a node of this site, in words that say what to do. */
export function podProblem(observed: Observed, node: string): Blocked | undefined {
  const pod = objectOf(observed, "Pod", `${node}-0`);
  if (pod === undefined) return undefined;
  if (pod.metadata.deletionTimestamp !== undefined) return endingProblem(observed, node, pod);
  const status = (pod.status ?? {}) as PodStatus;
  const young = observed.nowMs - Date.parse(String(pod.metadata.creationTimestamp ?? "")) < patienceMs;
  const problem =
    placementProblem(observed, node, status) ??
    containerProblem(observed, node, status) ??
    makingProblem(observed, node, pod);
  return problem && young && problem.gate !== "imagePresent" ? { ...problem, passing: true } : problem;
}

function endingProblem(observed: Observed, node: string, { metadata }: KubernetesObject): Blocked | undefined {
  const due = String(metadata.deletionTimestamp);
  if (observed.nowMs - Date.parse(due) < endingPatienceMs) return undefined;
  return {
    gate: "nodeStarted",
    subject: node,
    message: `its pod should have ended at ${due} and is still there: its machine does not answer`,
    remedy: `bring its machine back (kubectl get nodes); only if it is off for good: kubectl -n ${metadata.namespace ?? "default"} delete pod ${node}-0 --force`,
  };
}

/** Kubernetes says why only in events, which nobody keeps. */
function makingProblem(observed: Observed, node: string, { metadata, status }: KubernetesObject): Blocked | undefined {
  const { conditions, initContainerStatuses = [], containerStatuses = [] } = (status ?? {}) as PodStatus;
  const waiting = [...initContainerStatuses, ...containerStatuses].find(({ state }) =>
    makingReasons.includes(state?.waiting?.reason ?? ""),
  );
  const placed = conditions?.find(({ type }) => type === "PodScheduled")?.lastTransitionTime;
  const since = Math.max(...[placed, String(metadata.creationTimestamp)].map((time) => Date.parse(time ?? "") || 0));
  if (waiting === undefined || observed.nowMs - since < makingPatienceMs) return undefined;
  return {
    gate: "nodeStarted",
    subject: node,
    message: `container ${waiting.name} is not made yet: a volume, a Secret or an image does not come`,
    remedy: `see the events in kubectl describe pod ${node}-0: it names what is missing`,
  };
}

function placementProblem(observed: Observed, node: string, status: PodStatus): Blocked | undefined {
  const scheduled = status.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status !== "False") return undefined;
  const claim = objectOf(observed, "PersistentVolumeClaim", `data-${node}-0`);
  if (claim !== undefined && phaseOf(claim) !== "Bound") return unboundStorage(node, claim, scheduled.message);
  return {
    gate: "nodeStarted",
    subject: node,
    message: `no machine of the site can take the pod: ${short(scheduled.message)}`,
    remedy: `${reopen(scheduled.message)}add a machine with enough room, or change placement or resources in the settings of ${node}`,
  };
}

/** The scheduler counts machines that somebody closed, as `kubectl drain` does; a node whose volume is there waits for them. */
function reopen(why = ""): string {
  return /unschedulable/.test(why) ? "kubectl uncordon the machine when its work is done; or " : "";
}

function unboundStorage(node: string, claim: KubernetesObject, why: string | undefined): Blocked {
  const spec = claim.spec as { storageClassName?: string; resources?: { requests?: { storage?: string } } } | undefined;
  const wanted = `${spec?.resources?.requests?.storage ?? "?"} of class ${spec?.storageClassName ?? "(default)"}`;
  return {
    gate: "storageBound",
    subject: node,
    message: `storage not bound: no volume for ${claim.metadata.name} (${wanted})${why ? `: ${short(why)}` : ""}`,
    remedy: "offer a PersistentVolume or a storage class that provisions one; see kubectl get storageclass,pv",
  };
}

/** Reasons of waiting containers: the gate that they close, what is so, and what to do. */
const waitingReasons: Readonly<Record<string, readonly [Gate, string, string]>> = {
  ErrImageNeverPull: ["imagePresent", "image missing on the machine", "load it on every machine of the site"],
  ErrImagePull: [
    "imagePresent",
    "image missing",
    "push it to the registry, or correct spec.version; a registry that asks who comes needs imagePullSecrets of the chart",
  ],
  ImagePullBackOff: [
    "imagePresent",
    "image missing",
    "push it to the registry, or correct spec.version; a registry that asks who comes needs imagePullSecrets of the chart",
  ],
  InvalidImageName: ["imagePresent", "image name invalid", "correct the image in the operator's Helm values"],
  CreateContainerConfigError: ["nodeStarted", "container cannot be made", "make the Secret or ConfigMap that it names"],
  CreateContainerError: ["nodeStarted", "container cannot be made", "see kubectl describe pod"],
  CrashLoopBackOff: ["nodeStarted", "container keeps ending", "see kubectl logs"],
};

/** Reasons that nobody has to mend. */
const makingReasons = ["ContainerCreating", "PodInitializing"];

/** What is not in the table (a runtime has reasons of its own) is told in its own words. */
function whyWaiting(reason: string | undefined): readonly [Gate, string, string] | undefined {
  if (reason === undefined || makingReasons.includes(reason)) return undefined;
  return (
    waitingReasons[reason] ?? ["nodeStarted", `container is not started (${short(reason)})`, "see kubectl describe pod"]
  );
}

function containerProblem(observed: Observed, node: string, status: PodStatus): Blocked | undefined {
  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  for (const { name, image, state, lastState } of containers) {
    const known = whyWaiting(state?.waiting?.reason);
    if (known === undefined) continue;
    const [gate, what, remedy] = known;
    const ended = lastState?.terminated;
    const killed = gate === "imagePresent" ? undefined : killedForMemory(node, ended, limitOf(observed, node, name));
    if (killed !== undefined)
      return { gate, subject: node, message: `${what}: ${killed.why} (container ${name})`, remedy: killed.remedy };
    const detail = gate === "imagePresent" ? image : (ended?.message ?? state?.waiting?.message);
    return { gate, subject: node, message: `${what}: ${short(detail ?? name)} (container ${name})`, remedy };
  }
  return undefined;
}

/** Exit code of a process that got SIGKILL: what the kernel sends to one of a container that has reached its limit. */
const killedCode = 137;

function killedForMemory(
  node: string,
  ended: Ended | undefined,
  limit: string | undefined,
): { readonly why: string; readonly remedy: string } | undefined {
  const raise = `raise resources.limits.memory in the settings of ${node}`;
  if (ended?.reason === "OOMKilled" && limit !== undefined)
    return { why: `killed for memory, its limit is ${limit}`, remedy: raise };
  if (ended?.reason === "OOMKilled") {
    const remedy = `give its machine more memory, or choose another with placement in the settings of ${node}`;
    return { why: "killed for memory, of which its machine has too little", remedy };
  }
  if (ended?.exitCode !== killedCode || limit === undefined) return undefined;
  const why = `killed (exit code ${killedCode}), as for memory: its limit is ${limit}`;
  return { why, remedy: `${raise}; if that is not it, see kubectl logs` };
}

/** As its StatefulSet says: of pods no specification is kept. */
function limitOf(observed: Observed, node: string, container: string): string | undefined {
  const spec = objectOf(observed, "StatefulSet", node)?.spec as { template?: { spec?: PodSpec } } | undefined;
  const { initContainers = [], containers = [] } = spec?.template?.spec ?? {};
  return [...initContainers, ...containers].find(({ name }) => name === container)?.resources?.limits?.memory;
}

interface PodSpec {
  readonly initContainers?: readonly ContainerSpec[];
  readonly containers?: readonly ContainerSpec[];
}

interface ContainerSpec {
  readonly name: string;
  readonly resources?: { readonly limits?: { readonly memory?: string } };
}

function phaseOf(claim: KubernetesObject): string | undefined {
  return (claim.status as { phase?: string } | undefined)?.phase;
}

function short(text: string | undefined): string {
  return (text ?? "no reason given").replace(/\s+/g, " ").slice(0, 200);
}
