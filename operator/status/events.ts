import type { KmsCluster, KmsClusterStatus } from "@keyfleet/crds/kms-cluster.ts";
import type { EventReason } from "@keyfleet/crds/reasons.ts";
import type { Action, KubernetesObject, OperatorEvent } from "../ports/types.ts";

/** One line of news. */
interface News {
  readonly type: OperatorEvent["type"];
  readonly reason: EventReason;
  readonly action: string;
  readonly note: string;
}

/** One event for each change: what was done, and what became different in the status. Pure. */
export function eventsOf(cluster: KmsCluster, next: KmsClusterStatus, done: readonly Action[]): OperatorEvent[] {
  const news = [...done.flatMap(newsOfAction), ...newsOfStatus(cluster.status, next)];
  return news.map((one) => ({ regarding: cluster, ...one }));
}

function newsOfAction(action: Action): News[] {
  const normal = (reason: EventReason, verb: string): News[] => [
    { type: "Normal", reason, action: verb, note: action.because },
  ];
  switch (action.kind) {
    case "makeSiteCa":
      return normal("SiteCaMade", "MakeCa");
    case "signCertificate":
      return [...normal("CertificateIssued", "Sign"), ...newsOfStep(action)];
    case "delete":
      return newsOfDeletion(action.object, normal);
    case "apply":
      if (action.object.kind !== "KmsNode")
        return action.because.endsWith("is missing") ? normal("NodeRepaired", "Make") : [];
      if (action.because.endsWith("is in the specification")) return normal("NodeCreated", "Make");
      return newsOfStep(action);
    default:
      return [];
  }
}

function newsOfDeletion(
  { kind, metadata }: KubernetesObject,
  normal: (reason: EventReason, verb: string) => News[],
): News[] {
  switch (kind) {
    case "KmsNode":
      return normal("NodeDeleted", "Delete");
    case "PersistentVolumeClaim":
      return normal("VolumeDeleted", "Delete");
    case "KmsCluster":
      return normal("FleetEnding", "Delete");
    case "Pod":
      // One that has destroyed a key is done; the deletion of its volume is the news.
      return metadata.labels?.["keyfleet.io/erases"] === undefined ? normal("NodeRestarted", "Restart") : [];
    default:
      return [];
  }
}

function newsOfStep({ news }: Extract<Action, { kind: "apply" | "signCertificate" }>): News[] {
  return news === undefined ? [] : [{ type: "Normal", ...news }];
}

function newsOfStatus(before: KmsClusterStatus | undefined, next: KmsClusterStatus): News[] {
  if (before === undefined) return [];
  return [...newsOfSites(before, next), ...newsOfNodes(before, next), ...newsOfGates(before, next)];
}

function newsOfSites(before: KmsClusterStatus, next: KmsClusterStatus): News[] {
  return (next.siteStatus ?? []).flatMap(({ name, reachable, message }): News[] => {
    const was = before.siteStatus?.find((site) => site.name === name);
    if (was === undefined || was.reachable === reachable) return [];
    if (reachable)
      return [{ type: "Normal", reason: "SiteReturned", action: "Observe", note: `site ${name} answers again` }];
    const note = `site ${name} stopped answering${message === undefined ? "" : `: ${message}`}`;
    return [{ type: "Warning", reason: "SiteLost", action: "Observe", note }];
  });
}

function newsOfNodes(before: KmsClusterStatus, next: KmsClusterStatus): News[] {
  return (next.nodeStatus ?? []).flatMap(({ name, serving, message }): News[] => {
    const was = before.nodeStatus?.find((node) => node.name === name);
    if (was === undefined || was.serving === serving) return [];
    if (serving) return [{ type: "Normal", reason: "NodeServing", action: "Observe", note: `${name} serves` }];
    const note = `${name} stopped serving${message === undefined ? "" : `: ${message}`}`;
    return [{ type: "Warning", reason: "NodeNotServing", action: "Observe", note }];
  });
}

function newsOfGates(before: KmsClusterStatus, next: KmsClusterStatus): News[] {
  const key = ({ gate, subject }: { gate: string; subject: string }) => `${gate}/${subject}`;
  const [was, is] = [before.blockedBy ?? [], next.blockedBy ?? []];
  const closed = is.filter((one) => !was.some((other) => key(other) === key(one)));
  const opened = was.filter((one) => !is.some((other) => key(other) === key(one)));
  return [
    ...closed.map(
      ({ gate, subject, message, remedy }): News => ({
        ...{ type: "Warning", reason: "Blocked", action: "Wait" },
        note: `${gate} (${subject}): ${message}; to do: ${remedy}`,
      }),
    ),
    ...opened.map(
      ({ gate, subject }): News => ({
        ...{ type: "Normal", reason: "Unblocked", action: "GoOn" },
        note: `${gate} (${subject}) is open again`,
      }),
    ),
  ];
}
