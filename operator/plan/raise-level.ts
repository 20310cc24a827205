import { documentRemedy } from "../desired/external.ts";
import type { NodeFacts } from "../desired/facts.ts";
import { compareVersions } from "../desired/version.ts";
import { closedFleetGates } from "./fleet-gates.ts";
import { releaseLock, takeLock, waitUnlocked } from "./lock-steps.ts";
import { notPaused } from "./pause.ts";
import { isSoaked, notSoaked } from "./roll-gates.ts";
import { neededMembers } from "./serving-gates.ts";
import type { Blocked, FleetPolicy, View } from "./types.ts";

/** Last step of an upgrade, and the one after which there is no way back: the fleet may use the new version's features. */
export const raiseLevel: FleetPolicy = (view) => {
  const { fleet } = view.desired;
  if (fleet.level === undefined || compareVersions(fleet.target, fleet.level) <= 0) return undefined;
  const members = neededMembers(view);
  const [first] = members;
  if (first === undefined || members.some(({ node }) => node?.spec.version !== fleet.target)) return undefined;
  const doing = `raising the feature level to ${fleet.target}`;
  const { lock } = view.observed;
  if (lock.heldByMe && lock.operation !== "level") return releaseLock("the feature level is next");
  const blocked = [...notPaused(view, doing), ...closedFleetGates(view, first), ...notReady(view, members)];
  if (blocked.length > 0) return waitUnlocked(view, `waiting before ${doing}`, blocked);
  if (!first.local) return { kind: "wait", doing, blocked: [] };
  if (!lock.heldByMe) return takeLock("level", first.name, doing);
  return { kind: "level", level: fleet.target, doing };
};

/** Every member runs the version and has soaked: whoever is not there yet could not read what the others write. */
function notReady(view: View, members: readonly NodeFacts[]): Blocked[] {
  const { target } = view.desired.fleet;
  return members
    .filter((node) => node.node?.status?.version !== target || !isSoaked(view, node))
    .map((node) => {
      const message = `${node.name} has not served at ${target} for the soak time yet`;
      if (!node.external || node.node?.status?.version === target) return notSoaked(view, node, message);
      return { gate: "soaked", subject: node.name, message, remedy: upgradeRemedy(node.name, target) } as const;
    });
}

function upgradeRemedy(name: string, target: string): string {
  return `install version ${target} on its machine when an interruption suits, and ${documentRemedy(name)}`;
}
