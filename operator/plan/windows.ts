import type { NodeFacts } from "../desired/facts.ts";
import { parseCron, startsAt } from "./cron.ts";
import type { Blocked, View } from "./types.ts";

const minuteMs = 60_000;
/** A window is at most a week long: more would be no window. */
const longestMinutes = 7 * 24 * 60;

/** Nodes are taken down within spec.upgrade.windows only (UTC); always when there are none. */
export function windowOpen(view: View, { name }: NodeFacts): Blocked[] {
  const { cluster, nowMs } = view.observed;
  const windows = cluster.spec.upgrade?.windows ?? [];
  if (windows.length === 0 || windows.some((window) => isOpen(window, nowMs))) return [];
  const closed = { gate: "windowOpen", subject: name } as const;
  const wrong = windows.find(({ cron }) => parseCron(cron) === undefined);
  if (wrong !== undefined) {
    const remedy = "write five fields: minute hour day month weekday, for example 0 2 * * 6";
    return [{ ...closed, message: `the window ${wrong.cron} is no time`, remedy }];
  }
  const said = windows.map(({ cron, duration }) => `${cron} for ${duration}`).join("; ");
  return [
    {
      ...closed,
      message: `waits for its window (UTC): ${said}`,
      remedy: "wait, or change spec.upgrade.windows",
      passing: true,
    },
  ];
}

/** Whether the window began so lately that it is still open. */
export function isOpen(
  { cron, duration }: { readonly cron: string; readonly duration: string },
  nowMs: number,
): boolean {
  const fields = parseCron(cron);
  const [, count = "0", unit = "m"] = /^(\d+)(m|h)$/.exec(duration) ?? [];
  if (fields === undefined) return false;
  const minutes = Math.min(Number(count) * (unit === "h" ? 60 : 1), longestMinutes);
  const now = Math.floor(nowMs / minuteMs);
  for (let ago = 0; ago < minutes; ago++) if (startsAt(fields, (now - ago) * minuteMs)) return true;
  return false;
}
