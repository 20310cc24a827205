import type { EventReason } from "@keyfleet/crds/reasons.ts";
import { rebuildAnnotation } from "../desired/consent.ts";
import type { Action, KmsNode, StepNews } from "../ports/types.ts";
import type { FleetStep, NodeChange } from "./types.ts";

/** Puts the news of a step on the first of its actions: a step is one change, however many objects it writes. */
export function withNews(
  actions: readonly Action[],
  step: FleetStep | undefined,
  nodes: readonly (KmsNode | undefined)[],
): Action[] {
  const first = actions.findIndex((action) => "needsLock" in action && action.needsLock === true);
  const news = first < 0 ? undefined : newsOf(step, nodes);
  if (news === undefined) return [...actions];
  return actions.map((action, at) =>
    at === first && (action.kind === "apply" || action.kind === "signCertificate") ? { ...action, news } : action,
  );
}

function newsOf(step: FleetStep | undefined, nodes: readonly (KmsNode | undefined)[]): StepNews | undefined {
  switch (step?.kind) {
    case "node":
      return newsOfChange(
        step.node,
        step.change,
        nodes.find((node) => node?.metadata.name === step.node),
      );
    case "standing":
      return step.standing === "Fenced"
        ? news("NodeFenced", "Fence", `${step.node} is spoken to no more, what it wrote is exchanged among the others`)
        : news("NodeDeparted", "Depart", `${step.node} has left the fleet${endOf(step.lastSequence)}`);
    case "level":
      return news("FeatureLevelRaised", "Raise", `the fleet may use the features of ${step.level}`);
    default:
      return undefined;
  }
}

function newsOfChange(name: string, change: NodeChange, before: KmsNode | undefined): StepNews | undefined {
  const { membership, version, settings, annotations, without } = change;
  if (membership !== undefined) return newsOfMembership(name, change);
  if (version !== undefined && version !== before?.spec.version)
    return news("NodeUpgrading", "Upgrade", `${name} goes from version ${before?.spec.version} to ${version}`);
  if (settings !== undefined && annotations !== undefined)
    return news("NodeReconfiguring", "Reconfigure", `${name} gets settings that need a restart`);
  return without === undefined
    ? undefined
    : news("NodeUpdated", "Update", `${name} serves with version ${before?.spec.version} and its newest settings`);
}

function newsOfMembership(name: string, { membership, annotations }: NodeChange): StepNews | undefined {
  const rebuilt = annotations?.[rebuildAnnotation];
  switch (membership?.action) {
    case "Found":
      return news("FleetFounding", "Found", `${name} makes the fleet`);
    case "Join":
      return news("NodeJoining", "Join", `${name} joins, ${membership.sponsor} hands over the keys`);
    case "Member":
      return news("NodeJoined", "Member", `${name} is a member`);
    case "Leave":
      return news(
        "NodeLeaving",
        "Leave",
        rebuilt === undefined ? `${name} leaves the fleet` : `${name} leaves to be built anew with version ${rebuilt}`,
      );
    default:
      return undefined;
  }
}

function endOf(lastSequence: number | undefined): string {
  return lastSequence === undefined ? "" : `; its log ends at ${lastSequence}`;
}

function news(reason: EventReason, action: string, note: string): StepNews {
  return { reason, action, note };
}
