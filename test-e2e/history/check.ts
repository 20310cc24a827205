import { endIsWhole } from "./check-end.ts";
import { type Call, type History, lifeOf, state } from "./record.ts";
import { describe } from "./story.ts";
import { survives } from "./survival.ts";

/** One promise that was broken. */
export interface Violation {
  readonly rule: string;
  readonly object: string;
  readonly detail: string;
}

/** Checks a history that ends with the final reader's calls; no violation is an empty list. */
export function check(history: History): readonly Violation[] {
  const objects = Map.groupBy(history.calls, ({ object }) => object);
  objects.delete(""); // Creates that were not answered have no name.
  const attempts = attemptedNotes(history.calls);
  return [...objects].flatMap(([object, calls]) => {
    const ordered = calls.toSorted((one, other) => one.answeredMs - other.answeredMs);
    const found = [
      ...keyNeverChanges(ordered),
      ...unitsAreUsedOnce(ordered, history),
      ...endIsWhole(ordered, history),
      ...readsGoForward(ordered, history.lives),
      ...nothingFromNowhere(ordered, attempts),
    ];
    return found.map(([rule, detail]) => ({ rule, object, detail }));
  });
}

/** A rule that was broken, and how. */
export type Found = readonly [rule: string, detail: string];

function keyNeverChanges(calls: readonly Call[]): readonly Found[] {
  const keys = new Set(calls.flatMap(({ key }) => key ?? []));
  return keys.size > 1 ? [["a key's value never changes", `read as ${[...keys].join(", ")}`]] : [];
}

/** On one node a read that was sent after another was answered never shows less than that one did. */
function readsGoForward(calls: readonly Call[], lives: History["lives"]): readonly Found[] {
  return [...Map.groupBy(calls, (call) => lifeOf(call, lives)).values()].flatMap((here) => [
    ...stateGoesForward(here),
    ...notesGoForward(here),
    ...ownNotesStay(here),
  ]);
}

/** The least state that a node must show after this call; 0 when it says nothing. */
function leastState(call: Call): number {
  if (call.outcome !== "ok") return 0;
  if (call.verb === "state") return call.state ?? 0;
  return (
    { create: 1, activate: 2, deactivate: 3, compromise: 4, destroy: 5, get: 1, writeNote: 1, use: 2 }[call.verb] ?? 0
  );
}

function stateGoesForward(calls: readonly Call[]): readonly Found[] {
  return calls.flatMap((call) => {
    const before = calls.filter((other) => other.answeredMs < call.sentMs);
    const worst = before.toSorted((one, other) => leastState(other) - leastState(one))[0];
    if (worst === undefined) return [];
    const rule = takenBack(call, leastState(worst), before.some(showsCompromise));
    return rule === undefined ? [] : [[rule, `${describe(worst)}, then ${describe(call)}`] as const];
  });
}

/** The rule that the call breaks when a call before it has shown `least` already. */
function takenBack(call: Call, least: number, compromised: boolean): string | undefined {
  if (call.problem === "notFound" && least > 0) return "what a node has shown it goes on to show";
  if (call.outcome !== "ok") return undefined;
  const isServed = call.verb === "get" || call.verb === "use";
  if (isServed && least >= state.destroyed) return "destroyed stays destroyed";
  // Unless the fleet's owner allows it, which no history does.
  if (isServed && compromised) return "a compromised key is not served";
  if (call.verb !== "state" || call.state === undefined) return undefined;
  const back = call.state < least || (compromised && call.state === state.destroyed);
  return back ? "bad news is never taken back" : undefined;
}

function showsCompromise(call: Call): boolean {
  if (call.outcome !== "ok") return false;
  return call.verb === "compromise" || call.state === state.compromised || call.state === state.destroyedCompromised;
}

/** A note that was replaced on this node does not come back. */
function notesGoForward(calls: readonly Call[]): readonly Found[] {
  const reads = calls
    .filter(({ verb, outcome }) => verb === "state" && outcome === "ok")
    .toSorted((a, b) => a.sentMs - b.sentMs);
  const replaced = new Map<string, Call>();
  let last: Call | undefined;
  for (const read of reads) {
    // Calls that overlap may be seen in either order.
    if (last !== undefined && last.answeredMs > read.sentMs) continue;
    const note = read.note ?? "";
    if (last !== undefined && last.note !== note) replaced.set(last.note ?? "", read);
    const gone = replaced.get(note);
    if (gone !== undefined && gone !== read)
      return [["reads of one node go forward", `${describe(gone)}, then again ${describe(read)}`]];
    last = read;
  }
  return [];
}

/** A note that this node knew when it took another one is not shown by it any more. */
function ownNotesStay(calls: readonly Call[]): readonly Found[] {
  const shown = calls.filter(({ outcome, note }) => outcome === "ok" && note !== undefined);
  const writes = shown.filter(({ verb }) => verb === "writeNote");
  return shown.flatMap((read): Found[] => {
    if (read.verb !== "state") return [];
    const older = (write: Call) =>
      write.answeredMs < read.sentMs &&
      write.note !== read.note &&
      shown.some(({ note, answeredMs }) => note === read.note && answeredMs < write.sentMs);
    const taken = writes.find(older);
    return taken === undefined ? [] : [["reads of one node go forward", `${describe(taken)}, then ${describe(read)}`]];
  });
}

/** What is used is durable in every site in step: of a limit no unit is used again by who did not hear of it. */
function unitsAreUsedOnce(calls: readonly Call[], history: History): readonly Found[] {
  const limit = calls.find(({ units }) => units !== undefined)?.units;
  const uses = calls.filter((call) => call.verb === "use" && call.outcome === "ok" && survives(call, history));
  if (limit === undefined || uses.length <= limit) return [];
  return [["no unit is used twice", `${uses.length} uses of ${limit} units, the last: ${describe(uses.at(-1))}`]];
}

function nothingFromNowhere(calls: readonly Call[], attempts: ReadonlyMap<string, string>): readonly Found[] {
  // One with a limit is active from the beginning.
  const tried = new Set(
    calls.flatMap(({ verb, units }) => (units === undefined ? [verb] : [verb, "activate" as const])),
  );
  const reads = calls.filter(({ verb, outcome }) => verb === "state" && outcome === "ok");
  const rule = "nothing comes from nowhere";
  return reads.flatMap((call): Found[] => {
    const origin = call.note === undefined ? call.object : attempts.get(call.note);
    const strange = origin !== call.object && origin !== "";
    return [
      ...(hasCause(call.state ?? 0, tried) ? [] : [[rule, `${describe(call)}, which nobody asked for`] as const]),
      ...(strange ? [[rule, `${describe(call)}: that note was never written to it`] as const] : []),
    ];
  });
}

function hasCause(seen: number, tried: ReadonlySet<Call["verb"]>): boolean {
  if (seen >= state.destroyed && !tried.has("destroy")) return false;
  if (seen === state.compromised || seen === state.destroyedCompromised) return tried.has("compromise");
  if (seen === state.deactivated) return tried.has("deactivate");
  return seen !== state.active || tried.has("activate");
}

/** Each note and the object that it was written to; empty when that is not known. */
function attemptedNotes(calls: readonly Call[]): ReadonlyMap<string, string> {
  const writes = calls.filter(({ verb }) => verb === "writeNote" || verb === "create");
  return new Map(writes.map(({ note = "", object }) => [note, object]));
}
