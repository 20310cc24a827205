import { conditionOf, viewOf } from "../desired/facts.ts";
import type { TimeBounds } from "../ports/types.ts";
import type { Blocked, View } from "./types.ts";

/** Two clocks that differ by more than this do not agree; an answer that took longer than this tells nothing. */
const toleranceMs = 120_000;
/** A node asks its time servers at least every 64 s; a clock that has jumped is out in the open after this time. */
const noticedMs = 120_000;

/** Why what the operator's clock says is not taken for the time. */
type Doubt = Pick<Blocked, "message" | "remedy" | "passing">;

/**
 * The time, where it ends something that cannot be had back; undefined when that is in doubt (`doubtOf` says why). The
 * operator's clock alone is nobody's word: its machine may be a week ahead. So it has to agree with the API servers of most
 * sites, and because all of those may be one machine (one Kubernetes with zones), with the time servers that nodes measure
 * by. The bounds hold every clock that agrees: as long as most are right, so is one of them, and what is done neither before
 * the earliest nor counted from before the latest is never done early.
 */
export function agreedTime(view: View): TimeBounds | undefined {
  if (doubtOf(view) !== undefined) return undefined;
  const own = { earliestMs: view.observed.nowMs, latestMs: view.observed.nowMs };
  return [own, ...agreeing(view).map(({ time }) => time)].reduce((all, one) => ({
    earliestMs: Math.min(all.earliestMs, one.earliestMs),
    latestMs: Math.max(all.latestMs, one.latestMs),
  }));
}

/** What is in doubt about the time, and what to do about it; undefined when nothing is. No numbers: they change each second. */
export function doubtOf(view: View): Doubt | undefined {
  return unsteady(view) ?? apart(view) ?? unmeasured(view);
}

/** The latest that any clock says: what is not over by that one is over by none. */
export function latestMs(view: View): number {
  return Math.max(view.observed.nowMs, ...apiTimes(view).map(({ time }) => time.latestMs));
}

/** It has just jumped, or this process began just now: soon others will have said what they think of it. */
function unsteady({ observed }: View): Doubt | undefined {
  if (observed.clockSteadyMs >= noticedMs) return undefined;
  const message = `the clock of the operator of ${observed.site} has not been watched for long`;
  return { message, remedy: "wait", passing: true };
}

function apart(view: View): Doubt | undefined {
  const { observed, desired } = view;
  const counting = desired.fleet.counting;
  const names = agreeing(view).map(({ name }) => name);
  if (names.length * 2 > counting.length) return undefined;
  const differing = apiTimes(view).filter(({ name }) => !names.includes(name));
  if (differing.length > 0)
    return {
      message: `the clock of the operator of ${observed.site} differs by more than two minutes from those of the API servers of ${listOf(differing)}`,
      remedy: `compare the clock of the machine that the operator of ${observed.site} runs on, and of those servers, with your time servers, and mend the wrong one`,
    };
  const silent = counting.filter((name) => !names.includes(name));
  return {
    message: `the clock of the operator of ${observed.site} cannot be compared with most sites: the API servers of ${silent.join(", ")} do not answer`,
    remedy: `see that ${silent.join(", ")} can be reached`,
  };
}

/** No node of this site may say that its machine's clock is off, and one that serves, of any site, must have measured. */
function unmeasured({ observed, desired }: View): Doubt | undefined {
  const nodes = desired.fleet.nodes
    .filter(({ entry, counts }) => entry !== undefined && counts)
    .map((facts) => ({ ...facts, says: conditionOf(facts.node, "TimeSynchronised")?.status }));
  const off = nodes.filter(({ site, says }) => site === observed.site && says === "False");
  if (off.length > 0)
    return {
      message: `the clock of the operator of ${observed.site} may be off as that of ${listOf(off)} is, or cannot be measured there`,
      remedy: `see the condition TimeSynchronised: kubectl describe kmsn ${off[0]?.name}`,
    };
  if (nodes.some(({ serving, says }) => serving && says === "True")) return undefined;
  const message = `no node serves that measures clocks, so that nobody can say whether that of the operator of ${observed.site} is right`;
  return { message, remedy: "see that a node of the fleet serves and reaches its time servers" };
}

function agreeing(view: View) {
  const { nowMs } = view.observed;
  return apiTimes(view).filter(
    ({ time }) => time.earliestMs >= nowMs - toleranceMs && time.latestMs <= nowMs + toleranceMs,
  );
}

/** Of the sites that count and answer. */
function apiTimes({ observed, desired }: View): { readonly name: string; readonly time: TimeBounds }[] {
  return desired.fleet.counting.flatMap((name) => {
    const view = viewOf(observed, name);
    return view?.reachable && view.apiTime !== undefined ? [{ name, time: view.apiTime }] : [];
  });
}

function listOf(list: readonly { readonly name: string }[]): string {
  return list.map(({ name }) => name).join(", ");
}
