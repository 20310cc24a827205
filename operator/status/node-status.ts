import type { NodeStatus } from "@keyfleet/crds/kms-cluster.ts";
import { conditionOf, type NodeFacts, viewOf } from "../plan/facts.ts";
import { closedNodeGate } from "../plan/node-gates.ts";
import { podProblem } from "../plan/pod-problems.ts";
import type { View } from "../plan/types.ts";

/** The state of each wanted node, and of each that is left over, for people. */
export function nodeStatuses(view: View): NodeStatus[] {
  return view.desired.fleet.nodes.map((facts) => {
    const message = nodeMessage(view, facts);
    const version = facts.node?.status?.version;
    return {
      name: facts.name,
      site: facts.site,
      serving: facts.serving,
      ...(version === undefined ? {} : { version }),
      ...(message === undefined ? {} : { message: message.slice(0, 512) }),
    };
  });
}

/** What a node does or lacks; nothing while it serves. */
function nodeMessage(view: View, facts: NodeFacts): string | undefined {
  if (facts.serving) return facts.entry === undefined ? "not in the specification any more" : undefined;
  if (!facts.siteReachable) return `site ${facts.site} is not reachable`;
  if (!facts.local) return ownWord(view, facts) ?? generalMessage(view, facts);
  return generalMessage(view, facts);
}

/** The site of a node sees its pod; its word is better than what can be told from here. */
function ownWord(view: View, { site, name }: NodeFacts): string | undefined {
  const told = viewOf(view.observed, site)?.cluster?.status?.nodeStatus;
  return told?.find((node) => node.name === name)?.message;
}

function generalMessage(view: View, facts: NodeFacts): string {
  const problem = facts.local ? podProblem(view.observed, facts.name) : undefined;
  if (problem !== undefined) return `${problem.message}; ${problem.remedy}`;
  const serving = conditionOf(facts.node, "Serving");
  switch (facts.standing) {
    case "Member":
      return serving?.status === "True" ? "the pod is not ready" : serving?.message || "does not serve";
    case "Founding":
      return "makes the fleet";
    case "Joining":
      return serving?.message || "joins";
    default:
      return waitingMessage(view, facts);
  }
}

function waitingMessage(view: View, facts: NodeFacts): string {
  const blocked = closedNodeGate(view, facts);
  if (blocked === undefined) return "ready to join, waits for its turn";
  return blocked.passing ? blocked.message : `${blocked.message}; ${blocked.remedy}`;
}
