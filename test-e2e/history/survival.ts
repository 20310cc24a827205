import type { Call, History, Step } from "./record.ts";

// An answer may overtake the line that tells of a site's loss by so much.
const settleMs = 1_000;

/** Whether an answered write must outlive what was destroyed: its own disk is left, or that of a site that was in step. */
export function survives(call: Call, { lost, steps }: Pick<History, "lost" | "steps">): boolean {
  const isLost = (node: string) => (lost.get(node) ?? Number.NEGATIVE_INFINITY) >= call.sentMs;
  if (!isLost(call.node)) return true;
  const own = siteOf(call.node);
  const whole = (site: string) =>
    site !== own && ![...lost.keys()].some((node) => siteOf(node) === site && isLost(node));
  return sitesSeen(steps, call.node).some((site) => whole(site) && inStep(steps, call, site));
}

function sitesSeen(steps: readonly Step[], node: string): readonly string[] {
  const all = new Set(["dc1", "dc2", "dc3"]);
  all.delete(siteOf(node));
  for (const { site } of steps) if (site !== undefined && site !== siteOf(node)) all.add(site);
  return [...all];
}

/** Whether the node held the site for in step during all of the call. */
function inStep(steps: readonly Step[], call: Call, site: string): boolean {
  const mine = steps.filter((step) => step.node === call.node && (step.site ?? site) === site);
  const before = mine.findLast(({ atMs }) => atMs <= call.sentMs);
  const during = mine.filter(({ atMs }) => atMs > call.sentMs && atMs <= call.answeredMs + settleMs);
  return (before?.inStep ?? true) && during.every((step) => step.inStep && step.site !== undefined);
}

function siteOf(node: string): string {
  return node.split("-")[0] ?? node;
}
